//! How the run ends: what the end may be, from what was counted and from what is told of machines.

use std::collections::BTreeSet;

use super::{
    Oracle,
    machine::{Came, Machine},
};
use crate::{
    ids::TargetId,
    outcome::{Outcome, TargetOutcome},
    run::event::RunEnd,
};

/// What is heard of a run as a whole.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// A person ended it.
    pub cancelled: bool,
    /// Tasks that failed, or were skipped for a failure.
    pub failed: BTreeSet<usize>,
    /// Tasks without machines of which nobody can say how they came out.
    unknown: BTreeSet<usize>,
}

impl Heard {
    /// A task without machines came out.
    pub fn whole(&mut self, task: usize, outcome: Outcome) {
        match outcome {
            Outcome::Unknown => self.unknown.insert(task),
            _ => self.unknown.remove(&task),
        };
    }

    /// A person said how a task came out, or it begins anew.
    pub fn known_again(&mut self, task: usize) {
        self.unknown.remove(&task);
    }
}

impl Oracle<'_> {
    /// Why the run cannot have ended so, if it cannot.
    pub(super) fn why_not(&self, end: RunEnd, outcomes: &[(&TargetId, TargetOutcome)]) -> Option<String> {
        let needed = self.who_needs_a_person(outcomes);
        let over = self.rollouts.iter().find(|(_, rollout)| rollout.over()).map(|(name, _)| *name);
        match (end, needed, over) {
            (RunEnd::Stuck, _, _) => {
                (!self.may_need_a_person(outcomes)).then(|| "nobody needs a person".into())
            }
            (_, Some(who), _) => Some(format!("{who}, and that needs a person")),
            (RunEnd::Cancelled, None, _) => (!self.heard.cancelled).then(|| "nobody cancelled it".into()),
            (_, None, _) if self.heard.cancelled => Some("it was cancelled".into()),
            (RunEnd::Succeeded, None, Some(over)) => Some(format!("{over} is over its budget")),
            (RunEnd::Succeeded, None, None) => {
                let failed = self.heard.failed.iter().find(|task| self.known.is_alone(**task))?;
                Some(format!("{} did not succeed", self.known.task(*failed).name()))
            }
            (RunEnd::Failed, None, over) => {
                let failed = over.is_some()
                    || !self.heard.failed.is_empty()
                    || self.machines.values().any(|machine| machine.refused);
                (!failed).then(|| "nothing failed".into())
            }
            (RunEnd::Restored, None, None) => Some("nothing is over its budget".into()),
            (RunEnd::Restored, None, Some(_)) => self.who_is_not_back(),
        }
    }

    /// Who needs a person for certain: a restore failed, nobody can say what was applied and nothing restored it, or a
    /// branch that restores nothing failed.
    fn who_needs_a_person(&self, outcomes: &[(&TargetId, TargetOutcome)]) -> Option<String> {
        let open = |outcome| matches!(outcome, TargetOutcome::RestoreFailed | TargetOutcome::Unknown);
        if let Some((id, outcome)) = outcomes.iter().find(|(_, outcome)| open(*outcome)) {
            return Some(format!("{id} is {outcome}"));
        }
        if let Some(task) = self.unknown_task() {
            return Some(format!("the outcome of {} is unknown", self.known.task(task).name()));
        }
        self.machines.iter().find_map(|(id, machine)| {
            let mut unknown = machine.unknown(&self.known);
            if let Some(task) = unknown.find(|task| !self.made_good(id, machine, *task)) {
                return Some(format!("the outcome of {} on {id} is unknown", self.known.task(task).name()));
            }
            let task = self.failed_branch(machine)?;
            Some(format!("{} failed on {id}", self.known.task(task).name()))
        })
    }

    /// Whether anything was heard for which a run may be stuck.
    fn may_need_a_person(&self, outcomes: &[(&TargetId, TargetOutcome)]) -> bool {
        outcomes.iter().any(|(_, outcome)| *outcome == TargetOutcome::RestoreFailed)
            || self.unknown_task().is_some()
            || self.machines.values().any(|machine| {
                machine.unknown(&self.known).next().is_some() || self.failed_branch(machine).is_some()
            })
    }

    fn unknown_task(&self) -> Option<usize> {
        self.heard.unknown.iter().copied().find(|task| !self.known.task(*task).is_final())
    }

    fn failed_branch(&self, machine: &Machine<'_>) -> Option<usize> {
        let records = machine.records.iter().filter(|(_, record)| record.came == Came::Badly);
        records.map(|(at, _)| *at).find(|at| self.known.leaves_to_a_person(*at))
    }

    /// A run that is restored brought something back, and left nothing that failed changed.
    fn who_is_not_back(&self) -> Option<String> {
        if !self.machines.iter().any(|(id, machine)| self.ever_restored(id, machine)) {
            return Some("nothing was restored".into());
        }
        self.machines.iter().find_map(|(id, machine)| {
            let task = machine.lost_in(&self.known, |at, _| {
                let mut rollouts = self.known.task(at).rollouts.iter();
                rollouts
                    .any(|name| machine.touched.contains(name) && machine.applied_in(&self.known, Some(name)))
            });
            let task = task.filter(|_| !machine.excluded && !self.ever_restored(id, machine))?;
            Some(format!("{id} failed in {} and was not restored", self.known.task(task).name()))
        })
    }
}
