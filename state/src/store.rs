//! What a store is.

use jiff::Timestamp;
use runbook_engine::{
    ids::{RunId, TargetId},
    plan::Plan,
    run::event::Event,
};
use serde::{Deserialize, Serialize};

use crate::artifact::ArtifactRow;
pub use crate::error::StoreError;

/// One entry of a journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// From 1, without gaps.
    pub seq: u64,
    /// When it was written, by the clock of the run's world.
    pub at: Timestamp,
    /// The number of the opening of the store in which it was written.
    pub epoch: u64,
    /// What happened.
    pub event: Event,
    /// SHA-256 of the entry before it, hex; of the first: 64 zeros.
    pub prev: String,
    /// SHA-256 over `seq`, `at`, `epoch`, `event` and `prev` in canonical form, hex.
    pub hash: String,
}

/// What a list of runs shows, kept up to date by the coordinator in the same batch as the events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// The run.
    pub run: RunId,
    /// The runbook's name.
    pub runbook: String,
    /// Status word as in `show --json`.
    pub status: String,
    /// Exit code, at the end.
    pub exit: Option<u8>,
    /// First entry's time.
    pub started_at: Timestamp,
    /// Last entry's time, at the end.
    pub finished_at: Option<Timestamp>,
    /// The plan's digest.
    pub plan: String,
    /// Machines that it changes (the one-run-per-machine rule); emptied when it ends well, kept when it ends stuck.
    pub holds: Vec<TargetId>,
    /// The run that it rolls back or retries.
    pub linked_to: Option<RunId>,
    /// The simulated world that it runs in, by its name in the state folder; absent: the real one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub world: Option<String>,
}

/// A machine's state, recorded by a person after a stuck run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resolution {
    /// The stuck run.
    pub run: RunId,
    /// The machine.
    pub target: TargetId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What was seen.
    pub note: Option<String>,
}

/// What the core said of a run behind one of its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptState {
    /// The entry.
    pub seq: u64,
    /// Its time.
    pub at: Timestamp,
    /// The core's own bytes.
    pub state: Vec<u8>,
}

/// All runs of one state folder. One process holds it; every method returns only when its effect is durable.
pub trait RunStore: Send {
    /// What the state folder is called wherever it is moved to: random, and the same for as long as it exists. What its
    /// runs make is tagged with it.
    fn id(&self) -> &str;

    /// The number of this opening.
    fn epoch(&self) -> u64;

    /// Begins a journal: plan, row and first events in one atomic batch, with the artifacts that the events bring.
    ///
    /// # Errors
    /// [`StoreError`].
    fn create(
        &mut self,
        row: &RunRow,
        plan: &Plan,
        at: Timestamp,
        events: &[Event],
    ) -> Result<(), StoreError>;

    /// Appends events (and a new row, if it changed) in one atomic batch, with the artifacts that the events bring; the
    /// last sequence number.
    ///
    /// # Errors
    /// [`StoreError`].
    fn append(
        &mut self,
        run: &RunId,
        at: Timestamp,
        events: &[Event],
        row: Option<&RunRow>,
    ) -> Result<u64, StoreError>;

    /// The plan of a run.
    ///
    /// # Errors
    /// [`StoreError`].
    fn plan(&self, run: &RunId) -> Result<Plan, StoreError>;

    /// Hands over the journal of a run from an entry on, one by one, so that a long one need not fit into memory. The
    /// chain is verified on the way; whether it reaches its end, and HEAD, is known only when this returns: after an
    /// error, what was handed over is no journal.
    ///
    /// # Errors
    /// [`StoreError`].
    fn each(&self, run: &RunId, from: u64, give: &mut dyn FnMut(Entry)) -> Result<(), StoreError>;

    /// At most so many entries of a run, from one on: their own chain is verified, not that of what follows. Fewer: there
    /// are no more.
    ///
    /// # Errors
    /// [`StoreError`].
    fn some(&self, run: &RunId, from: u64, most: usize) -> Result<Vec<Entry>, StoreError>;

    /// The journal of a run from an entry on, chain and HEAD verified.
    ///
    /// # Errors
    /// [`StoreError`].
    fn entries(&self, run: &RunId, from: u64) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        self.each(run, from, &mut |entry| entries.push(entry))?;
        Ok(entries)
    }

    /// Keeps the core's state of a run behind its last entry, in the place of what was kept before, so that who takes
    /// the run up need not replay all of it. A cache beside the journal: it may be lost, and then nothing is.
    ///
    /// # Errors
    /// [`StoreError`]: nothing was kept. The journal can be written as before.
    fn keep_state(&mut self, run: &RunId, state: &[u8]) -> Result<(), StoreError>;

    /// The state that was kept last, if it is whole and stands behind an entry of this very journal. What follows it
    /// is for [`RunStore::each`], which verifies the chain from there on. None, too, where it cannot be read.
    ///
    /// # Errors
    /// [`StoreError`]: there is no such run, or the store failed before.
    fn kept_state(&self, run: &RunId) -> Result<Option<KeptState>, StoreError>;

    /// Every run, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    fn runs(&self) -> Result<Vec<RunRow>, StoreError>;

    /// Syncs HEAD too (pause, end).
    ///
    /// # Errors
    /// [`StoreError`].
    fn seal(&mut self) -> Result<(), StoreError>;

    /// Records a machine's state beside a closed journal.
    ///
    /// # Errors
    /// [`StoreError`].
    fn resolve(&mut self, resolution: &Resolution) -> Result<(), StoreError>;

    /// Everything recorded so.
    ///
    /// # Errors
    /// [`StoreError`].
    fn resolutions(&self) -> Result<Vec<Resolution>, StoreError>;

    /// The artifacts of one run, or of all, in the order of their runs' ids, tokens and ids.
    ///
    /// # Errors
    /// [`StoreError`].
    fn artifacts(&self, run: Option<&RunId>) -> Result<Vec<ArtifactRow>, StoreError>;

    /// Records what became of artifacts of one run, beside its journal, in one atomic batch. A row whose id was not
    /// known replaces the one that was intended with its token.
    ///
    /// # Errors
    /// [`StoreError`].
    fn collect(&mut self, run: &RunId, rows: &[ArtifactRow]) -> Result<(), StoreError>;

    /// How many durable batches this opening wrote (for benches and laws).
    fn batches(&self) -> u64;
}
