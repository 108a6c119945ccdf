//! Reading records of the disk.

use jiff::Timestamp;
use runbook_engine::ids::{RunId, TargetId};
use serde::de::DeserializeOwned;

use super::Journal;
use crate::{
    chain::{self, Hash},
    disk::Disk,
    error::StoreError,
    format::{self, Batch, Joining, StoredResolution, StoredRow},
    store::Entry,
};

/// Is shown the number of a batch's first entry, and the batch; says whether to go on.
type ShowBatch<'a> = dyn FnMut(u64, &[u8]) -> Result<bool, StoreError> + 'a;

impl<D: Disk> Journal<D> {
    /// The entries from this one on, which is at least 1, for as long as `give` says so.
    pub(super) fn read(
        &self,
        run: &RunId,
        from: u64,
        give: &mut dyn FnMut(Entry) -> bool,
    ) -> Result<(), StoreError> {
        let tip = self.known(run)?;
        let head = self.disk.heads().and_then(|heads| heads.get(run));
        if from > tip.seq {
            return Ok(());
        }
        // The batch that holds entry `from`, and the hash before it: the last batch that begins at or below it, and
        // the end of the one before that.
        let Some(start) = self.start_of_last_batch(run, Some(from + 1))? else {
            return Err(self.damaged(format!("entry 1 of run `{run}` is missing")));
        };
        let (mut next, mut hash) = (1, chain::BEGINNING);
        if let Some(before) = self.start_of_last_batch(run, Some(start))? {
            self.batches_from(run, before, &mut |first, record| {
                let batch = Batch::read(record).map_err(|error| self.malformed(run, first, &error))?;
                (next, hash) = (first + batch.events.len() as u64, batch.hash);
                Ok(false)
            })?;
        }
        let mut wanted = true;
        let read = self.batches_from(run, start, &mut |first, record| {
            if first != next {
                return Err(
                    self.damaged(format!("the journal of run `{run}` has a gap: entry {next} is missing"))
                );
            }
            let malformed = |error| self.malformed(run, first, &error);
            let batch = Batch::read(record).map_err(malformed)?;
            let mut altered = false;
            batch
                .entries(first, &hash, &mut |entry| {
                    altered |= head
                        .is_some_and(|head| head.seq == entry.seq && chain::hex(&head.hash) != entry.hash);
                    if entry.seq >= from && wanted {
                        wanted = give(entry);
                    }
                })
                .map_err(malformed)?;
            if altered {
                return Err(
                    self.damaged(format!("the batch of run `{run}` at entry {first} differs from HEAD"))
                );
            }
            next = first + batch.events.len() as u64;
            hash = batch.hash;
            Ok(wanted)
        });
        let last = next - 1;
        match read {
            Err(StoreError::Damaged { what, .. }) => {
                Err(self.damaged(format!("{what}; the last good entry of run `{run}` is {last}")))
            }
            Err(error) => Err(error),
            Ok(()) if !wanted => Ok(()),
            Ok(()) if last != tip.seq || hash != tip.hash => Err(self
                .damaged(format!("the journal of run `{run}` ends with entry {last}, not with {}", tip.seq))),
            Ok(()) => Ok(()),
        }
    }

    /// The time of an entry, if it is the last one of its batch and has this hash.
    pub(super) fn end_of_batch(
        &self,
        run: &RunId,
        seq: u64,
        hash: &Hash,
    ) -> Result<Option<Timestamp>, StoreError> {
        let Some(start) = self.start_of_last_batch(run, seq.checked_add(1))? else { return Ok(None) };
        let mut at = None;
        self.batches_from(run, start, &mut |first, record| {
            // What cannot be read here is found, and told, by who reads the journal.
            if let Ok(batch) = Batch::read(record)
                && first + batch.events.len() as u64 == seq + 1
                && batch.hash == *hash
            {
                at = Some(batch.at);
            }
            Ok(false)
        })?;
        Ok(at)
    }

    /// The number of the first entry of the run's last batch, among those that begin below `below`.
    pub(super) fn start_of_last_batch(
        &self,
        run: &RunId,
        below: Option<u64>,
    ) -> Result<Option<u64>, StoreError> {
        let prefix = format::batches_of(run);
        let below = below.map(|seq| format::batch_key(run, seq));
        let Some(key) = self.disk.last(&prefix, below.as_deref())? else { return Ok(None) };
        let seq = format::seq_of(&key[prefix.len()..]);
        seq.map(|(seq, _)| Some(seq))
            .ok_or_else(|| self.damaged(format!("a key of run `{run}` cannot be read")))
    }

    /// Shows the run's batches from the one that begins with this entry on, each with the number of its first entry.
    pub(super) fn batches_from(
        &self,
        run: &RunId,
        start: u64,
        show: &mut ShowBatch<'_>,
    ) -> Result<(), StoreError> {
        let prefix = format::batches_of(run);
        let from = format::batch_key(run, start);
        let mut joining = Joining::default();
        let mut last = start;
        self.disk.scan(&prefix, &from, &mut |key, value| {
            let joined = joining
                .take(&key[prefix.len()..], value)
                .map_err(|error| self.malformed(run, last, &error))?;
            if let Some((first, batch)) = joined {
                last = first;
                return show(first, &batch);
            }
            Ok(true)
        })?;
        joining.finish().map_err(|error| self.malformed(run, last, &error))
    }

    pub(super) fn stored_rows(&self) -> Result<Vec<StoredRow>, StoreError> {
        self.list(format::ROWS, "row of a run")
    }

    pub(super) fn stored_row(&self, run: &RunId) -> Result<StoredRow, StoreError> {
        let mut rows = self.stored_rows()?.into_iter();
        rows.find(|row| row.run() == run).ok_or_else(|| self.damaged(format!("run `{run}` has no row")))
    }

    pub(super) fn stored_resolutions(&self) -> Result<Vec<StoredResolution>, StoreError> {
        self.list(format::RESOLUTIONS, "resolution")
    }

    pub(super) fn list<T: DeserializeOwned>(&self, prefix: &[u8], what: &str) -> Result<Vec<T>, StoreError> {
        let mut items = Vec::new();
        self.disk.scan(prefix, prefix, &mut |key, value| {
            items.push(serde_json::from_slice(value).map_err(|error| {
                let key = String::from_utf8_lossy(&key[prefix.len()..]).replace('\0', "/");
                self.damaged(format!("the {what} `{key}` cannot be read: {error}"))
            })?);
            Ok(true)
        })?;
        Ok(items)
    }

    pub(super) fn holds(&self, row: &StoredRow) -> Result<Vec<TargetId>, StoreError> {
        let Some(commit) = row.holds_commit() else { return Ok(Vec::new()) };
        let prefix = format::holds_of(row.run(), commit);
        let mut text = Vec::new();
        self.disk.scan(&prefix, &prefix, &mut |_, part| {
            text.extend_from_slice(part);
            Ok(true)
        })?;
        serde_json::from_slice(&text).map_err(|error| {
            self.damaged(format!("the machines that run `{}` holds cannot be read: {error}", row.run()))
        })
    }
}
