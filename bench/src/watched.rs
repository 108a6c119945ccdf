//! A store that is timed, and remembers what was written to it batch by batch.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use runbook_engine::{ids::RunId, plan::Plan, run::event::Event};
use runbook_state::{
    artifact::ArtifactRow,
    store::{Entry, KeptState, Resolution, RunRow, RunStore, StoreError},
};

/// What was written, and how long that took.
#[derive(Default)]
pub struct Written {
    /// The row that the run began with.
    pub row: Option<RunRow>,
    /// The events of each batch.
    pub batches: Vec<Vec<Event>>,
    /// In the store.
    pub spent: Duration,
}

/// The store.
pub struct Watched {
    inner: Box<dyn RunStore>,
    written: Arc<Mutex<Written>>,
}

impl Watched {
    /// This store, and what will have been written to it.
    pub fn new(inner: Box<dyn RunStore>) -> (Self, Arc<Mutex<Written>>) {
        let written = Arc::default();
        (Self { inner, written: Arc::clone(&written) }, written)
    }

    fn note(&self, begun: Instant, events: &[Event], row: Option<&RunRow>) {
        let spent = begun.elapsed();
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.spent += spent;
        written.batches.push(events.to_vec());
        if written.row.is_none() {
            written.row = row.cloned();
        }
    }
}

impl RunStore for Watched {
    fn id(&self) -> &str {
        self.inner.id()
    }

    fn epoch(&self) -> u64 {
        self.inner.epoch()
    }

    fn create(
        &mut self,
        row: &RunRow,
        plan: &Plan,
        at: Timestamp,
        events: &[Event],
    ) -> Result<(), StoreError> {
        let begun = Instant::now();
        self.inner.create(row, plan, at, events)?;
        self.note(begun, events, Some(row));
        Ok(())
    }

    fn append(
        &mut self,
        run: &RunId,
        at: Timestamp,
        events: &[Event],
        row: Option<&RunRow>,
    ) -> Result<u64, StoreError> {
        let begun = Instant::now();
        let seq = self.inner.append(run, at, events, row)?;
        self.note(begun, events, None);
        Ok(seq)
    }

    fn plan(&self, run: &RunId) -> Result<Plan, StoreError> {
        self.inner.plan(run)
    }

    fn each(&self, run: &RunId, from: u64, give: &mut dyn FnMut(Entry)) -> Result<(), StoreError> {
        self.inner.each(run, from, give)
    }

    fn some(&self, run: &RunId, from: u64, most: usize) -> Result<Vec<Entry>, StoreError> {
        self.inner.some(run, from, most)
    }

    fn keep_state(&mut self, run: &RunId, state: &[u8]) -> Result<(), StoreError> {
        self.inner.keep_state(run, state)
    }

    fn kept_state(&self, run: &RunId) -> Result<Option<KeptState>, StoreError> {
        self.inner.kept_state(run)
    }

    fn runs(&self) -> Result<Vec<RunRow>, StoreError> {
        self.inner.runs()
    }

    fn seal(&mut self) -> Result<(), StoreError> {
        self.inner.seal()
    }

    fn resolve(&mut self, resolution: &Resolution) -> Result<(), StoreError> {
        self.inner.resolve(resolution)
    }

    fn resolutions(&self) -> Result<Vec<Resolution>, StoreError> {
        self.inner.resolutions()
    }

    fn artifacts(&self, run: Option<&RunId>) -> Result<Vec<ArtifactRow>, StoreError> {
        self.inner.artifacts(run)
    }

    fn collect(&mut self, run: &RunId, rows: &[ArtifactRow]) -> Result<(), StoreError> {
        self.inner.collect(run, rows)
    }

    fn batches(&self) -> u64 {
        self.inner.batches()
    }
}
