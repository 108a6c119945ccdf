//! Where records live: in a folder, or in memory.

mod folder;
mod guarded;
pub mod head;
pub mod memory;
mod opening;
pub mod sled;

use std::collections::BTreeMap;

use runbook_engine::ids::RunId;

use crate::error::StoreError;

/// A key and its new value; none removes it.
pub type Record = (Vec<u8>, Option<Vec<u8>>);

/// How far a run was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its last acknowledged entry; 0 before the first.
    pub seq: u64,
    /// How many batches were acknowledged for it, those without entries included.
    pub commit: u64,
    /// The hash of that entry.
    pub hash: [u8; 32],
}

/// A durable, sorted map of records that one opening has to itself, plans beside it, and how far each run was
/// acknowledged.
pub trait Disk: Send {
    /// The folder's name in messages.
    fn path(&self) -> &str;

    /// What it is called wherever it is moved to.
    fn id(&self) -> &str;

    /// Writes these records, all or none of them. They are durable when it returns. After an error nothing can be
    /// written any more.
    ///
    /// # Errors
    /// [`StoreError`].
    fn write(&mut self, records: Vec<Record>) -> Result<(), StoreError>;

    /// Shows, in order, the records whose keys begin with `prefix` and are not below `from`, until told to stop.
    ///
    /// # Errors
    /// [`StoreError`], also that of `show`.
    fn scan(&self, prefix: &[u8], from: &[u8], show: &mut Show<'_>) -> Result<(), StoreError>;

    /// The last key that begins with `prefix` and is below `below` (or any, if that is absent).
    ///
    /// # Errors
    /// [`StoreError`].
    fn last(&self, prefix: &[u8], below: Option<&[u8]>) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps a plan under this name, durably. Writing the same plan again does nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    fn keep_plan(&mut self, name: &str, text: &[u8]) -> Result<(), StoreError>;

    /// Reads a plan; none, if there is no such plan.
    ///
    /// # Errors
    /// [`StoreError`].
    fn plan(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps the state of a run in the place of the one before. It need not be durable: a crash may leave either, a part
    /// of one, or none.
    ///
    /// # Errors
    /// [`StoreError`]. Records can still be written.
    fn keep_state(&mut self, run: &RunId, pieces: [&[u8]; 2]) -> Result<(), StoreError>;

    /// What is kept of a run's state; none, if there is nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    fn state(&self, run: &RunId) -> Result<Option<Vec<u8>>, StoreError>;

    /// How far each run was acknowledged when this disk was opened; none, if that is not kept.
    fn heads(&self) -> Option<&BTreeMap<RunId, Head>>;

    /// Notes durably that this run is about to be begun.
    ///
    /// # Errors
    /// [`StoreError`].
    fn announce(&mut self, run: &RunId) -> Result<(), StoreError>;

    /// Notes how far this run is acknowledged. The drive may learn of it later than of the records.
    ///
    /// # Errors
    /// [`StoreError`].
    fn acknowledge(&mut self, run: &RunId, head: Head) -> Result<(), StoreError>;

    /// Makes durable what was acknowledged.
    ///
    /// # Errors
    /// [`StoreError`].
    fn seal(&mut self) -> Result<(), StoreError>;
}

/// Is shown a key and a value; says whether to go on.
pub type Show<'a> = dyn FnMut(&[u8], &[u8]) -> Result<bool, StoreError> + 'a;

/// The first key behind all that begin with `prefix`, which ends in something other than 255 (all of ours do).
fn after(prefix: &[u8]) -> Vec<u8> {
    let mut key = prefix.to_vec();
    if let Some(last) = key.last_mut() {
        *last = last.saturating_add(1);
    }
    key
}
