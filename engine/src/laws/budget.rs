//! Budgets, counted from what is told of machines and not from what the engine says of its count.

use std::collections::BTreeSet;

use super::{Law, Oracle, machine::Came};
use crate::ids::{ScopeName, TargetId};

/// A rollout's budget.
#[derive(Debug)]
pub(super) struct Rollout {
    limit: u32,
    /// The machines that count.
    pub failed: BTreeSet<TargetId>,
    /// The journal says that it is over its budget.
    said: bool,
}

impl Rollout {
    pub fn of(limit: u32) -> Self {
        Self { limit, failed: BTreeSet::new(), said: false }
    }

    pub fn over(&self) -> bool {
        self.failed.len() > self.limit as usize
    }
}

impl Oracle<'_> {
    /// More machines failed in a rollout than may.
    pub(super) fn is_over(&self, rollout: &str) -> bool {
        self.rollouts.get(rollout).is_some_and(Rollout::over)
    }

    /// A machine failed in a task for good: it counts in every rollout around.
    pub(super) fn count(&mut self, task: usize, target: &TargetId) {
        if self.known.task(task).counts() {
            for rollout in self.known.task(task).rollouts.clone() {
                self.count_in(rollout, target);
            }
        }
    }

    fn count_in(&mut self, rollout: &ScopeName, target: &TargetId) {
        // Whoever is excluded does not count, however it comes out.
        if !self.machine(target).excluded
            && let Some(rollout) = self.rollouts.get_mut(rollout.as_str())
        {
            rollout.failed.insert(target.clone());
        }
    }

    /// Machines that are not the planned ones are out before their wave, and count.
    pub(super) fn refused<'t>(&mut self, wave: &ScopeName, targets: impl Iterator<Item = &'t TargetId>) {
        let rollout = self.known.rollouts_around(wave).first().copied();
        for target in targets {
            self.machine(target).refused = true;
            if let Some(rollout) = rollout {
                self.count_in(rollout, target);
            }
        }
    }

    /// A person found it well: it counts no longer, unless it failed elsewhere or the rollout was stopped already.
    pub(super) fn uncount(&mut self, task: usize, target: &TargetId) {
        for name in self.known.task(task).rollouts.clone() {
            let mut records = self.machines.get(target).into_iter().flat_map(|machine| &machine.records);
            let elsewhere = records.any(|(at, record)| {
                let known = self.known.task(*at);
                let failed = record.settled && record.came == Came::Badly;
                failed && known.counts() && known.rollouts.contains(&name)
            });
            if let Some(rollout) =
                self.rollouts.get_mut(name.as_str()).filter(|rollout| !rollout.said && !elsewhere)
            {
                rollout.failed.remove(target);
            }
        }
    }

    pub(super) fn exceeded(&mut self, scope: &ScopeName, failures: u32, limit: u32) {
        let Some(rollout) = self.rollouts.get_mut(scope.as_str()) else { return };
        rollout.said = true;
        let (count, may) = (rollout.failed.len(), rollout.limit);
        if !rollout.over() || failures <= limit {
            let said = format!("{scope} is said to be over its budget with {failures} of {limit}");
            self.breaks(Law::Budget, format!("{said}: {count} failed, {may} may"));
        }
    }

    pub(super) fn wave_within_budget(&mut self, wave: &ScopeName) {
        if self.known.rollouts_around(wave).iter().any(|rollout| self.is_over(rollout.as_str())) {
            self.breaks(Law::NothingAfterTheBudget, format!("{wave} began"));
        }
    }

    pub(super) fn budgets_were_told(&mut self) {
        let unsaid = self.rollouts.iter().filter(|(_, rollout)| rollout.over() && !rollout.said);
        let unsaid: Vec<String> = unsaid
            .map(|(name, rollout)| {
                let (count, limit) = (rollout.failed.len(), rollout.limit);
                format!("{name} is not said to be over its budget: {count} failed, {limit} may")
            })
            .collect();
        unsaid.into_iter().for_each(|detail| self.breaks(Law::Budget, detail));
    }
}
