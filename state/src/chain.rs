//! The chain of hashes through a journal.

use std::io::Write as _;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// What stands before the first entry.
pub(crate) const BEGINNING: Hash = [0; 32];

/// The hash of an entry: SHA-256 over `{"at":…,"epoch":…,"event":…,"prev":…,"seq":…}`, which is the entry's canonical
/// JSON without its `hash`. `event` is canonical JSON already.
pub(crate) fn hash(seq: u64, at: Timestamp, epoch: u64, event: &[u8], prev: &Hash) -> Hash {
    let mut hasher = Hashing(Sha256::new());
    // Writing to a hasher cannot fail.
    let _ = write!(hasher, r#"{{"at":"{at}","epoch":{epoch},"event":"#);
    hasher.0.update(event);
    let _ = write!(hasher, r#","prev":"{}","seq":{seq}}}"#, hex(prev));
    hasher.0.finalize().into()
}

struct Hashing(Sha256);

impl std::io::Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A hash as people see it.
pub(crate) fn hex(hash: &Hash) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)]));
    hash.iter().flat_map(digits).collect()
}

/// What [`hex`] wrote.
pub(crate) fn unhex(text: &str) -> Option<Hash> {
    let mut hash = BEGINNING;
    if text.len() != 64 {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}
