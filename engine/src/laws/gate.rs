//! Gates: people and clocks let them through, and nothing that needs one begins before.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Law, Oracle};
use crate::plan::{Gate, Role, Work};

/// An open gate.
#[derive(Debug)]
pub(super) struct OpenGate {
    until: Timestamp,
    approved: BTreeSet<String>,
}

impl Oracle<'_> {
    /// A gate opened, perhaps once more: what was approved before is void.
    pub(super) fn gate_opened(&mut self, task: usize, until: Timestamp) {
        self.gates.insert(task, OpenGate { until, approved: BTreeSet::new() });
    }

    pub(super) fn approved(&mut self, task: usize, by: &str) {
        if let Some(gate) = self.gates.get_mut(&task) {
            gate.approved.insert(by.to_owned());
        }
    }

    /// Whoever must approve a gate did so before it let anything through, and whoever waits has waited. Windows have laws
    /// of their own.
    pub(super) fn gate_was_awaited(&mut self, at: Timestamp, task: usize) {
        let known = self.known.task(task);
        let Work::Gate(gate) = &known.task.work else { return };
        let Some(open) = self.gates.get(&task) else { return };
        let approved = open.approved.len();
        let early = match gate {
            Gate::Approval { quorum, .. } => approved < *quorum as usize,
            Gate::Manual { .. } => approved == 0,
            Gate::WaitFor { .. } | Gate::WaitUntil { .. } => at < open.until,
            Gate::Window(_) => false,
        };
        if early {
            let detail = format!("{} was over at {at}, with {approved} who approved it", known.name());
            self.breaks(Law::WindowsAreKept, detail);
        }
    }

    /// A step begins behind the gates that it needs.
    pub(super) fn behind_its_gates(&mut self, task: usize) {
        let known = self.known.task(task);
        if !matches!(known.task.role, Role::Step) {
            return;
        }
        let mut needed = known.task.needs.iter().filter_map(|name| self.known.find(name));
        let shut = needed.find(|at| {
            let gate = self.known.task(*at);
            let stands = matches!(gate.task.work, Work::Gate(_)) && gate.window().is_none();
            stands && !self.done.contains(at) && !self.satisfied.contains(at)
        });
        if let Some(gate) = shut {
            let detail = format!("{} began before {} let it", known.name(), self.known.task(gate).name());
            self.breaks(Law::WindowsAreKept, detail);
        }
    }
}
