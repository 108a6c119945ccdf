//! Records in a folder, in sled.

use std::{collections::BTreeMap, fs::File, io, path::Path, sync::Arc, thread, time::Duration};

use runbook_engine::ids::RunId;

use super::{
    Disk, Head, Record, Show,
    folder::{self, Folder},
    guarded::guarded,
    head::HeadFile,
    opening,
};
use crate::{error::StoreError, journal::Journal};

/// A store in a folder.
pub type SledStore = Journal<Sled>;

impl SledStore {
    /// Opens the store in this folder, which is made (0700) if it is not there. Does not wait for another holder.
    ///
    /// # Errors
    /// [`StoreError`]: [`StoreError::Locked`] while another opening lives, in this process or another one.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        opening::open(folder)
    }
}

/// See [`SledStore`].
#[derive(Debug)]
pub struct Sled {
    // Fields are dropped in this order: the lock is released last.
    files: Files,
    file: File,
    head: HeadFile,
    folder: Arc<Folder>,
}

/// Absent after a panic of sled's.
#[derive(Debug)]
struct Files(Option<::sled::Db>);

impl Drop for Files {
    fn drop(&mut self) {
        let db = self.0.take();
        // Closing it flushes; everything that matters was flushed before.
        let _ = guarded(|| drop(db));
    }
}

/// sled's answer, or what it panicked with.
type Answer<T> = Result<Result<T, ::sled::Error>, String>;

impl Sled {
    /// Opens sled's files in `place`, which is the folder itself or holds a copy of them.
    pub(super) fn start(folder: &Arc<Folder>, place: &Path) -> Result<Self, StoreError> {
        let head = HeadFile::open(folder)?;
        if !head.found().is_empty() && !place.join("db").exists() {
            // sled would make an empty one.
            return Err(folder.damaged("the file db is missing, though HEAD names runs".to_owned()));
        }
        // The flush thread is off: every batch is flushed by hand, and nothing reaches the drive behind it. A journal
        // is appended to and read once, so a small cache is as fast as a large one.
        let config = ::sled::Config::new()
            .path(place)
            .cache_capacity(2 * 1024 * 1024)
            .flush_every_ms(None)
            .mode(::sled::Mode::LowSpace);
        let mut patience = 400;
        let db = loop {
            match guarded(|| config.open()) {
                // We have the lock of the folder, so this is the last thread of an opening that has just ended.
                Ok(Err(::sled::Error::Io(error))) if patience > 0 && is_lock(&error) => {
                    patience -= 1;
                    thread::sleep(Duration::from_millis(5));
                }
                Ok(Err(::sled::Error::Io(error))) if is_lock(&error) => return Err(folder.locked()),
                answer => break judge(folder, "opening sled", answer)?,
            }
        };
        let file = File::options().write(true).open(place.join("db"));
        let file = file.map_err(|error| folder.io("opening sled's file", error))?;
        Ok(Self { files: Files(Some(db)), file, head, folder: folder.clone() })
    }

    fn db(&self) -> Result<&::sled::Db, StoreError> {
        self.files.0.as_ref().ok_or_else(|| StoreError::Failed { path: self.folder.name().to_owned() })
    }
}

/// Whether sled could not get its own lock, for which it has no error of its own.
fn is_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other && error.to_string().starts_with("could not acquire lock")
}

fn judge<T>(folder: &Folder, doing: &'static str, answer: Answer<T>) -> Result<T, StoreError> {
    match answer {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(folder.sled(doing, error)),
        Err(said) => Err(folder.damaged(format!("{doing}: sled cannot make sense of its files ({said})"))),
    }
}

impl Disk for Sled {
    fn path(&self) -> &str {
        self.folder.name()
    }

    fn id(&self) -> &str {
        self.folder.id()
    }

    fn write(&mut self, mut records: Vec<Record>) -> Result<(), StoreError> {
        let db = self.db()?;
        let answer = guarded(|| {
            // A single record needs no manifest around it, which would cost two writes more.
            if let [(key, Some(value))] = &mut records[..] {
                db.insert(std::mem::take(key), std::mem::take(value))?;
            } else {
                let mut batch = ::sled::Batch::default();
                for (key, value) in records {
                    match value {
                        Some(value) => batch.insert(key, value),
                        None => batch.remove(key),
                    }
                }
                db.apply_batch(batch)?;
            }
            // Hands everything to the kernel; on Linux it does not reach the drive.
            db.flush()
        });
        if answer.is_err() {
            // Closing it would flush, and may never end. The process has to end.
            std::mem::forget(self.files.0.take());
        }
        judge(&self.folder, "writing a batch", answer)?;
        self.file.sync_data().map_err(|error| self.folder.io("syncing a batch", error))
    }

    fn scan(&self, prefix: &[u8], from: &[u8], show: &mut Show<'_>) -> Result<(), StoreError> {
        let mut records = self.db()?.range(prefix.max(from)..);
        while let Some(answer) = judge(&self.folder, "reading", guarded(|| records.next().transpose()))? {
            let (key, value) = answer;
            if !key.starts_with(prefix) || !show(&key, &value)? {
                break;
            }
        }
        Ok(())
    }

    fn last(&self, prefix: &[u8], below: Option<&[u8]>) -> Result<Option<Vec<u8>>, StoreError> {
        let db = self.db()?;
        let end = below.map_or_else(|| super::after(prefix), <[u8]>::to_vec);
        let answer = guarded(|| db.range(prefix.to_vec()..end).next_back().transpose());
        Ok(judge(&self.folder, "reading", answer)?.map(|(key, _)| key.to_vec()))
    }

    fn keep_plan(&mut self, name: &str, text: &[u8]) -> Result<(), StoreError> {
        let path = self.folder.plan(name);
        match folder::read(&path) {
            Ok(Some(kept)) if kept == text => Ok(()),
            _ => folder::write_whole(&path, text).map_err(|error| self.folder.io("writing a plan", error)),
        }
    }

    fn plan(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        folder::read(&self.folder.plan(name)).map_err(|error| self.folder.io("reading a plan", error))
    }

    fn keep_state(&mut self, run: &RunId, pieces: [&[u8]; 2]) -> Result<(), StoreError> {
        let kept = folder::replace(&self.folder.state(run), pieces);
        kept.map_err(|error| self.folder.io("keeping the state of a run", error))
    }

    fn state(&self, run: &RunId) -> Result<Option<Vec<u8>>, StoreError> {
        folder::read(&self.folder.state(run))
            .map_err(|error| self.folder.io("reading the state of a run", error))
    }

    fn heads(&self) -> Option<&BTreeMap<RunId, Head>> {
        Some(self.head.found())
    }

    fn announce(&mut self, run: &RunId) -> Result<(), StoreError> {
        self.head.announce(run).map_err(|error| self.folder.io("writing HEAD", error))
    }

    fn acknowledge(&mut self, run: &RunId, head: Head) -> Result<(), StoreError> {
        self.head.note(run, head).map_err(|error| self.folder.io("writing HEAD", error))
    }

    fn seal(&mut self) -> Result<(), StoreError> {
        self.head.sync().map_err(|error| self.folder.io("syncing HEAD", error))
    }
}
