//! What is told of machines at the end.

use super::{
    Law, Oracle,
    machine::{Came, Machine},
};
use crate::{
    ids::TargetId,
    outcome::{Outcome, TargetOutcome},
    plan::Role,
};

impl Oracle<'_> {
    /// Holds what is told of one machine against what was done to it.
    pub(super) fn outcome(&mut self, id: &TargetId, outcome: TargetOutcome) {
        let blank = Machine::default();
        let machine = self.machines.get(id).unwrap_or(&blank);
        if outcome == TargetOutcome::Restored
            && let Some(why) = self.why_unverified(id, machine)
        {
            self.breaks(Law::RestoredIsVerified, format!("{id} {why}"));
        }
        let blank = Machine::default();
        let machine = self.machines.get(id).unwrap_or(&blank);
        let changed = machine.changed(&self.known);
        let fits = match outcome {
            TargetOutcome::Pending | TargetOutcome::InProgress => false,
            TargetOutcome::NotStarted => !changed,
            TargetOutcome::Restored => self.was_restored(machine) == Some(true),
            TargetOutcome::Succeeded => self.why_not_well(id, machine).is_none(),
            TargetOutcome::Excluded => !changed && machine.excluded,
            TargetOutcome::Failed => {
                let touched = !machine.touched.is_empty();
                let failed = machine.refused || self.failed_anywhere(machine).is_some();
                (failed || touched && self.why_not_well(id, machine).is_some())
                    && !self.went_back(id, machine)
            }
            TargetOutcome::Unreachable => self.was_lost(id, machine, Outcome::Unreachable),
            TargetOutcome::TimedOut => self.was_lost(id, machine, Outcome::TimedOut),
            TargetOutcome::Unknown => self.was_lost(id, machine, Outcome::Unknown),
            TargetOutcome::RestoreFailed => self.restore_failed(id, machine),
        };
        // Whoever is told to be restored has a law of its own.
        let judged = matches!(outcome, TargetOutcome::RestoreFailed | TargetOutcome::Restored);
        let fits = fits && (judged || !self.last_way_failed(id, machine));
        if !fits {
            let was = if changed { "changed" } else { "not changed" };
            let why = match outcome {
                TargetOutcome::Succeeded => self.why_not_well(id, machine).map(|why| format!(": {why}")),
                _ => None,
            };
            let detail = format!("{id} is told to be {outcome}, and was {was}{}", why.unwrap_or_default());
            self.breaks(Law::OutcomesAreTrue, detail);
        }
    }

    /// Why a machine is not verified since it was restored last, if so: every check that covers it must have passed.
    fn why_unverified(&self, id: &TargetId, machine: &Machine<'_>) -> Option<String> {
        let Some(restore) = machine.restore else { return Some("was not restored".to_owned()) };
        if self.known.task(restore).verify.is_empty() {
            return Some("was not checked afterwards".to_owned());
        }
        let check = machine.unverified(id, &self.known, restore, &self.satisfied)?;
        Some(format!("did not pass {}", self.known.task(check).name()))
    }

    /// It failed so, and nothing brought it back.
    fn was_lost(&self, id: &TargetId, machine: &Machine<'_>, how: Outcome) -> bool {
        machine.lost_in(&self.known, |_, record| record.said == Some(how)).is_some()
            && !self.went_back(id, machine)
    }

    /// It was restored and verified, in every rollout that changed it or that it failed in.
    fn went_back(&self, id: &TargetId, machine: &Machine<'_>) -> bool {
        let Some(restore) = machine.restore.filter(|_| self.why_unverified(id, machine).is_none()) else {
            return false;
        };
        let here = &self.known.task(restore).rollouts;
        let elsewhere =
            |task: usize| self.known.task(task).rollouts.iter().any(|rollout| !here.contains(rollout));
        self.was_restored(machine) == Some(true)
            && !machine.refused
            && machine.touched.iter().all(|rollout| here.contains(rollout))
            && machine.lost_in(&self.known, |at, _| elsewhere(at)).is_none()
    }

    /// A restore came out badly on it, or what verifies it did.
    fn restore_failed(&self, id: &TargetId, machine: &Machine<'_>) -> bool {
        machine.records.keys().any(|at| {
            self.known.task(*at).task.restores.is_some()
                && machine.failed_in(id, &self.known, *at, &self.satisfied)
        })
    }

    /// The same of the last restore that it had, with no branch behind it.
    fn last_way_failed(&self, id: &TargetId, machine: &Machine<'_>) -> bool {
        machine.restore.is_some_and(|restore| {
            matches!(self.known.task(restore).task.role, Role::Branch { .. })
                && !self.known.has_rungs(restore)
                && machine.failed_in(id, &self.known, restore, &self.satisfied)
        })
    }

    /// A restore worked on it, and its checks passed then.
    pub(super) fn ever_restored(&self, id: &TargetId, machine: &Machine<'_>) -> bool {
        machine.records.keys().any(|at| self.restored_by(*at, id, machine))
    }

    /// The same of a restore of a rollout that a task stands in, or of a rollback, that began when nobody could say how the
    /// task had come out.
    pub(super) fn made_good(&self, id: &TargetId, machine: &Machine<'_>, task: usize) -> bool {
        let lost = &self.known.task(task).rollouts;
        if lost.is_empty() {
            return self.ever_restored(id, machine);
        }
        machine.records.get(&task).into_iter().flat_map(|record| &record.remedies).any(|at| {
            let restore = self.known.task(*at);
            let here = restore.rollouts.is_empty() || restore.rollouts.iter().any(|name| lost.contains(name));
            (restore.undoes || here) && self.restored_by(*at, id, machine)
        })
    }

    fn restored_by(&self, task: usize, id: &TargetId, machine: &Machine<'_>) -> bool {
        self.known.task(task).task.restores.is_some()
            && machine.came(task) == Some(Came::Well)
            && !machine.failed_in(id, &self.known, task, &self.satisfied)
    }

    /// A step, or a check after a soak, that it failed in for good, if there is one.
    fn failed_anywhere(&self, machine: &Machine<'_>) -> Option<&str> {
        let mut records = machine.records.iter();
        records
            .find(|(at, record)| self.known.task(**at).counts() && record.came == Came::Badly)
            .map(|(at, _)| self.known.task(*at).name().as_str())
    }

    /// Why a machine did not come through everything that its rollouts had for it, if so.
    fn why_not_well(&self, id: &TargetId, machine: &Machine<'_>) -> Option<String> {
        if machine.refused {
            return Some("it was not the planned one".to_owned());
        }
        if let Some(task) = self.failed_anywhere(machine) {
            return Some(format!("{task} failed"));
        }
        let steps = self.known.steps.get(id).into_iter().flatten();
        let mut open = steps.filter(|at| {
            !self.satisfied.contains(at) && machine.came(**at) != Some(Came::Well) && {
                let task = self.known.task(**at);
                // Of a rollout that it was not changed in, another one's word holds.
                match machine.touched.is_empty() {
                    true => task.brings_change(),
                    false => task.rollouts.iter().any(|rollout| machine.touched.contains(rollout)),
                }
            }
        });
        open.next().map(|at| format!("{} did not succeed", self.known.task(*at).name()))
    }
}
