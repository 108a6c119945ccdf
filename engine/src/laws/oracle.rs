//! What hears a journal and says which laws it breaks.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Law, Violation};
use crate::{
    ids::{ScopeName, TargetId, TaskName},
    outcome::{Effect, ErrorClass, Outcome, TargetOutcome},
    plan::{Gate, Only, Plan, Role, Scope, ScopeKind, Task, Window, Work},
    run::event::{Event, RunEnd},
};

/// Hears the journal of one run of a plan.
#[derive(Debug)]
pub struct Oracle<'p> {
    tasks: BTreeMap<&'p TaskName, Known<'p>>,
    /// Tasks from which a machine that fails there is brought back, with the machines.
    ways_back: BTreeMap<&'p str, BTreeSet<&'p TargetId>>,
    rollouts: BTreeMap<&'p ScopeName, Rollout>,
    /// The rollout of each wave, and of each wave's window.
    waves: BTreeMap<&'p ScopeName, &'p ScopeName>,
    machines: BTreeMap<TargetId, Machine>,
    end: Option<RunEnd>,
    broken: Vec<Violation>,
}

/// What matters about a task.
#[derive(Debug)]
struct Known<'p> {
    task: &'p Task,
    /// The outermost rollout that it stands in.
    rollout: Option<&'p ScopeName>,
    /// It brings something new to machines, and is no way back.
    changes: bool,
    /// A machine may not enter it without a backup.
    needs_backup: bool,
    window: Option<&'p Window>,
}

#[derive(Debug, Default)]
struct Rollout {
    limit: u32,
    failed: BTreeSet<TargetId>,
    exceeded: bool,
}

/// What was done to a machine.
#[derive(Debug, Default)]
struct Machine {
    backed_up: bool,
    changed: bool,
    excluded: bool,
    /// Something came out badly on it.
    unwell: bool,
    /// Changing tasks that may have applied something.
    entered: BTreeSet<TaskName>,
    /// The task that failed after it was changed, and from which there is a way back that nobody took yet.
    awaits: Option<TaskName>,
    restored: bool,
    /// Its checks passed since it was restored last.
    verified: bool,
}

impl<'p> Oracle<'p> {
    /// Before the first entry.
    pub fn new(plan: &'p Plan) -> Self {
        let scopes: BTreeMap<&ScopeName, &Scope> =
            plan.scopes.iter().map(|scope| (&scope.name, scope)).collect();
        let outermost = |name: &'p ScopeName| {
            let mut found = None;
            let mut at = scopes.get(name);
            while let Some(scope) = at {
                if matches!(scope.kind, ScopeKind::Rollout { .. }) {
                    found = Some(&scope.name);
                }
                at = scope.parent.as_ref().and_then(|parent| scopes.get(parent));
            }
            found
        };
        let known = |task: &'p Task| {
            let changes =
                task.effect.may_change() && task.restores.is_none() && matches!(task.role, Role::Step);
            Known {
                task,
                rollout: outermost(&task.scope),
                changes,
                needs_backup: changes && task.effect == Effect::Changes && task.no_way_back.is_none(),
                window: match &task.work {
                    Work::Gate(Gate::Window(window)) => Some(window),
                    _ => None,
                },
            }
        };
        let tasks = plan.tasks.iter().chain(&plan.rollback).map(|task| (&task.name, known(task))).collect();
        let rollouts = plan.scopes.iter().filter_map(|scope| match &scope.kind {
            ScopeKind::Rollout { max_failures, .. } if outermost(&scope.name) == Some(&scope.name) => {
                Some((&scope.name, Rollout { limit: *max_failures, ..Rollout::default() }))
            }
            _ => None,
        });
        let waves = plan.scopes.iter().filter_map(|scope| match &scope.kind {
            ScopeKind::Wave { .. } => Some((&scope.name, outermost(&scope.name)?)),
            _ => None,
        });
        let mut ways_back: BTreeMap<&str, BTreeSet<&TargetId>> = BTreeMap::new();
        for task in plan.tasks.iter().filter(|task| task.restores.is_some() && task.when.is_none()) {
            if let (Role::Branch { of }, None, None) = (&task.role, &task.only, &task.skip) {
                for of in of {
                    ways_back.entry(of).or_default().extend(task.targets.iter().flatten());
                }
            }
        }
        Self {
            tasks,
            ways_back,
            rollouts: rollouts.collect(),
            waves: waves.collect(),
            machines: BTreeMap::new(),
            end: None,
            broken: Vec::new(),
        }
    }

    /// The next entry.
    pub fn hear(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::TaskStarted { task, targets, refused, .. } => {
                self.started(task, targets);
                self.failed(task, &refused.keys().cloned().collect::<Vec<_>>());
            }
            Event::WaveInspected { scope, refused } => {
                let rollout = self.waves.get(scope).copied();
                self.count(rollout, &refused.keys().cloned().collect::<Vec<_>>());
            }
            Event::TargetsReported { task, targets, report, .. } if report.outcome == Outcome::Succeeded => {
                self.succeeded(task, targets);
            }
            Event::TargetsReported { task, targets, report, .. } => {
                for target in targets {
                    let machine = self.machine(target);
                    machine.unwell = true;
                    if report.class.is_some_and(ErrorClass::proves_nothing_applied) {
                        machine.entered.remove(task);
                    }
                }
            }
            Event::TargetResolved { target: Some(target), .. } => self.machine(target).awaits = None,
            Event::TargetsFailed { task, targets } => self.failed(task, targets),
            Event::TargetsExcluded { targets, .. } => {
                targets.iter().for_each(|target| self.machine(target).excluded = true);
            }
            Event::WaveStarted { scope } => {
                let rollout = self.waves.get(scope).and_then(|name| self.rollouts.get(name));
                if rollout.is_some_and(|rollout| rollout.exceeded) {
                    self.breaks(Law::NothingAfterTheBudget, format!("{scope} began"));
                }
            }
            Event::BudgetExceeded { scope, failures, limit } => {
                if failures <= limit {
                    let said = format!("{scope} is said to be over its budget with {failures} of {limit}");
                    self.breaks(Law::Budget, said);
                }
                if let Some(rollout) = self.rollouts.get_mut(scope) {
                    rollout.exceeded = true;
                }
            }
            Event::TaskSucceeded { task } => self.window(at, task),
            Event::RunFinished { status } => self.end = Some(*status),
            _ => {}
        }
    }

    /// What the journal broke; `outcomes` is what is told of its machines at the end.
    pub fn verdict<'a>(
        mut self,
        outcomes: impl IntoIterator<Item = (&'a TargetId, TargetOutcome)>,
    ) -> Vec<Violation> {
        let Some(end) = self.end else {
            self.breaks(Law::EveryWaitEnds, "the run did not end".to_owned());
            return self.broken;
        };
        let mut untrue = Vec::new();
        for (name, rollout) in &self.rollouts {
            let (count, limit) = (rollout.failed.len(), rollout.limit);
            if (count > limit as usize) != rollout.exceeded {
                let said = if rollout.exceeded { "is" } else { "is not" };
                let detail = format!("{name} {said} said to be over its budget: {count} failed, {limit} may");
                untrue.push(Violation::of(Law::Budget, detail));
            }
        }
        if matches!(end, RunEnd::Restored | RunEnd::Failed | RunEnd::Succeeded) {
            for (id, machine) in self.machines.iter().filter(|(_, machine)| !machine.excluded) {
                if let Some(task) = &machine.awaits {
                    let detail = format!("{id} failed in {task}, and nothing brought it back");
                    untrue.push(Violation::of(Law::TheFailedGoBack, detail));
                }
            }
        }
        let blank = Machine::default();
        for (id, outcome) in outcomes {
            let machine = self.machines.get(id).unwrap_or(&blank);
            if outcome == TargetOutcome::Restored && !machine.verified {
                untrue
                    .push(Violation::of(Law::RestoredIsVerified, format!("{id} was not checked afterwards")));
            }
            let fits = match outcome {
                TargetOutcome::Pending | TargetOutcome::InProgress => false,
                TargetOutcome::NotStarted => !machine.changed,
                TargetOutcome::Restored => machine.restored,
                // A person is needed, and says the rest.
                _ if end == RunEnd::Stuck => true,
                TargetOutcome::Excluded => !machine.changed && machine.excluded,
                _ => true,
            };
            if !fits {
                let was = if machine.changed { "changed" } else { "not changed" };
                untrue.push(Violation::of(
                    Law::OutcomesAreTrue,
                    format!("{id} is told to be {outcome}, and was {was}"),
                ));
            }
        }
        self.broken.append(&mut untrue);
        self.broken
    }

    fn started(&mut self, task: &TaskName, targets: &[TargetId]) {
        self.goes_back(task, targets);
        let Some(known) = self.tasks.get(task).filter(|known| known.changes) else { return };
        let over =
            known.rollout.and_then(|name| self.rollouts.get(name)).is_some_and(|rollout| rollout.exceeded);
        let needs_backup = known.needs_backup;
        for target in targets {
            let machine = self.machine(target);
            let (bare, new) = (needs_backup && !machine.backed_up, !machine.changed);
            machine.changed = true;
            machine.entered.insert(task.clone());
            if bare {
                self.breaks(Law::BackedUp, format!("{task} entered {target}"));
            }
            if over && new {
                self.breaks(Law::NothingAfterTheBudget, format!("{task} entered {target}"));
            }
        }
    }

    fn goes_back(&mut self, task: &TaskName, targets: &[TargetId]) {
        let Some(task) = self.tasks.get(task).map(|known| known.task) else { return };
        if task.restores.is_none() {
            return;
        }
        let only_failed =
            matches!(task.role, Role::Branch { .. }) && matches!(task.only, None | Some(Only::FailedIn(_)));
        for target in targets {
            let machine = self.machine(target);
            machine.awaits = None;
            if only_failed && !machine.unwell {
                self.breaks(Law::TheFailedGoBack, format!("{} entered {target}, which is well", task.name));
            }
        }
    }

    fn succeeded(&mut self, task: &TaskName, targets: &[TargetId]) {
        let Some(known) = self.tasks.get(task) else { return };
        let (backs_up, restores) = (known.task.backs_up, known.task.restores.is_some());
        let verifies = matches!(known.task.role, Role::Verify { .. });
        for target in targets {
            let machine = self.machine(target);
            machine.backed_up |= backs_up;
            if restores {
                machine.restored = true;
                machine.verified = false;
            }
            machine.verified |= verifies;
        }
    }

    fn failed(&mut self, task: &TaskName, targets: &[TargetId]) {
        let Some(known) = self.tasks.get(task) else { return };
        if !matches!(known.task.role, Role::Step | Role::SoakCheck) {
            return;
        }
        let (rollout, name) = (known.rollout, &known.task.name);
        let back = self.ways_back.get(name.as_str()).cloned().unwrap_or_default();
        for target in targets {
            let machine = self.machine(target);
            machine.unwell = true;
            if back.contains(target) && !machine.entered.is_empty() {
                machine.awaits = Some(name.clone());
            }
        }
        self.count(rollout, targets);
    }

    fn count(&mut self, rollout: Option<&ScopeName>, targets: &[TargetId]) {
        // Whoever is excluded does not count, however it comes out.
        let counted: Vec<TargetId> =
            targets.iter().filter(|target| !self.machine(target).excluded).cloned().collect();
        if let Some(rollout) = rollout.and_then(|name| self.rollouts.get_mut(name)) {
            rollout.failed.extend(counted);
        }
    }

    fn window(&mut self, at: Timestamp, task: &TaskName) {
        let Some(window) = self.tasks.get(task).and_then(|known| known.window) else { return };
        let open =
            window.now_or_next(at).is_some_and(|opening| opening.opens <= at && at < opening.starts_until);
        if !open {
            self.breaks(Law::WindowsAreKept, format!("{task} let it begin at {at}"));
        }
    }

    fn machine(&mut self, id: &TargetId) -> &mut Machine {
        self.machines.entry(id.clone()).or_default()
    }

    fn breaks(&mut self, law: Law, detail: String) {
        self.broken.push(Violation::of(law, detail));
    }
}
