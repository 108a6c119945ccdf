//! What was done to a machine, as the journal tells it.

use std::collections::{BTreeMap, BTreeSet};

use super::known::Known;
use crate::{
    ids::{ScopeName, TargetId},
    outcome::Outcome,
};

/// What was done to a machine.
#[derive(Debug, Default)]
pub(super) struct Machine<'p> {
    pub excluded: bool,
    /// It was not the planned one when its wave was looked at.
    pub refused: bool,
    /// An earlier run backed it up.
    pub carried: bool,
    /// The tasks that it came to, by number.
    pub records: BTreeMap<usize, Record>,
    /// The rollouts in which it entered something that may change it.
    pub touched: BTreeSet<&'p ScopeName>,
    /// What restored it last, since it was changed last.
    pub restore: Option<usize>,
}

/// How a task stands, or came out, on a machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// It went in; else it was refused at the door.
    pub entered: bool,
    /// The task may have done something to it.
    pub started: bool,
    /// An earlier attempt may have.
    pub before: bool,
    pub came: Came,
    /// What was reported of it last, or said by a person.
    pub said: Option<Outcome>,
    /// It failed for good.
    pub settled: bool,
    /// A person said how it came out.
    pub resolved: bool,
    /// The task put out something for it.
    pub told: bool,
    /// Where nobody can say how it came out: what began to restore it since.
    pub remedies: Vec<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Came {
    #[default]
    Open,
    Well,
    Badly,
}

impl Machine<'_> {
    pub fn came(&self, task: usize) -> Option<Came> {
        self.records.get(&task).map(|record| record.came)
    }

    /// Whether there is a backup to go back to.
    pub fn backed_up(&self, known: &Known<'_>) -> bool {
        // What a person says was applied proves no backup that a restore could find.
        let proven = |record: &Record| record.came == Came::Well && (!record.resolved || record.told);
        self.carried
            || self.records.iter().any(|(at, record)| known.task(*at).task.backs_up && proven(record))
    }

    /// The tasks of which nobody can say what became of it, besides `finally`.
    pub fn unknown(&self, known: &Known<'_>) -> impl Iterator<Item = usize> {
        let unknown = |record: &Record| record.said == Some(Outcome::Unknown);
        let records =
            self.records.iter().filter(move |(at, record)| unknown(record) && !known.task(**at).is_final());
        records.map(|(at, _)| *at)
    }

    /// A task that counts in which it failed for good, of those for which this holds.
    pub fn lost_in(&self, known: &Known<'_>, fits: impl Fn(usize, &Record) -> bool) -> Option<usize> {
        let mut records = self.records.iter().filter(|(at, _)| known.task(**at).counts());
        let badly = |record: &Record| record.settled && record.came == Came::Badly;
        records.find(|(at, record)| badly(record) && fits(**at, record)).map(|(at, _)| *at)
    }

    /// Whether it entered something that brings change.
    pub fn changed(&self, known: &Known<'_>) -> bool {
        self.records.iter().any(|(at, record)| record.entered && known.task(*at).brings_change())
    }

    /// Whether something may have been applied to it in a rollout; none: in any.
    pub fn applied_in(&self, known: &Known<'_>, rollout: Option<&ScopeName>) -> bool {
        self.records.iter().any(|(at, record)| {
            let task = known.task(*at);
            let there = rollout.map_or(!task.rollouts.is_empty(), |name| task.rollouts.contains(&name));
            record.started && there && task.is_change()
        })
    }

    /// Whether a task came out badly on it: of one that restores also when what verifies it did.
    pub fn failed_in(
        &self,
        id: &TargetId,
        known: &Known<'_>,
        task: usize,
        satisfied: &BTreeSet<usize>,
    ) -> bool {
        match self.came(task) {
            None | Some(Came::Open) => false,
            Some(Came::Badly) => true,
            Some(Came::Well) => self.unverified(id, known, task, satisfied).is_some(),
        }
    }

    /// The first task that should have found it well after this restore, and did not.
    pub fn unverified(
        &self,
        id: &TargetId,
        known: &Known<'_>,
        restore: usize,
        satisfied: &BTreeSet<usize>,
    ) -> Option<usize> {
        let mut verify = known.task(restore).verify.iter().copied();
        verify.find(|at| match self.came(*at) {
            Some(came) => came != Came::Well,
            None => known.task(*at).lists(id) && !satisfied.contains(at),
        })
    }
}
