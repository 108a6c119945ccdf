//! What happened in one world, as expectations ask for it.

use std::collections::{BTreeSet, HashMap, HashSet};

use runbook_engine::{
    document::expectation::MachineWord,
    ids::{TargetId, TaskName},
    outcome::TargetOutcome,
    run::event::Event,
};
use runbook_steps::world::Call;

use crate::rehearsal::Rehearsed;

/// What happened in one world.
#[derive(Debug)]
pub struct Facts<'r> {
    pub(super) world: &'r Rehearsed,
    /// Number of the entry, the task, the machines that entered (none: it has no machines).
    begun: Vec<(usize, &'r TaskName, &'r [TargetId])>,
    /// The same for what was over: for some machines, or as a whole.
    over: Vec<(usize, &'r TaskName, Option<&'r [TargetId]>)>,
    touched: HashSet<&'r TargetId>,
    installed: HashSet<&'r TargetId>,
    words: BTreeSet<&'r str>,
}

/// Where something begins or ends, by number of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Course {
    pub first_begun: usize,
    /// Absent: some of it was not over at the end.
    pub last_over: Option<usize>,
}

impl<'r> Facts<'r> {
    /// Of a world whose journal was asked for.
    pub fn of(world: &'r Rehearsed) -> Self {
        let mut facts = Self {
            world,
            begun: Vec::new(),
            over: Vec::new(),
            touched: HashSet::new(),
            installed: HashSet::new(),
            words: world.ended.cause.as_deref().into_iter().collect(),
        };
        for (number, entry) in world.trace.iter().enumerate() {
            facts.hear(number, &entry.event);
        }
        for call in world.made.iter().filter(|call| call.took_effect) {
            facts.touched.extend(&call.machines);
            if matches!(call.does(), Some("Install" | "install")) {
                facts.installed.extend(&call.machines);
            }
        }
        facts
    }

    fn hear(&mut self, number: usize, event: &'r Event) {
        match event {
            Event::TaskStarted { task, targets, refused, .. } => {
                // Where everybody was refused at the door, nobody has begun: it is no task without machines.
                if !targets.is_empty() || refused.is_empty() {
                    self.begun.push((number, task, targets));
                }
                self.words.extend(refused.values().map(String::as_str));
            }
            Event::GateOpened { task, targets, .. } => self.begun.push((number, task, targets)),
            Event::TargetsReported { task, targets, report, .. } => {
                self.over.push((number, task, Some(targets)));
                self.words.extend(report.cause.as_deref());
            }
            Event::TaskSucceeded { task } => self.over.push((number, task, None)),
            Event::TaskFailed { task, cause, .. } => {
                self.over.push((number, task, None));
                self.words.insert(cause);
            }
            Event::TaskReported { report, .. } => self.words.extend(report.cause.as_deref()),
            Event::TaskSkipped { cause, .. } | Event::RollbackBegun { cause } => {
                self.words.insert(cause);
            }
            Event::WaveInspected { refused, .. } => self.words.extend(refused.values().map(String::as_str)),
            Event::NotificationFailed { cause, .. } => {
                self.words.insert(cause);
            }
            Event::RunPaused { cause, .. }
            | Event::CancelRequested { cause, .. }
            | Event::OutcomeDecided { cause, .. } => self.words.extend(cause.as_deref()),
            _ => {}
        }
    }

    /// Calls that took effect.
    pub(super) fn effects(&self) -> impl Iterator<Item = &'r Call> {
        self.world.made.iter().filter(|call| call.took_effect)
    }

    /// Every message of the run.
    pub(super) fn messages(&self) -> impl Iterator<Item = &'r str> {
        self.words.iter().copied()
    }

    /// The first of these tasks that began, on one of these machines where they are named.
    pub(super) fn begun(&self, tasks: &BTreeSet<TaskName>, on: Option<&[TargetId]>) -> Option<&'r TaskName> {
        let concerns =
            |targets: &[TargetId]| on.is_none_or(|on| targets.iter().any(|target| on.contains(target)));
        let found = self.begun.iter().find(|(_, task, targets)| tasks.contains(*task) && concerns(targets));
        found.map(|(_, task, _)| *task)
    }

    /// From where to where these tasks went: on one machine (tasks without machines count for each), or as a whole. `None`:
    /// none of them began.
    pub(super) fn course(&self, tasks: &BTreeSet<TaskName>, on: Option<&TargetId>) -> Option<Course> {
        let mut open: HashMap<&TaskName, Option<usize>> = HashMap::new();
        let mut first = None;
        for (number, task, targets) in &self.begun {
            let concerns = on.is_none_or(|on| targets.is_empty() || targets.contains(on));
            if tasks.contains(*task) && concerns {
                first = first.or(Some(*number));
                open.insert(task, None);
            }
        }
        for (number, task, targets) in &self.over {
            // A machine is through when it is reported; a whole task, and one without machines, when it is over.
            let concerns = match (on, targets) {
                (Some(on), Some(targets)) => targets.contains(on),
                (Some(_), None) => self.has_no_machines(task),
                (None, targets) => targets.is_none(),
            };
            if let Some(over) = open.get_mut(task).filter(|_| concerns) {
                *over = Some(*number);
            }
        }
        let last_over = open.into_values().collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
        Some(Course { first_begun: first?, last_over })
    }

    fn has_no_machines(&self, task: &TaskName) -> bool {
        self.begun.iter().any(|(_, begun, targets)| *begun == task && targets.is_empty())
    }

    /// Whether a machine came out so.
    pub(super) fn is(&self, machine: &TargetId, word: MachineWord) -> bool {
        let outcome = self.world.machines.get(machine).copied();
        match word {
            MachineWord::Is(wanted) => outcome == Some(wanted),
            MachineWord::Patched => {
                outcome == Some(TargetOutcome::Succeeded) && self.installed.contains(machine)
            }
            MachineWord::Untouched => !self.touched.contains(machine),
        }
    }

    /// How a machine came out, in words.
    pub(super) fn came_out(&self, machine: &TargetId) -> String {
        let Some(outcome) = self.world.machines.get(machine) else {
            let touched = if self.touched.contains(machine) { "touched" } else { "untouched" };
            return format!("not in the plan, {touched}");
        };
        let done = match (self.installed.contains(machine), self.touched.contains(machine)) {
            (true, _) if *outcome == TargetOutcome::Succeeded => "packages were installed",
            (true, _) => "an installation was begun",
            (false, true) => "no packages were installed",
            (false, false) => "untouched",
        };
        format!("{outcome}, {done}")
    }
}
