//! Long values, cut into parts.

use runbook_engine::ids::RunId;

use super::{
    batch::Malformed,
    key::{batch_key, holds_of, seq_of},
    number::{number, put},
};
use crate::disk::Record;

/// Longer values are cut into parts of this size.
const PART: usize = 4096;

/// What a record begins with: the length of the batch, and its first part, follow.
const PARTS: u8 = 2;

/// The records of one batch: itself, or its parts.
pub(crate) fn cut(run: &RunId, seq: u64, batch: Vec<u8>) -> Vec<Record> {
    let key = batch_key(run, seq);
    if batch.len() <= PART {
        return vec![(key, Some(batch))];
    }
    let mut parts = batch.chunks(PART);
    let mut first = vec![PARTS];
    put(&mut first, batch.len() as u128);
    first.extend_from_slice(parts.next().unwrap_or_default());
    let mut records = vec![(key.clone(), Some(first))];
    for (index, part) in (1_u32..).zip(parts) {
        let mut key = key.clone();
        key.extend_from_slice(&index.to_be_bytes());
        records.push((key, Some(part.to_vec())));
    }
    records
}

/// Puts the parts of batches together again, in the order of their keys.
#[derive(Default)]
pub(crate) struct Joining {
    open: Option<(u64, usize, u32, Vec<u8>)>,
}

impl Joining {
    /// Takes the next record of a run; a batch with its number, when it is complete.
    pub(crate) fn take(&mut self, key: &[u8], value: &[u8]) -> Result<Option<(u64, Vec<u8>)>, Malformed> {
        let (seq, part) = seq_of(key).ok_or(Malformed::Impossible("key"))?;
        let part = match part {
            [] => 0,
            part => u32::from_be_bytes(part.try_into().map_err(|_| Malformed::Impossible("key"))?),
        };
        match (self.open.take(), part, value.first()) {
            (None, 0, Some(&PARTS)) => {
                let mut rest = &value[1..];
                let length = usize::try_from(number(&mut rest, "length")?).map_err(|_| Malformed::Short)?;
                self.step(seq, length, 1, rest.to_vec())
            }
            (None, 0, _) => Ok(Some((seq, value.to_vec()))),
            (Some((of, length, next, mut batch)), part, _) if of == seq && part == next => {
                batch.extend_from_slice(value);
                self.step(seq, length, part + 1, batch)
            }
            _ => Err(Malformed::Impossible("part")),
        }
    }

    fn step(
        &mut self,
        seq: u64,
        length: usize,
        next: u32,
        batch: Vec<u8>,
    ) -> Result<Option<(u64, Vec<u8>)>, Malformed> {
        match batch.len().cmp(&length) {
            std::cmp::Ordering::Less => {
                self.open = Some((seq, length, next, batch));
                Ok(None)
            }
            std::cmp::Ordering::Equal => Ok(Some((seq, batch))),
            std::cmp::Ordering::Greater => Err(Malformed::Impossible("length")),
        }
    }

    /// Whether nothing is missing.
    pub(crate) fn finish(self) -> Result<(), Malformed> {
        if self.open.is_some() { Err(Malformed::Short) } else { Ok(()) }
    }
}

/// The records of the machines that a run holds.
pub(crate) fn holds(run: &RunId, commit: u64, list: &[u8]) -> Vec<Record> {
    let prefix = holds_of(run, commit);
    let record =
        |(index, part): (u32, &[u8])| ([&prefix[..], &index.to_be_bytes()].concat(), Some(part.to_vec()));
    (1_u32..).zip(list.chunks(PART)).map(record).collect()
}
