//! What is told of machines at the end.

use super::{
    Law, Oracle,
    machine::{Came, Machine},
};
use crate::{ids::TargetId, outcome::TargetOutcome, run::event::RunEnd};

impl Oracle<'_> {
    /// Holds what is told of one machine against what was done to it.
    pub(super) fn outcome(&mut self, end: RunEnd, id: &TargetId, outcome: TargetOutcome) {
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
            // A person is needed, and says the rest.
            _ if end == RunEnd::Stuck => true,
            TargetOutcome::Excluded => !changed && machine.excluded,
            TargetOutcome::Failed | TargetOutcome::Unreachable | TargetOutcome::TimedOut => {
                changed || machine.refused || self.failed_anywhere(machine).is_some()
            }
            TargetOutcome::Unknown | TargetOutcome::RestoreFailed => true,
        };
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
