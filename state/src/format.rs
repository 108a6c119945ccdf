//! What is on the drive.
//!
//! A state folder (mode 0700) holds
//!
//! | name | what |
//! | --- | --- |
//! | `FORMAT` | JSON, `{"format":1,"needs":"0.1.0"}`: the layout's number, and the oldest version that reads it |
//! | `LOCK` | empty; its holder has an exclusive `flock` on it |
//! | `HEAD` | how far each run was acknowledged, see [`crate::disk::head`] |
//! | `plans/SHA256.json` | each plan, canonical JSON, named by its digest |
//! | `db`, `conf`, `blobs/`, `snap.*` | sled's own files |
//!
//! sled holds four kinds of records, told apart by the first byte of the key. RUN and MACHINE are names as text;
//! numbers in keys have eight bytes, big-endian, so that they sort.
//!
//! | key | value |
//! | --- | --- |
//! | `j` RUN 0 SEQ | the batch whose first entry is SEQ |
//! | `j` RUN 0 SEQ PART | a further part of a batch that is longer than 4 KiB (PART has four bytes and begins at 1) |
//! | `r` RUN | the run's row, JSON ([`StoredRow`]) |
//! | `h` RUN 0 COMMIT PART | a part of the machines that the run holds, a JSON list, as of COMMIT |
//! | `s` RUN 0 MACHINE 0 COMMIT | a resolution, JSON ([`StoredResolution`]) |
//!
//! A batch is one value, so that the ordinary step costs one sled record: a byte that says what follows (1: all of
//! it; 2: its length, then its first part), epoch, commit, time (nanoseconds since 1970, zigzag), number of entries,
//! each entry's length and event, and the hash of the last entry. Numbers are LEB128. An event is canonical JSON with
//! its names kept, in which each of 32 words stands as one byte; put back, they are exactly the bytes that were hashed.
//! So any version and any tool can read an event, and it need not be written anew to be verified. Sequence numbers and the hashes in between follow from the key and from the chain,
//! so they are not stored. Parts keep a page of sled's (at most 17 records) under the size at which it would put the
//! page into a file of its own, which it does not sync.
//!
//! COMMIT counts the batches of a run from 1, those without entries (a row, a resolution) included.

use std::borrow::Cow;

use jiff::Timestamp;
use runbook_engine::{
    ids::{RunId, TargetId},
    run::event::Event,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    chain::{self, Hash},
    disk::Record,
    store::{Entry, Resolution, RunRow},
    words,
};

/// The layout that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// The oldest version of runbook that reads what this one writes.
pub const NEEDS: &str = "0.1.0";

/// Longer values are cut into parts of this size.
pub(crate) const PART: usize = 4096;

const WHOLE: u8 = 1;
const PARTS: u8 = 2;

/// The file `FORMAT`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormatFile {
    /// The layout's number.
    pub format: u32,
    /// The oldest version that reads it.
    pub needs: String,
}

/// A [`RunRow`] on the drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredRow {
    commit: u64,
    run: RunId,
    runbook: String,
    status: String,
    exit: Option<u8>,
    started_at: Timestamp,
    finished_at: Option<Timestamp>,
    plan: String,
    plan_file: String,
    holds_commit: Option<u64>,
    linked_to: Option<RunId>,
    world: Option<String>,
}

impl StoredRow {
    pub(crate) fn new(row: &RunRow, plan_file: String, holds_commit: Option<u64>, commit: u64) -> Self {
        let RunRow { run, runbook, status, exit, started_at, finished_at, plan, holds: _, linked_to, world } =
            row.clone();
        Self {
            commit,
            run,
            runbook,
            status,
            exit,
            started_at,
            finished_at,
            plan,
            plan_file,
            holds_commit,
            linked_to,
            world,
        }
    }

    pub(crate) fn commit(&self) -> u64 {
        self.commit
    }

    pub(crate) fn run(&self) -> &RunId {
        &self.run
    }

    /// SHA-256 of the plan's file, hex.
    pub(crate) fn plan_file(&self) -> &str {
        &self.plan_file
    }

    /// The commit that wrote the list of machines; absent: the list is empty.
    pub(crate) fn holds_commit(&self) -> Option<u64> {
        self.holds_commit
    }

    pub(crate) fn into_row(self, holds: Vec<TargetId>) -> RunRow {
        let Self { run, runbook, status, exit, started_at, finished_at, plan, linked_to, world, .. } = self;
        RunRow { run, runbook, status, exit, started_at, finished_at, plan, holds, linked_to, world }
    }
}

/// A [`Resolution`] on the drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredResolution {
    commit: u64,
    run: RunId,
    target: TargetId,
    at: Timestamp,
    by: String,
    note: Option<String>,
}

impl StoredResolution {
    pub(crate) fn new(resolution: &Resolution, commit: u64) -> Self {
        let Resolution { run, target, at, by, note } = resolution.clone();
        Self { commit, run, target, at, by, note }
    }

    pub(crate) fn commit(&self) -> u64 {
        self.commit
    }

    pub(crate) fn into_resolution(self) -> Resolution {
        let Self { commit: _, run, target, at, by, note } = self;
        Resolution { run, target, at, by, note }
    }
}

/// Why bytes are no batch.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// They end too early.
    #[error("it ends too early")]
    Short,
    /// They go on after the end.
    #[error("{0} bytes follow its end")]
    Trailing(usize),
    /// A number, length or tag is impossible.
    #[error("its {0} is impossible")]
    Impossible(&'static str),
    /// An event is not one that this version knows.
    #[error("the event of entry {0} cannot be read")]
    Event(u64),
    /// The hash does not fit the entries and what stands before them.
    #[error("the hash of entry {0} does not match: the chain is broken")]
    Chain(u64),
}

/// Reads the record of a journal's first batch. For fuzzing: whatever the bytes are, it returns.
///
/// # Errors
/// [`Malformed`].
pub fn decode(record: &[u8]) -> Result<Vec<Entry>, Malformed> {
    let mut entries = Vec::new();
    Batch::read(record)?.entries(1, &chain::BEGINNING, &mut |entry| entries.push(entry))?;
    Ok(entries)
}

/// A batch of entries, as stored.
pub(crate) struct Batch<'a> {
    pub(crate) epoch: u64,
    pub(crate) commit: u64,
    pub(crate) at: Timestamp,
    /// Shortened.
    pub(crate) events: Vec<Cow<'a, [u8]>>,
    pub(crate) hash: Hash,
}

impl<'a> Batch<'a> {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut bytes =
            Vec::with_capacity(64 + self.events.iter().map(|event| event.len() + 2).sum::<usize>());
        bytes.push(WHOLE);
        put(&mut bytes, u128::from(self.epoch));
        put(&mut bytes, u128::from(self.commit));
        put(&mut bytes, zigzag(self.at.as_nanosecond()));
        put(&mut bytes, self.events.len() as u128);
        for event in &self.events {
            put(&mut bytes, event.len() as u128);
            bytes.extend_from_slice(event);
        }
        bytes.extend_from_slice(&self.hash);
        bytes
    }

    pub(crate) fn read(mut bytes: &'a [u8]) -> Result<Self, Malformed> {
        let bytes = &mut bytes;
        if take(bytes, 1)? != [WHOLE] {
            return Err(Malformed::Impossible("kind"));
        }
        let epoch = number(bytes, "epoch")?;
        let commit = number(bytes, "commit")?;
        let at =
            Timestamp::from_nanosecond(unzigzag(get(bytes)?)).map_err(|_| Malformed::Impossible("time"))?;
        let count = number(bytes, "number of entries")?;
        // An entry has at least its length, so a count beyond what is left is a lie, and nothing is reserved for it.
        if count > bytes.len() as u64 {
            return Err(Malformed::Short);
        }
        let mut events = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
        for _ in 0..count {
            let length = usize::try_from(number(bytes, "length")?).map_err(|_| Malformed::Short)?;
            events.push(Cow::Borrowed(take(bytes, length)?));
        }
        let hash = take(bytes, 32)?.try_into().map_err(|_| Malformed::Short)?;
        if !bytes.is_empty() {
            return Err(Malformed::Trailing(bytes.len()));
        }
        Ok(Self { epoch, commit, at, events, hash })
    }

    /// Hands over the entries, the first of which has this number and follows `prev`, once the chain is verified.
    pub(crate) fn entries(
        &self,
        first: u64,
        prev: &Hash,
        give: &mut dyn FnMut(Entry),
    ) -> Result<(), Malformed> {
        let texts: Vec<_> = self.events.iter().map(|event| words::restore(event)).collect();
        let mut links = Vec::with_capacity(texts.len() + 1);
        links.push(*prev);
        let mut seq = first;
        for event in &texts {
            let before = links[links.len() - 1];
            links.push(chain::hash(seq, self.at, self.epoch, event, &before));
            seq = seq.checked_add(1).ok_or(Malformed::Impossible("number"))?;
        }
        if links[links.len() - 1] != self.hash {
            return Err(Malformed::Chain(seq - 1));
        }
        for (index, event) in texts.iter().enumerate() {
            let seq = first + index as u64;
            give(Entry {
                seq,
                at: self.at,
                epoch: self.epoch,
                event: serde_json::from_slice::<Event>(event).map_err(|_| Malformed::Event(seq))?,
                prev: chain::hex(&links[index]),
                hash: chain::hex(&links[index + 1]),
            });
        }
        Ok(())
    }
}

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
        let (seq, part) = match key.len() {
            8 => (be64(key)?, 0),
            12 => (be64(&key[..8])?, u32::from_be_bytes(key[8..].try_into().map_err(|_| Malformed::Short)?)),
            _ => return Err(Malformed::Impossible("key")),
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

/// What the keys of a run's batches begin with.
pub(crate) fn batches_of(run: &RunId) -> Vec<u8> {
    let mut key = vec![b'j'];
    key.extend_from_slice(run.as_str().as_bytes());
    key.push(0);
    key
}

fn batch_key(run: &RunId, seq: u64) -> Vec<u8> {
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

/// The records of the machines that a run holds.
pub(crate) fn holds(run: &RunId, commit: u64, list: &[u8]) -> Vec<Record> {
    let prefix = holds_of(run, commit);
    let record =
        |(index, part): (u32, &[u8])| ([&prefix[..], &index.to_be_bytes()].concat(), Some(part.to_vec()));
    (1_u32..).zip(list.chunks(PART)).map(record).collect()
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

fn be64(bytes: &[u8]) -> Result<u64, Malformed> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| Malformed::Short)
}

fn zigzag(number: i128) -> u128 {
    ((number << 1) ^ (number >> 127)).cast_unsigned()
}

fn unzigzag(number: u128) -> i128 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

fn put(bytes: &mut Vec<u8>, mut number: u128) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn get(bytes: &mut &[u8]) -> Result<u128, Malformed> {
    let mut number = 0_u128;
    for shift in (0..126).step_by(7) {
        let byte = take(bytes, 1)?[0];
        number |= u128::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Malformed::Impossible("number"))
}

fn number(bytes: &mut &[u8], what: &'static str) -> Result<u64, Malformed> {
    u64::try_from(get(bytes)?).map_err(|_| Malformed::Impossible(what))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Malformed::Short)?;
    *bytes = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};
    use runbook_engine::{ids::TaskName, run::event::Event};

    use super::{Batch, Cow, chain, decode, get, put, unzigzag, zigzag};
    use crate::{canonical, words};

    fn record() -> Vec<u8> {
        let task = TaskName::new("dev/wave-1/patch");
        let events = [
            Event::TaskLookedUp { task: task.clone(), attempt: 1 },
            Event::TaskSucceeded { task: task.clone() },
        ];
        let at = jiff::Timestamp::new(1_795_000_000, 5).expect("a time");
        let mut batch = Batch { epoch: 3, commit: 9, at, events: Vec::new(), hash: chain::BEGINNING };
        for (seq, event) in (1..).zip(&events) {
            let text = canonical::json(event).expect("JSON");
            batch.hash = chain::hash(seq, at, 3, &text, &batch.hash);
            batch.events.push(Cow::Owned(words::shorten(&text)));
        }
        batch.write()
    }

    #[test]
    fn a_record_is_read_back() {
        let entries = decode(&record()).expect("entries");
        assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(entries[1].prev, entries[0].hash);
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_are_decoding_returns(bytes in any::<Vec<u8>>(), kind in 0_u8..3) {
            let _ = decode(&bytes);
            let _ = decode(&[&[kind], &bytes[..]].concat());
        }

        #[test]
        fn a_changed_record_is_never_taken_for_another(
            place in 0_usize..120,
            change in 1_u8..,
            length in 0_usize..120,
        ) {
            let mut changed = record();
            let place = place % changed.len();
            changed[place] ^= change;
            // The number of the batch is not chained: it is compared with HEAD.
            if let Ok(entries) = decode(&changed) {
                prop_assert!(entries == decode(&record()).expect("entries"));
            }
            changed.truncate(length);
            prop_assert!(length >= record().len() || decode(&changed).is_err());
        }

        #[test]
        fn numbers_are_read_back(number in any::<i128>()) {
            let number = number >> 4;
            let mut bytes = Vec::new();
            put(&mut bytes, zigzag(number));
            let mut rest = &bytes[..];
            prop_assert!(get(&mut rest).map(unzigzag) == Ok(number) && rest.is_empty());
        }
    }
}
