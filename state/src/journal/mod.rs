//! The journals of all runs, over some disk.

mod artifacts;
mod ends;
mod reading;

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use runbook_engine::{ids::RunId, plan::Plan, run::event::Event};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use self::ends::Tip;
use crate::{
    artifact::{self, ArtifactRow},
    canonical, chain,
    disk::{Disk, Head, Record},
    error::StoreError,
    format::{self, Batch, Malformed, StoredResolution, StoredRow},
    store::{Entry, KeptState, Resolution, RunRow, RunStore},
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

impl<D: Disk> Journal<D> {
    /// What it is kept on.
    pub(crate) fn disk(&self) -> &D {
        &self.disk
    }

    /// The batch of these events with the artifacts that they bring, how the journal ends behind it, and its number of entries.
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
        let mut records = format::cut(run, first, batch.write());
        for event in events {
            records.extend(self.artifact_records(&artifact::rows_of(run, at, event))?);
        }
        Ok(records)
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
    fn id(&self) -> &str {
        self.disk.id()
    }

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
        self.read(run, from.max(1), &mut |entry| {
            give(entry);
            true
        })
    }

    fn some(&self, run: &RunId, from: u64, most: usize) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        self.read(run, from.max(1), &mut |entry| {
            if entries.len() < most {
                entries.push(entry);
            }
            entries.len() < most
        })?;
        Ok(entries)
    }

    fn keep_state(&mut self, run: &RunId, state: &[u8]) -> Result<(), StoreError> {
        let tip = self.known(run)?;
        let first_line = format::kept::first_line(run, tip.seq, &tip.hash, state);
        self.disk.keep_state(run, [first_line.as_bytes(), state])
    }

    fn kept_state(&self, run: &RunId) -> Result<Option<KeptState>, StoreError> {
        self.known(run)?;
        // A cache that cannot be read is as good as none. What is wrong with the journal is told by who reads that.
        let unread = |error: StoreError| {
            tracing::warn!(%run, %error, "the state that was kept of the run cannot be read, and is not used");
            None
        };
        let Some(file) = self.disk.state(run).unwrap_or_else(unread) else { return Ok(None) };
        let Some((seq, hash, state)) = format::kept::read(run, &file) else {
            tracing::warn!(%run, "the state that was kept of the run is damaged, and is not used");
            return Ok(None);
        };
        let at = self.end_of_batch(run, seq, &hash).unwrap_or_else(|error| {
            tracing::warn!(%run, %error, "where the kept state of the run belongs cannot be read: it is not used");
            None
        });
        Ok(at.map(|at| KeptState { seq, at, state: state.to_vec() }))
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

    fn artifacts(&self, run: Option<&RunId>) -> Result<Vec<ArtifactRow>, StoreError> {
        if let Some(run) = run {
            self.known(run)?;
        } else if self.failed {
            return Err(StoreError::Failed { path: self.disk.path().to_owned() });
        }
        self.artifact_rows(run)
    }

    fn collect(&mut self, run: &RunId, rows: &[ArtifactRow]) -> Result<(), StoreError> {
        let mut tip = self.known(run)?.clone();
        if rows.is_empty() {
            return Ok(());
        }
        tip.commit += 1;
        let mut records = self.artifact_records(rows)?;
        // The row of the run says how many batches there are: artifacts are not read when a store is opened.
        let row = self.stored_row(run)?.at_commit(tip.commit);
        records.push((format::row_key(run), Some(self.json(&row)?)));
        self.commit(run, tip, records).map(drop)
    }

    fn batches(&self) -> u64 {
        self.batches
    }
}
