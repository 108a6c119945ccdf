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

/// The key of the run's batch that begins with this entry.
pub(crate) fn batch_key(run: &RunId, seq: u64) -> Vec<u8> {
    let mut key = batches_of(run);
    let bytes = seq.to_be_bytes();
    let zeros = usize::try_from(seq.leading_zeros() / 8).unwrap_or_default();
    key.push((bytes.len() - zeros) as u8);
    key.extend_from_slice(&bytes[zeros..]);
    key
}

/// The number of the first entry, and what follows it, in a key without what [`batches_of`] puts before it.
pub(crate) fn seq_of(key: &[u8]) -> Option<(u64, &[u8])> {
    let (length, rest) = key.split_first()?;
    let (digits, rest) = rest.split_at_checked(usize::from(*length))?;
    let mut bytes = [0; 8];
    bytes.get_mut(8_usize.checked_sub(digits.len())?..)?.copy_from_slice(digits);
    Some((u64::from_be_bytes(bytes), rest))
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

/// What the keys of artifacts begin with.
pub(crate) const ARTIFACTS: &[u8] = b"a";

/// What the keys of a run's artifacts begin with.
pub(crate) fn artifacts_of(run: &RunId) -> Vec<u8> {
    [ARTIFACTS, run.as_str().as_bytes(), &[0]].concat()
}

/// The key of an artifact; without an id, of one that is only intended.
pub(crate) fn artifact_key(run: &RunId, token: &str, id: Option<&str>) -> Vec<u8> {
    let mut key = artifacts_of(run);
    key.extend_from_slice(token.as_bytes());
    key.push(0);
    key.extend_from_slice(id.unwrap_or_default().as_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::{RunId, batch_key, batches_of, seq_of};

    #[test]
    fn keys_sort_as_their_numbers_do_and_are_read_back() {
        let run = RunId::new("7k2m");
        let numbers = [1, 2, 127, 128, 255, 256, 257, 65_535, 65_536, 1 << 31, u64::MAX - 1, u64::MAX];
        let keys = numbers.map(|seq| batch_key(&run, seq));
        assert!(keys.is_sorted());
        for (seq, key) in numbers.iter().zip(&keys) {
            assert_eq!(seq_of(&key[batches_of(&run).len()..]), Some((*seq, &[][..])));
        }
        assert_eq!(seq_of(&[9, 1, 1, 1, 1, 1, 1, 1, 1, 1]), None);
        assert_eq!(seq_of(&[2, 1]), None);
    }
}
