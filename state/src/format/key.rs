//! Keys.

use runbook_engine::ids::RunId;

use crate::store::Resolution;

/// What the keys of a run's batches begin with.
pub(crate) fn batches_of(run: &RunId) -> Vec<u8> {
    let mut key = vec![b'j'];
    key.extend_from_slice(run.as_str().as_bytes());
    key.push(0);
    key
}

pub(super) fn batch_key(run: &RunId, seq: u64) -> Vec<u8> {
    let mut key = batches_of(run);
    key.extend_from_slice(&seq.to_be_bytes());
    key
}

/// What the keys of rows begin with.
pub(crate) const ROWS: &[u8] = b"r";

/// The key of a run's row.
pub(crate) fn row_key(run: &RunId) -> Vec<u8> {
    [ROWS, run.as_str().as_bytes()].concat()
}

/// What the keys of the machines that a run holds as of a commit begin with.
pub(crate) fn holds_of(run: &RunId, commit: u64) -> Vec<u8> {
    [b"h", run.as_str().as_bytes(), &[0], &commit.to_be_bytes()].concat()
}

/// What the keys of resolutions begin with.
pub(crate) const RESOLUTIONS: &[u8] = b"s";

/// The key of a resolution.
pub(crate) fn resolution_key(resolution: &Resolution, commit: u64) -> Vec<u8> {
    let mut key = RESOLUTIONS.to_vec();
    key.extend_from_slice(resolution.run.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(resolution.target.as_str().as_bytes());
    key.push(0);
    key.extend_from_slice(&commit.to_be_bytes());
    key
}
