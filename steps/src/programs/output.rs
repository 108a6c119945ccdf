//! Where programs' output lies until it is journaled.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FallocateFlags, fallocate},
    process::geteuid,
};
use uuid::Uuid;

use super::{private_folder, trouble::is_passing};

/// Characters of standard output and standard error that are read, and four times as many bytes that are kept for them.
const STDOUT: usize = 24_000;
const STDERR: usize = 8_000;
const KEPT: u64 = 128 * 1024;

/// An output is cut only when it grew to this: cutting is a system call each time.
const LARGE: u64 = 1024 * 1024;

/// Memory-backed storage of Linux.
const SHARED_MEMORY: &str = "/dev/shm";

/// A folder for the outputs of programs that belong to this state folder: in shared memory, else in the user's runtime
/// folder (`$XDG_RUNTIME_DIR`), else in `/tmp`. It is never below the state folder, and gone after a reboot.
pub fn outputs_folder(state: &Path, runtime: Option<&Path>) -> PathBuf {
    let state = fs::canonicalize(state).unwrap_or_else(|_| state.to_owned());
    let name = Uuid::new_v5(&Uuid::NAMESPACE_URL, state.as_os_str().as_encoded_bytes()).simple();
    let memory = Path::new(SHARED_MEMORY);
    let base = if memory.is_dir() { memory } else { runtime.unwrap_or(Path::new("/tmp")) };
    base.join(format!("runbook-{}-{name}", geteuid().as_raw()))
}

/// The output of one program: two files beside each other.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
}

impl Output {
    pub(super) fn new(folder: &Path, token: &str) -> Self {
        Self { path: folder.join(token) }
    }

    pub(super) fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Both files, without their endings.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens both files, for a program to write to.
    pub(super) fn open(&self) -> io::Result<(File, File)> {
        // Between the making of the folder and of the files, the end of another program may have removed it again.
        for _ in 0..100 {
            match self.try_open() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                opened => return opened,
            }
        }
        self.try_open()
    }

    fn try_open(&self) -> io::Result<(File, File)> {
        if let Some(folder) = self.path.parent() {
            private_folder(folder)?;
            // Its place may be open to everybody, so somebody else may have made it first.
            let found = fs::symlink_metadata(folder)?;
            if !found.is_dir() || found.uid() != geteuid().as_raw() || found.mode() & 0o077 != 0 {
                let why = format!("the folder {} is not private to this user", folder.display());
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
            }
        }
        // Appending: a second start under the same token must not cut what the first one's program wrote.
        let file = |ending| File::options().append(true).create(true).mode(0o600).open(self.file(ending));
        Ok((file("out")?, file("err")?))
    }

    /// The first characters of both; empty where the file is gone.
    ///
    /// # Errors
    /// This machine is short of something.
    pub(super) fn read(&self) -> io::Result<(String, String)> {
        Ok((self.head("out", STDOUT)?, self.head("err", STDERR)?))
    }

    /// Gives back the memory of what nobody will read.
    pub(super) fn trim(&self) {
        for ending in ["out", "err"] {
            let Ok(file) = File::options().append(true).open(self.file(ending)) else { continue };
            let length = file.metadata().map_or(0, |found| found.len());
            if length > LARGE {
                let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                // Only an economy: a file system that cannot do it keeps everything.
                let _ = fallocate(&file, hole, KEPT, length - KEPT);
            }
        }
    }

    pub(super) fn delete(&self) {
        for ending in ["out", "err"] {
            if let Err(error) = fs::remove_file(self.file(ending))
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %self.file(ending).display(), %error, "an output could not be deleted");
            }
        }
        // The last one leaves nothing; a folder that is in use stays.
        if let Some(folder) = self.path.parent() {
            let _ = fs::remove_dir(folder);
        }
    }

    fn head(&self, ending: &str, characters: usize) -> io::Result<String> {
        let mut bytes = Vec::new();
        let read = File::open(self.file(ending)).and_then(|file| file.take(KEPT).read_to_end(&mut bytes));
        match read {
            Err(error) if is_passing(&error) => return Err(error),
            Err(error) => {
                tracing::warn!(path = %self.file(ending).display(), %error, "an output could not be read");
            }
            Ok(_) => {}
        }
        Ok(String::from_utf8_lossy(&bytes).chars().take(characters).collect())
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.path.with_extension(ending)
    }
}
