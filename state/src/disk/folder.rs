//! The state folder: private, of a known format, and locked.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use runbook_engine::ids::RunId;
use rustix::{
    fs::{FlockOperation, flock},
    process::geteuid,
};
use uuid::Uuid;

use crate::{
    error::StoreError,
    format::{FORMAT, FormatFile, NEEDS},
};

/// A state folder that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    name: String,
    id: String,
    begun: bool,
    _lock: File,
}

impl Folder {
    /// Makes the folder if need be, locks it and checks its format.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let name = path.display().to_string();
        let error = |doing| {
            let name = name.clone();
            move |error: io::Error| match error.kind() {
                // Somebody else's, which is as good as held by somebody else.
                ErrorKind::PermissionDenied if !is_ours(path) => StoreError::Locked { path: name },
                _ => StoreError::io(&name, doing, error),
            }
        };
        make(path).map_err(error("making it"))?;
        let format = read_format(path).map_err(error("reading its format"))?;
        if format.is_none() && is_open_to_others(path).map_err(error("reading its mode"))? {
            // The mode of a folder that has other things in it is not ours to change.
            if fs::read_dir(path).map_err(error("reading it"))?.next().is_some() {
                return Err(StoreError::NotAStore { path: name });
            }
            fs::set_permissions(path, Permissions::from_mode(0o700))
                .map_err(error("closing it to others"))?;
        }
        let lock = lock(path).map_err(error("locking it"))?;
        let Some(lock) = lock else { return Err(StoreError::Locked { path: name }) };
        let begun = path.join("db").exists();
        // Read again under the lock: the other one may just have made it.
        let id = match read_format(path).map_err(error("reading its format"))? {
            Some(text) => check_format(&name, &text)?,
            None if begun => {
                let what = "the file FORMAT is missing, though there is a journal".to_owned();
                return Err(StoreError::Damaged { path: name, what });
            }
            None => None,
        };
        let id = match id {
            Some(id) => id,
            // New, or of the layout before ours, whose records are all of ours: from now on it may hold others.
            None => {
                let id = new_id();
                let format = FormatFile { format: FORMAT, needs: NEEDS.to_owned(), store: Some(id.clone()) };
                let text = serde_json::to_vec(&format).map_err(io::Error::from);
                text.and_then(|text| write_whole(&path.join("FORMAT"), &text))
                    .map_err(error("writing its format"))?;
                id
            }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path.join("plans"))
            .map_err(error("making plans/"))?;
        Ok(Self { path: path.to_owned(), name, id, begun, _lock: lock })
    }

    /// What it is called wherever it is moved to.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Whether sled's file was there.
    pub(crate) fn begun(&self) -> bool {
        self.begun
    }

    /// Makes the names of a new folder's files durable.
    pub(crate) fn settle(&self) -> Result<(), StoreError> {
        if self.begun {
            return Ok(());
        }
        let sync = || {
            File::open(&self.path)?.sync_all()?;
            match self.path.canonicalize()?.parent() {
                Some(parent) => File::open(parent)?.sync_all(),
                None => Ok(()),
            }
        };
        sync().map_err(|error| self.io("syncing a new folder", error))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder in messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where a plan is.
    pub(crate) fn plan(&self, name: &str) -> PathBuf {
        self.path.join("plans").join(name).with_extension("json")
    }

    /// Where the state of a run is kept.
    pub(crate) fn state(&self, run: &RunId) -> PathBuf {
        self.path.join("states").join(run.as_str())
    }

    pub(crate) fn io(&self, doing: &'static str, error: io::Error) -> StoreError {
        StoreError::io(&self.name, doing, error)
    }

    pub(crate) fn sled(&self, doing: &'static str, error: sled::Error) -> StoreError {
        let what = match error {
            sled::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
                "the file db ends too early".to_owned()
            }
            sled::Error::Io(error) if error.kind() == ErrorKind::NotFound => {
                "a file of sled's is missing".to_owned()
            }
            sled::Error::Io(error) => return self.io(doing, as_the_system_said(error)),
            sled::Error::Corruption { at: Some(at), .. } => format!("sled finds a broken record at {at:?}"),
            sled::Error::Corruption { at: None, .. } => "sled finds its files inconsistent".to_owned(),
            other => other.to_string(),
        };
        self.damaged(format!("{doing}: {what}"))
    }

    pub(crate) fn locked(&self) -> StoreError {
        StoreError::Locked { path: self.name.clone() }
    }

    pub(crate) fn damaged(&self, what: String) -> StoreError {
        StoreError::Damaged { path: self.name.clone(), what }
    }
}

/// sled's background threads hand errors on as text (`Os { code: 28, … }`): the number says what it was.
fn as_the_system_said(error: io::Error) -> io::Error {
    let text = if error.raw_os_error().is_none() { error.to_string() } else { String::new() };
    let number = text.strip_prefix("Os { code: ").and_then(|rest| rest.split_once(',')?.0.parse().ok());
    number.map_or(error, io::Error::from_raw_os_error)
}

fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

fn is_ours(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|folder| folder.uid() == geteuid().as_raw())
}

fn is_open_to_others(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path.join("LOCK"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn read_format(path: &Path) -> io::Result<Option<Vec<u8>>> {
    read(&path.join("FORMAT"))
}

/// The id in the file; none, if it is of a layout that had none.
fn check_format(name: &str, text: &[u8]) -> Result<Option<String>, StoreError> {
    let damaged = |what| StoreError::Damaged { path: name.to_owned(), what };
    let format: FormatFile = serde_json::from_slice(text)
        .map_err(|error| damaged(format!("the file FORMAT cannot be read: {error}")))?;
    match format {
        FormatFile { format: found, needs, .. } if found > FORMAT => {
            Err(StoreError::Newer { path: name.to_owned(), found, needs })
        }
        FormatFile { format: FORMAT, store: None, .. } => {
            Err(damaged("the file FORMAT does not say what the folder is called".to_owned()))
        }
        FormatFile { format: FORMAT, store, .. } => Ok(store),
        FormatFile { .. } => Ok(None),
    }
}

/// Sixteen random hexadecimal digits: no two folders of one account share them.
fn new_id() -> String {
    Uuid::new_v4().simple().to_string().split_off(16)
}

/// A file's bytes; none, if there is no such file.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts these pieces, one after the other, in the place of a file and makes its folder if need be; nothing is synced.
pub(crate) fn replace(path: &Path, pieces: [&[u8]; 2]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let draft = path.with_extension("new");
    let written = File::create(&draft)
        .and_then(|mut file| pieces.into_iter().try_for_each(|piece| file.write_all(piece)))
        .and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // It takes room that somebody needs. What is left here is overwritten by the next one.
        let _ = fs::remove_file(&draft);
    }
    written
}

/// Writes a file that is there as a whole, durably, or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
