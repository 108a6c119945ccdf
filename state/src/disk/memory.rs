//! Records in memory, with a fuse.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use runbook_engine::ids::RunId;

use super::{Disk, Head, Record, Show};
use crate::{error::StoreError, journal::Journal};

/// A store in memory, which survives its openings for as long as one of them lives.
pub type MemoryStore = Journal<Memory>;

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Memory::default().opened()
    }

    /// An empty store whose fuse blows before batch `n`, counted from 1: that batch and all later ones fail, as if
    /// the process had died before it.
    #[must_use]
    pub fn with_fuse(n: u64) -> Self {
        Memory { fuse: Some(n), ..Memory::default() }.opened()
    }

    /// An empty store that is called so; the others are all called `memory`.
    #[must_use]
    pub fn called(id: &str) -> Self {
        Memory { id: Cow::Owned(id.to_owned()), ..Memory::default() }.opened()
    }

    /// Opens it again, as the next process would: everything that was written is there, and this opening is over.
    #[must_use]
    pub fn reopened(&self) -> Self {
        self.disk().again(None).opened()
    }

    /// How many bytes its records have, keys and values, without the plans.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let kept = self.disk().kept();
        kept.records.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }

    /// Opens it again, with a fuse.
    #[must_use]
    pub fn reopened_with_fuse(&self, n: u64) -> Self {
        self.disk().again(Some(n)).opened()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

/// See [`MemoryStore`].
#[derive(Debug)]
pub struct Memory {
    kept: Arc<Mutex<Kept>>,
    opening: u64,
    fuse: Option<u64>,
    batches: u64,
    id: Cow<'static, str>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { kept: Arc::default(), opening: 0, fuse: None, batches: 0, id: Cow::Borrowed("memory") }
    }
}

#[derive(Debug, Default)]
struct Kept {
    opening: u64,
    records: BTreeMap<Vec<u8>, Vec<u8>>,
    plans: BTreeMap<String, Vec<u8>>,
    states: BTreeMap<RunId, Vec<u8>>,
}

impl Memory {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn again(&self, fuse: Option<u64>) -> Self {
        let mut kept = self.kept();
        kept.opening += 1;
        Self { kept: self.kept.clone(), opening: kept.opening, fuse, batches: 0, id: self.id.clone() }
    }

    #[expect(clippy::expect_used, reason = "memory does not decay: what cannot be read back is our bug")]
    fn opened(self) -> MemoryStore {
        Journal::over(self).expect("a store in memory reads back what was written to it")
    }
}

impl Disk for Memory {
    fn path(&self) -> &'static str {
        "(memory)"
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn write(&mut self, records: Vec<Record>) -> Result<(), StoreError> {
        self.batches += 1;
        let mut kept = self.kept();
        if kept.opening != self.opening {
            return Err(StoreError::Locked { path: self.path().to_owned() });
        }
        if self.fuse.is_some_and(|fuse| self.batches >= fuse) {
            return Err(StoreError::Fuse { batch: self.batches });
        }
        for (key, value) in records {
            match value {
                Some(value) => kept.records.insert(key, value),
                None => kept.records.remove(&key),
            };
        }
        Ok(())
    }

    fn scan(&self, prefix: &[u8], from: &[u8], show: &mut Show<'_>) -> Result<(), StoreError> {
        for (key, value) in self.kept().records.range(prefix.max(from).to_vec()..) {
            if !key.starts_with(prefix) || !show(key, value)? {
                break;
            }
        }
        Ok(())
    }

    fn last(&self, prefix: &[u8], below: Option<&[u8]>) -> Result<Option<Vec<u8>>, StoreError> {
        let kept = self.kept();
        let mut range = match below {
            Some(below) => kept.records.range(prefix.to_vec()..below.to_vec()),
            None => kept.records.range(prefix.to_vec()..super::after(prefix)),
        };
        Ok(range.next_back().map(|(key, _)| key.clone()))
    }

    fn keep_plan(&mut self, name: &str, text: &[u8]) -> Result<(), StoreError> {
        self.kept().plans.insert(name.to_owned(), text.to_vec());
        Ok(())
    }

    fn plan(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.kept().plans.get(name).cloned())
    }

    fn keep_state(&mut self, run: &RunId, pieces: [&[u8]; 2]) -> Result<(), StoreError> {
        let mut kept = self.kept();
        // Never two of them in memory.
        kept.states.remove(run);
        kept.states.insert(run.clone(), pieces.concat());
        Ok(())
    }

    fn state(&self, run: &RunId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.kept().states.get(run).cloned())
    }

    fn heads(&self) -> Option<&BTreeMap<RunId, Head>> {
        None
    }

    fn announce(&mut self, _run: &RunId) -> Result<(), StoreError> {
        Ok(())
    }

    fn acknowledge(&mut self, _run: &RunId, _head: Head) -> Result<(), StoreError> {
        Ok(())
    }

    fn seal(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
