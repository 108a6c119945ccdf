//! Records in a folder, in sled.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
};

use runbook_engine::ids::RunId;

use super::{
    Disk, Head, Record, Show,
    folder::{self, Folder},
    head::HeadFile,
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
        Self::over(Sled::open(folder)?)
    }
}

/// See [`SledStore`].
#[derive(Debug)]
pub struct Sled {
    // Fields are dropped in this order: the lock is released last.
    db: ::sled::Db,
    file: File,
    head: HeadFile,
    folder: Folder,
}

impl Sled {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let folder = Folder::open(path)?;
        let head = HeadFile::open(&folder)?;
        if !folder.begun() && !head.found().is_empty() {
            return Err(folder.damaged("the file db is missing, though HEAD names runs".to_owned()));
        }
        let db = start(path).map_err(|error| folder.sled("opening sled", error))?;
        let file = File::options()
            .write(true)
            .open(path.join("db"))
            .map_err(|error| folder.io("opening sled's file", error))?;
        folder.settle()?;
        Ok(Self { db, file, head, folder })
    }

    fn plan_path(&self, name: &str) -> PathBuf {
        self.folder.path().join("plans").join(name).with_extension("json")
    }
}

/// The flush thread is off: every batch is flushed by hand, and nothing may reach the drive on its own behind it.
fn start(path: &Path) -> Result<::sled::Db, ::sled::Error> {
    ::sled::Config::new()
        .path(path)
        .cache_capacity(8 * 1024 * 1024)
        .flush_every_ms(None)
        .mode(::sled::Mode::LowSpace)
        .open()
}

impl Disk for Sled {
    fn path(&self) -> &str {
        self.folder.name()
    }

    fn write(&mut self, mut records: Vec<Record>) -> Result<(), StoreError> {
        let sled = |error| self.folder.sled("writing a batch", error);
        // A single record needs no manifest around it, and one write less.
        if let [(key, Some(value))] = &mut records[..] {
            self.db.insert(std::mem::take(key), std::mem::take(value)).map_err(sled)?;
        } else {
            let mut batch = ::sled::Batch::default();
            for (key, value) in records {
                match value {
                    Some(value) => batch.insert(key, value),
                    None => batch.remove(key),
                }
            }
            self.db.apply_batch(batch).map_err(sled)?;
        }
        self.db.flush().map_err(sled)?;
        self.file.sync_data().map_err(|error| self.folder.io("syncing a batch", error))
    }

    fn scan(&self, prefix: &[u8], from: &[u8], show: &mut Show<'_>) -> Result<(), StoreError> {
        for record in self.db.range(prefix.max(from)..) {
            let (key, value) = record.map_err(|error| self.folder.sled("reading", error))?;
            if !key.starts_with(prefix) || !show(&key, &value)? {
                break;
            }
        }
        Ok(())
    }

    fn last(&self, prefix: &[u8], below: Option<&[u8]>) -> Result<Option<Vec<u8>>, StoreError> {
        let end = below.map_or_else(|| super::after(prefix), <[u8]>::to_vec);
        match self.db.range(prefix.to_vec()..end).next_back() {
            None => Ok(None),
            Some(Ok((key, _))) => Ok(Some(key.to_vec())),
            Some(Err(error)) => Err(self.folder.sled("reading", error)),
        }
    }

    fn keep_plan(&mut self, name: &str, text: &[u8]) -> Result<(), StoreError> {
        folder::write_whole(&self.plan_path(name), text)
            .map_err(|error| self.folder.io("writing a plan", error))
    }

    fn plan(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        folder::read(&self.plan_path(name)).map_err(|error| self.folder.io("reading a plan", error))
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
