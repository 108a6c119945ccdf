//! Where journals end, and whether that is where they were acknowledged to end.

use std::collections::BTreeMap;

use runbook_engine::ids::TargetId;

use super::Journal;
use crate::{
    chain::Hash,
    disk::Disk,
    error::StoreError,
    format::{Batch, Malformed, StoredRow},
};

/// Where a run's journal ends, and what its next row needs.
#[derive(Clone, Debug)]
pub(super) struct Tip {
    pub(super) seq: u64,
    pub(super) hash: Hash,
    pub(super) commit: u64,
    pub(super) plan_file: String,
    pub(super) holds: Vec<TargetId>,
    pub(super) holds_commit: Option<u64>,
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
            Ok(true)
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
}
