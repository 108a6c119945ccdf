//! The journals of all runs, over some disk.

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use runbook_engine::{
    ids::{RunId, TargetId},
    plan::Plan,
    run::event::Event,
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use crate::{
    canonical,
    chain::{self, Hash},
    disk::{Disk, Head, Record},
    error::StoreError,
    format::{self, Batch, Joining, Malformed, StoredResolution, StoredRow},
    store::{Entry, Resolution, RunRow, RunStore},
    words,
};

/// A [`RunStore`] over a [`Disk`].
#[derive(Debug)]
pub struct Journal<D: Disk> {
    disk: D,
    epoch: u64,
    batches: u64,
    failed: bool,
    tips: BTreeMap<RunId, Tip>,
}

/// Is shown the number of a batch's first entry, and the batch.
type ShowBatch<'a> = dyn FnMut(u64, &[u8]) -> Result<(), StoreError> + 'a;

/// Where a run's journal ends, and what its next row needs.
#[derive(Clone, Debug)]
struct Tip {
    seq: u64,
    hash: Hash,
    commit: u64,
    plan_file: String,
    holds: Vec<TargetId>,
    holds_commit: Option<u64>,
}

impl<D: Disk> Journal<D> {
    /// The journals on this disk. Every run's end is compared with how far it was acknowledged.
    ///
    /// # Errors
    /// [`StoreError`], above all [`StoreError::BehindHead`].
    pub(crate) fn over(disk: D) -> Result<Self, StoreError> {
        let mut journal = Self { disk, epoch: 0, batches: 0, failed: false, tips: BTreeMap::new() };
        for row in journal.stored_rows()? {
            let (tip, epoch) = journal.tip(&row)?;
            journal.epoch = journal.epoch.max(epoch);
            journal.tips.insert(row.run().clone(), tip);
        }
        for resolution in journal.stored_resolutions()? {
            let commit = resolution.commit();
            let run = resolution.into_resolution().run;
            let Some(tip) = journal.tips.get_mut(&run) else {
                return Err(journal.damaged(format!("it has a resolution of run `{run}`, but not the run")));
            };
            tip.commit = tip.commit.max(commit);
        }
        journal.epoch += 1;
        journal.compare_with_head()?;
        Ok(journal)
    }

    /// What it is kept on.
    pub(crate) fn disk(&self) -> &D {
        &self.disk
    }

    fn compare_with_head(&self) -> Result<(), StoreError> {
        let Some(heads) = self.disk.heads() else { return Ok(()) };
        let path = || self.disk.path().to_owned();
        for (run, head) in heads {
            let (last, commit) = self.tips.get(run).map_or((0, 0), |tip| (tip.seq, tip.commit));
            if last < head.seq {
                let run = run.to_string();
                return Err(StoreError::BehindHead { path: path(), run, last, acknowledged: head.seq });
            }
            if commit < head.commit {
                return Err(StoreError::BehindCommit { path: path(), run: run.to_string(), last });
            }
            if let Some(tip) = self.tips.get(run).filter(|tip| tip.seq == head.seq)
                && tip.hash != head.hash
            {
                return Err(self.damaged(format!(
                    "entry {last} of run `{run}` is not the one that was acknowledged: its hash differs from HEAD's"
                )));
            }
        }
        if let Some(run) = self.tips.keys().find(|run| !heads.contains_key(*run)) {
            let what = if heads.is_empty() {
                "is missing or empty, though there are runs".to_owned()
            } else {
                format!("does not name run `{run}`")
            };
            return Err(StoreError::HeadLost { path: path(), what });
        }
        Ok(())
    }

    fn tip(&self, row: &StoredRow) -> Result<(Tip, u64), StoreError> {
        let run = row.run();
        let Some(start) = self.start_of_last_batch(run, None)? else {
            return Err(self.damaged(format!("run `{run}` has a row, but no entry")));
        };
        let mut end = None;
        self.batches_from(run, start, &mut |first, record| {
            let batch = Batch::read(record).map_err(|error| self.malformed(run, first, &error))?;
            end = Some((
                first + (batch.events.len() as u64).saturating_sub(1),
                batch.hash,
                batch.commit,
                batch.epoch,
            ));
            Ok(())
        })?;
        let Some((seq, hash, commit, epoch)) = end else {
            return Err(self.malformed(run, start, &Malformed::Short));
        };
        let tip = Tip {
            seq,
            hash,
            commit: commit.max(row.commit()),
            plan_file: row.plan_file().to_owned(),
            holds: self.holds(row)?,
            holds_commit: row.holds_commit(),
        };
        Ok((tip, epoch))
    }

    /// The number of the first entry of the run's last batch, among those that begin below `below`.
    fn start_of_last_batch(&self, run: &RunId, below: Option<u64>) -> Result<Option<u64>, StoreError> {
        let prefix = format::batches_of(run);
        let below = below.map(|seq| [&prefix[..], &seq.to_be_bytes()].concat());
        let Some(key) = self.disk.last(&prefix, below.as_deref())? else { return Ok(None) };
        let number =
            key[prefix.len()..].first_chunk().ok_or_else(|| self.damaged(format!("a key of run `{run}`")))?;
        Ok(Some(u64::from_be_bytes(*number)))
    }

    /// Shows the run's batches from the one that begins with this entry on, each with the number of its first entry.
    fn batches_from(&self, run: &RunId, start: u64, show: &mut ShowBatch<'_>) -> Result<(), StoreError> {
        let prefix = format::batches_of(run);
        let from = [&prefix[..], &start.to_be_bytes()].concat();
        let mut joining = Joining::default();
        let mut last = start;
        self.disk.scan(&prefix, &from, &mut |key, value| {
            let joined = joining
                .take(&key[prefix.len()..], value)
                .map_err(|error| self.malformed(run, last, &error))?;
            if let Some((first, batch)) = joined {
                last = first;
                show(first, &batch)?;
            }
            Ok(true)
        })?;
        joining.finish().map_err(|error| self.malformed(run, last, &error))
    }

    /// The batch of these events, how the journal ends behind it, and its number of entries.
    fn batch(
        &self,
        run: &RunId,
        at: Timestamp,
        events: &[Event],
        tip: &mut Tip,
    ) -> Result<Vec<Record>, StoreError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let first = tip.seq + 1;
        let mut shortened = Vec::with_capacity(events.len());
        for event in events {
            let text = self.json(event)?;
            tip.seq += 1;
            tip.hash = chain::hash(tip.seq, at, self.epoch, &text, &tip.hash);
            shortened.push(Cow::Owned(words::shorten(&text)));
        }
        let batch = Batch { epoch: self.epoch, commit: tip.commit, at, events: shortened, hash: tip.hash };
        Ok(format::cut(run, first, batch.write()))
    }

    /// The records of a row; the machines that it holds are written only when they changed.
    fn row(&self, row: &RunRow, tip: &mut Tip) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::new();
        if tip.holds != row.holds {
            if let Some(commit) = tip.holds_commit.take() {
                let prefix = format::holds_of(&row.run, commit);
                self.disk.scan(&prefix, &prefix, &mut |key, _| {
                    records.push((key.to_vec(), None));
                    Ok(true)
                })?;
            }
            if !row.holds.is_empty() {
                tip.holds_commit = Some(tip.commit);
                records.extend(format::holds(&row.run, tip.commit, &self.json(&row.holds)?));
            }
            tip.holds.clone_from(&row.holds);
        }
        let stored = StoredRow::new(row, tip.plan_file.clone(), tip.holds_commit, tip.commit);
        records.push((format::row_key(&row.run), Some(self.json(&stored)?)));
        Ok(records)
    }

    /// Writes one durable batch and acknowledges it.
    fn commit(&mut self, run: &RunId, tip: Tip, records: Vec<Record>) -> Result<u64, StoreError> {
        let seq = tip.seq;
        let head = Head { seq, commit: tip.commit, hash: tip.hash };
        let written = self.disk.write(records).and_then(|()| self.disk.acknowledge(run, head));
        if written.is_err() {
            self.failed = true;
        }
        written?;
        self.batches += 1;
        self.tips.insert(run.clone(), tip);
        Ok(seq)
    }

    fn known(&self, run: &RunId) -> Result<&Tip, StoreError> {
        if self.failed {
            return Err(StoreError::Failed { path: self.disk.path().to_owned() });
        }
        self.tips.get(run).ok_or_else(|| StoreError::UnknownRun { run: run.to_string() })
    }

    fn stored_rows(&self) -> Result<Vec<StoredRow>, StoreError> {
        self.list(format::ROWS, "row of a run")
    }

    fn stored_resolutions(&self) -> Result<Vec<StoredResolution>, StoreError> {
        self.list(format::RESOLUTIONS, "resolution")
    }

    fn list<T: DeserializeOwned>(&self, prefix: &[u8], what: &str) -> Result<Vec<T>, StoreError> {
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

    fn holds(&self, row: &StoredRow) -> Result<Vec<TargetId>, StoreError> {
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

    /// What is written comes from our own types: that it has no JSON form is our bug.
    #[expect(clippy::unnecessary_wraps, clippy::expect_used, reason = "our bug, not an expected error")]
    fn json(&self, value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
        Ok(canonical::json(value).expect("events, rows and plans have a JSON form"))
    }

    fn damaged(&self, what: String) -> StoreError {
        StoreError::Damaged { path: self.disk.path().to_owned(), what }
    }

    fn malformed(&self, run: &RunId, first: u64, error: &Malformed) -> StoreError {
        self.damaged(format!(
            "the batch of run `{run}` that begins with entry {first} cannot be read: {error}"
        ))
    }
}

impl<D: Disk> RunStore for Journal<D> {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn create(
        &mut self,
        row: &RunRow,
        plan: &Plan,
        at: Timestamp,
        events: &[Event],
    ) -> Result<(), StoreError> {
        if self.known(&row.run).is_ok() {
            return Err(StoreError::RunExists { run: row.run.to_string() });
        }
        if self.failed {
            return Err(StoreError::Failed { path: self.disk.path().to_owned() });
        }
        let text = plan.to_canonical_json();
        // The plan's digest, so that `sha256sum` shows that the file is the plan that was approved.
        let plan_file = chain::hex(&Sha256::digest(&text).into());
        self.disk.keep_plan(&plan_file, text.as_bytes())?;
        self.disk.announce(&row.run)?;
        let mut tip = Tip {
            seq: 0,
            hash: chain::BEGINNING,
            commit: 1,
            plan_file,
            holds: Vec::new(),
            holds_commit: None,
        };
        let mut records = self.batch(&row.run, at, events, &mut tip)?;
        records.extend(self.row(row, &mut tip)?);
        self.commit(&row.run, tip, records).map(drop)
    }

    fn append(
        &mut self,
        run: &RunId,
        at: Timestamp,
        events: &[Event],
        row: Option<&RunRow>,
    ) -> Result<u64, StoreError> {
        let mut tip = self.known(run)?.clone();
        tip.commit += 1;
        let mut records = self.batch(run, at, events, &mut tip)?;
        if let Some(row) = row {
            records.extend(self.row(row, &mut tip)?);
        }
        if records.is_empty() { Ok(tip.seq) } else { self.commit(run, tip, records) }
    }

    fn plan(&self, run: &RunId) -> Result<Plan, StoreError> {
        let name = &self.known(run)?.plan_file;
        let Some(text) = self.disk.plan(name)? else {
            return Err(self.damaged(format!("the plan of run `{run}`, plans/{name}.json, is missing")));
        };
        if chain::hex(&Sha256::digest(&text).into()) != *name {
            return Err(self.damaged(format!("plans/{name}.json was altered: its SHA-256 is not its name")));
        }
        serde_json::from_slice(&text).map_err(|error| {
            self.damaged(format!("the plan of run `{run}`, plans/{name}.json, cannot be read: {error}"))
        })
    }

    fn each(&self, run: &RunId, from: u64, give: &mut dyn FnMut(Entry)) -> Result<(), StoreError> {
        let tip = self.known(run)?;
        let head = self.disk.heads().and_then(|heads| heads.get(run));
        let from = from.max(1);
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
                if first == before {
                    let batch = Batch::read(record).map_err(|error| self.malformed(run, first, &error))?;
                    (next, hash) = (first + batch.events.len() as u64, batch.hash);
                }
                Ok(())
            })?;
        }
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
                    if entry.seq >= from {
                        give(entry);
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
            Ok(())
        });
        let last = next - 1;
        match read {
            Err(StoreError::Damaged { what, .. }) => {
                Err(self.damaged(format!("{what}; the last good entry of run `{run}` is {last}")))
            }
            Err(error) => Err(error),
            Ok(()) if last != tip.seq || hash != tip.hash => Err(self
                .damaged(format!("the journal of run `{run}` ends with entry {last}, not with {}", tip.seq))),
            Ok(()) => Ok(()),
        }
    }

    fn runs(&self) -> Result<Vec<RunRow>, StoreError> {
        if self.failed {
            return Err(StoreError::Failed { path: self.disk.path().to_owned() });
        }
        let mut rows = Vec::new();
        for row in self.stored_rows()? {
            let holds = self.holds(&row)?;
            rows.push(row.into_row(holds));
        }
        rows.sort_by(|a: &RunRow, b| (a.started_at, &a.run).cmp(&(b.started_at, &b.run)));
        Ok(rows)
    }

    fn seal(&mut self) -> Result<(), StoreError> {
        self.disk.seal()
    }

    fn resolve(&mut self, resolution: &Resolution) -> Result<(), StoreError> {
        let mut tip = self.known(&resolution.run)?.clone();
        tip.commit += 1;
        let key = format::resolution_key(resolution, tip.commit);
        let value = self.json(&StoredResolution::new(resolution, tip.commit))?;
        self.commit(&resolution.run, tip, vec![(key, Some(value))]).map(drop)
    }

    fn resolutions(&self) -> Result<Vec<Resolution>, StoreError> {
        if self.failed {
            return Err(StoreError::Failed { path: self.disk.path().to_owned() });
        }
        let mut list = self.stored_resolutions()?;
        list.sort_by_key(|resolution| resolution.commit());
        Ok(list.into_iter().map(StoredResolution::into_resolution).collect())
    }

    fn batches(&self) -> u64 {
        self.batches
    }
}
