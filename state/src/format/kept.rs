//! The file `states/RUN`: a state of the core that saves its reader a replay.
//!
//! ```text
//! 1 RUN SEQ HASH SUM
//! ```
//!
//! and the core's bytes on the lines below. The state stands behind entry SEQ, whose hash HASH is, so that it belongs to
//! one journal and one place in it; SUM is the SHA-256 of everything else in the file, in hex. A file of which any of this
//! does not hold is as good as none.

use runbook_engine::ids::RunId;
use sha2::{Digest as _, Sha256};

use crate::chain::{self, Hash};

/// What the first line begins with.
const KIND: &str = "1";

/// The first line of the file, with its end; the state follows.
pub(crate) fn first_line(run: &RunId, seq: u64, hash: &Hash, state: &[u8]) -> String {
    let head = format!("{KIND} {run} {seq} {}", chain::hex(hash));
    format!("{head} {}\n", sum(&head, state))
}

/// The entry, its hash and the state, if the file is whole and of this run.
pub(crate) fn read<'b>(run: &RunId, bytes: &'b [u8]) -> Option<(u64, Hash, &'b [u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, state) = (std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 1..]);
    let (head, given) = line.rsplit_once(' ')?;
    let mut words = head.split(' ');
    if words.next()? != KIND || words.next()? != run.as_str() || given != sum(head, state) {
        return None;
    }
    Some((words.next()?.parse().ok()?, chain::unhex(words.next()?)?, state))
}

fn sum(head: &str, state: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(head);
    hasher.update([b'\n']);
    hasher.update(state);
    chain::hex(&hasher.finalize().into())
}
