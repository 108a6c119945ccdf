//! Who is brought back: exactly the machines that failed after something was changed on them.

use std::collections::BTreeSet;

use super::{
    Law, Oracle,
    known::KnownTask,
    machine::{Came, Machine},
};
use crate::{ids::TargetId, plan::Role};

impl<'p> Oracle<'p> {
    /// A branch that restores what failed takes nobody else.
    pub(super) fn only_the_failed(&mut self, task: usize, targets: &[TargetId]) {
        let known = self.known.task(task);
        let Some(sources) = known.brings_back() else { return };
        let blank = Machine::default();
        let well: Vec<String> = targets
            .iter()
            .filter(|id| {
                let machine = self.machines.get(*id).unwrap_or(&blank);
                !self.failed_in_any(sources, id, machine) || !self.is_changed_around(known, machine)
            })
            .map(|id| format!("{} entered {id}, which did not fail after it was changed", known.name()))
            .collect();
        well.into_iter().for_each(|detail| self.breaks(Law::TheFailedGoBack, detail));
    }

    /// A branch that restores what failed leaves none of them behind.
    pub(super) fn nobody_is_forgotten(&mut self, task: usize, targets: &[TargetId]) {
        for (id, of) in self.left_by(task, targets) {
            let name = self.known.task(task).name();
            self.breaks(Law::TheFailedGoBack, format!("{id} failed in {of}, and {name} left it"));
        }
    }

    /// At the end of a run that nobody ended: a branch that was never decided on has nobody waiting for it.
    pub(super) fn every_way_back_was_asked(&mut self) {
        let undecided: Vec<usize> = self.known.tasks().map(|(at, _)| at).collect();
        for task in undecided.into_iter().filter(|task| !self.decided.contains(task)).collect::<Vec<_>>() {
            for (id, of) in self.left_by(task, &[]) {
                self.breaks(
                    Law::TheFailedGoBack,
                    format!("{id} failed in {of}, and nothing brought it back"),
                );
            }
        }
    }

    /// The machines that a restoring branch should bring back and that are not among these, with where they failed.
    fn left_by(&self, task: usize, targets: &[TargetId]) -> Vec<(TargetId, &'p str)> {
        let known = self.known.task(task);
        let Some(sources) =
            known.brings_back().filter(|_| known.task.when.is_none() && known.task.skip.is_none())
        else {
            return Vec::new();
        };
        let fires =
            known.composites(&self.known).is_none_or(|scopes| scopes.iter().any(|scope| self.is_over(scope)));
        if !fires {
            return Vec::new();
        }
        let entered: BTreeSet<&TargetId> = targets.iter().collect();
        let mut left = Vec::new();
        for id in known.task.targets.iter().flatten().filter(|id| !entered.contains(id)) {
            let Some(machine) = self.machines.get(id).filter(|machine| !machine.excluded) else { continue };
            let of = sources.iter().find(|source| self.started_and_failed_in(source, id, machine));
            if let Some(of) = of.filter(|_| self.is_changed_around(known, machine)) {
                left.push((id.clone(), of.as_str()));
            }
        }
        left
    }

    fn failed_in_any(&self, sources: &[String], id: &TargetId, machine: &Machine<'_>) -> bool {
        sources.iter().any(|source| match self.known.find(source) {
            Some(task) => machine.failed_in(id, &self.known, task, &self.satisfied),
            None => self.rollouts.get(source.as_str()).is_some_and(|it| it.failed.contains(id)),
        })
    }

    /// The same, where it went in, or was changed around it: a step that never reached it is no excuse.
    fn started_and_failed_in(&self, source: &str, id: &TargetId, machine: &Machine<'_>) -> bool {
        let Some(task) = self.known.find(source) else {
            let failed = self.rollouts.get(source).is_some_and(|rollout| rollout.failed.contains(id));
            return failed
                && machine.records.iter().any(|(at, record)| {
                    record.started && self.known.task(*at).rollouts.iter().any(|name| name.as_str() == source)
                });
        };
        let outermost = self.known.task(task).rollouts.last();
        let reached = machine.records.get(&task).is_some_and(|record| record.started)
            || outermost.is_some_and(|name| machine.applied_in(&self.known, Some(name)));
        reached && machine.failed_in(id, &self.known, task, &self.satisfied)
    }

    /// Whether anything was changed on a machine that a branch could bring back.
    fn is_changed_around(&self, branch: &KnownTask<'_>, machine: &Machine<'_>) -> bool {
        let lone = matches!(&branch.task.role, Role::Branch { of } if of.is_empty());
        match branch.rollouts.last() {
            _ if branch.undoes || lone => true,
            Some(rollout) => {
                machine.touched.contains(rollout) && machine.applied_in(&self.known, Some(rollout))
            }
            None => machine.applied_in(&self.known, None),
        }
    }

    /// Whether the restore that a machine had last worked; none: it had none, or was changed since.
    pub(super) fn was_restored(&self, machine: &Machine<'_>) -> Option<bool> {
        machine.restore.map(|restore| machine.came(restore) == Some(Came::Well))
    }
}
