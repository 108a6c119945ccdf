//! What hears a journal and says which laws it breaks.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    Law, Violation,
    budget::Rollout,
    ending::Heard,
    gate::OpenGate,
    known::{Known, needs_backup},
    machine::{Came, Machine},
};
use crate::{
    ids::{ScopeName, TargetId, TaskName},
    outcome::{Outcome, TargetOutcome},
    plan::{Plan, ScopeKind},
    run::event::{Event, Report, RunEnd},
};

/// Hears the journal of one run of a plan.
#[derive(Debug)]
pub struct Oracle<'p> {
    pub(super) known: Known<'p>,
    /// By name.
    pub(super) rollouts: BTreeMap<&'p str, Rollout>,
    pub(super) machines: BTreeMap<TargetId, Machine<'p>>,
    /// Waves that began.
    pub(super) begun: BTreeSet<ScopeName>,
    /// Tasks that succeeded.
    pub(super) done: BTreeSet<usize>,
    /// Tasks that were left out, as what needs them may take for done.
    pub(super) satisfied: BTreeSet<usize>,
    /// Tasks that began, or were left out.
    pub(super) decided: BTreeSet<usize>,
    /// Gates that opened.
    pub(super) gates: BTreeMap<usize, OpenGate>,
    /// What is heard of the run as a whole.
    pub(super) heard: Heard,
    pub(super) end: Option<RunEnd>,
    broken: Vec<Violation>,
}

impl<'p> Oracle<'p> {
    /// Before the first entry.
    pub fn new(plan: &'p Plan) -> Self {
        let rollouts = plan.scopes.iter().filter_map(|scope| match &scope.kind {
            ScopeKind::Rollout { max_failures, .. } => {
                Some((scope.name.as_str(), Rollout::of(*max_failures)))
            }
            _ => None,
        });
        let carried = plan.carried.values().flat_map(BTreeMap::keys);
        let carried = carried.map(|id| (id.clone(), Machine { carried: true, ..Machine::default() }));
        Self {
            known: Known::of(plan),
            rollouts: rollouts.collect(),
            machines: carried.collect(),
            begun: BTreeSet::new(),
            done: BTreeSet::new(),
            satisfied: BTreeSet::new(),
            decided: BTreeSet::new(),
            gates: BTreeMap::new(),
            heard: Heard::default(),
            end: None,
            broken: Vec::new(),
        }
    }

    /// The next entry.
    pub fn hear(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::TaskStarted { task, attempt, targets, refused } => {
                self.task(task, |oracle, task| oracle.started(task, *attempt, targets, refused.keys()));
            }
            Event::GateOpened { task, until, targets } => self.task(task, |oracle, task| {
                oracle.behind_its_gates(task);
                oracle.gate_opened(task, *until);
                oracle.entered(task, 1, targets);
            }),
            Event::ApprovalGiven { task, by, .. } => {
                self.task(task, |oracle, task| oracle.approved(task, by));
            }
            Event::WaveInspected { scope, refused } => self.refused(scope, refused.keys()),
            Event::TargetsReported { task, targets, report, .. } => {
                self.task(task, |oracle, task| oracle.reported(task, targets, report));
            }
            Event::TaskReported { task, report, .. } => {
                self.task(task, |oracle, task| oracle.heard.whole(task, report.outcome));
            }
            Event::TargetResolved { task, target: None, .. } => {
                self.task(task, |oracle, task| oracle.heard.known_again(task));
            }
            Event::CancelRequested { .. } => self.heard.cancelled = true,
            Event::OutputsRecorded { task, outputs } => {
                self.task(task, |oracle, task| outputs.keys().for_each(|id| oracle.told(task, id)));
            }
            Event::TargetResolved { task, target: Some(target), applied, .. } => {
                self.task(task, |oracle, task| oracle.resolved(task, target, *applied));
            }
            Event::TargetsFailed { task, targets } => {
                self.task(task, |oracle, task| oracle.failed_for_good(task, targets));
            }
            Event::RetryScheduled { task, targets, .. } => {
                self.task(task, |oracle, task| oracle.tries_again(task, targets));
            }
            Event::TargetsExcluded { targets, .. } => {
                targets.iter().for_each(|target| self.machine(target).excluded = true);
            }
            Event::WaveStarted { scope } => {
                self.wave_within_budget(scope);
                self.wave_within_window(at, scope);
                self.begun.insert(scope.clone());
            }
            Event::BudgetExceeded { scope, failures, limit } => self.exceeded(scope, *failures, *limit),
            Event::TaskSucceeded { task } => self.task(task, |oracle, task| {
                oracle.gate_within_window(at, task);
                oracle.gate_was_awaited(at, task);
                oracle.ended(task, Came::Well);
                oracle.done.insert(task);
            }),
            Event::TaskFailed { task, .. } => {
                self.task(task, |oracle, task| {
                    oracle.ended(task, Came::Badly);
                    oracle.heard.failed.insert(task);
                });
            }
            Event::TaskSkipped { task, satisfies, .. } => self.task(task, |oracle, task| {
                oracle.nobody_is_forgotten(task, &[]);
                oracle.decided.insert(task);
                if *satisfies {
                    oracle.satisfied.insert(task);
                } else {
                    oracle.heard.failed.insert(task);
                }
            }),
            Event::TaskCancelled { task } => self.task(task, |oracle, task| {
                oracle.decided.insert(task);
            }),
            Event::RunFinished { status } => self.end = Some(*status),
            _ => {}
        }
    }

    /// What the journal broke so far, of a run that did not end.
    pub fn noted(self) -> Vec<Violation> {
        self.broken
    }

    /// What the journal broke; `outcomes` is what is told of its machines at the end.
    pub fn verdict<'a>(
        mut self,
        outcomes: impl IntoIterator<Item = (&'a TargetId, TargetOutcome)>,
    ) -> Vec<Violation> {
        let Some(end) = self.end else {
            self.breaks(Law::EveryWaitEnds, "the run did not end");
            return self.broken;
        };
        self.budgets_were_told();
        if matches!(end, RunEnd::Restored | RunEnd::Failed | RunEnd::Succeeded) {
            self.every_way_back_was_asked();
        }
        let outcomes: Vec<_> = outcomes.into_iter().collect();
        for (id, outcome) in &outcomes {
            self.outcome(id, *outcome);
        }
        if let Some(why) = self.why_not(end, &outcomes) {
            self.breaks(Law::OutcomesAreTrue, format!("the run is told to be {}: {why}", end.as_str()));
        }
        self.broken
    }

    // ---- what was done

    fn started<'t>(
        &mut self,
        task: usize,
        attempt: u32,
        targets: &[TargetId],
        refused: impl Iterator<Item = &'t TargetId>,
    ) {
        self.behind_its_window(task);
        self.behind_its_gates(task);
        self.may_change(task, targets);
        if attempt == 1 {
            self.only_the_failed(task, targets);
            self.nobody_is_forgotten(task, targets);
        }
        self.entered(task, attempt, targets);
        self.heard.known_again(task);
        for target in refused {
            let record = self.machine(target).records.entry(task).or_default();
            (record.came, record.settled) = (Came::Badly, true);
            record.said = Some(Outcome::Failed);
            self.count(task, target);
        }
    }

    /// Nothing is changed without a backup, and nothing new after the budget was exceeded.
    fn may_change(&mut self, task: usize, targets: &[TargetId]) {
        let known = self.known.task(task);
        if !known.brings_change() || known.undoes {
            return;
        }
        let name = known.name();
        let over = known.rollouts.iter().any(|rollout| self.is_over(rollout.as_str()));
        for target in targets {
            let machine = self.machines.get(target);
            let known = self.known.task(task);
            let bare =
                needs_backup(known.task) && machine.is_none_or(|machine| !machine.backed_up(&self.known));
            let new = machine.is_none_or(|machine| {
                known.rollouts.iter().all(|rollout| !machine.touched.contains(rollout))
            });
            if bare {
                self.breaks(Law::BackedUp, format!("{name} entered {target}"));
            }
            if over && new {
                self.breaks(Law::NothingAfterTheBudget, format!("{name} entered {target}"));
            }
        }
    }

    fn entered(&mut self, task: usize, attempt: u32, targets: &[TargetId]) {
        self.decided.insert(task);
        self.satisfied.remove(&task);
        let known = self.known.task(task);
        let touches = known.task.effect.may_change() && !known.undoes;
        let (rollouts, restores) = (known.rollouts.clone(), known.task.restores.is_some());
        let (is_change, verify) = (known.brings_change(), known.verify.clone());
        for target in targets {
            let machine = self.machine(target);
            if is_change {
                machine.restore = None;
            }
            if restores {
                machine.restore = Some(task);
                machine.records.retain(|task, _| !verify.contains(task));
                let unknown =
                    machine.records.values_mut().filter(|record| record.said == Some(Outcome::Unknown));
                unknown.for_each(|record| record.remedies.push(task));
            }
            if touches {
                machine.touched.extend(rollouts.iter().copied());
            }
            let record = machine.records.entry(task).or_default();
            record.before = attempt > 1 && record.started;
            (record.entered, record.started) = (true, true);
            (record.came, record.said) = (Came::Open, None);
            (record.settled, record.resolved) = (false, false);
            record.remedies.clear();
        }
        // What verified an earlier attempt is asked again.
        if attempt > 1 {
            self.satisfied.retain(|task| !verify.contains(task));
        }
    }

    fn reported(&mut self, task: usize, targets: &[TargetId], report: &Report) {
        for target in targets {
            let record = self.machine(target).records.entry(task).or_default();
            record.came = if report.outcome == Outcome::Succeeded { Came::Well } else { Came::Badly };
            record.said = Some(report.outcome);
            if report.proves_nothing_applied() {
                record.started = record.before;
            }
        }
    }

    fn told(&mut self, task: usize, target: &TargetId) {
        if let Some(record) = self.machine(target).records.get_mut(&task) {
            record.told = true;
        }
    }

    fn resolved(&mut self, task: usize, target: &TargetId, applied: bool) {
        let record = self.machine(target).records.entry(task).or_default();
        record.resolved = true;
        record.came = if applied { Came::Well } else { Came::Badly };
        record.said = Some(if applied { Outcome::Succeeded } else { Outcome::Failed });
        record.started = applied || record.before;
        if applied {
            self.uncount(task, target);
        }
    }

    fn failed_for_good(&mut self, task: usize, targets: &[TargetId]) {
        for target in targets {
            let record = self.machine(target).records.entry(task).or_default();
            // Also what worked, and was told too late.
            if record.said == Some(Outcome::Succeeded) {
                record.said = Some(Outcome::TimedOut);
            }
            (record.came, record.settled) = (Came::Badly, true);
            self.count(task, target);
        }
    }

    /// What worked too late is tried again, too. A restore is tried again for what its verification found.
    fn tries_again(&mut self, task: usize, targets: &[TargetId]) {
        if self.known.task(task).verify.is_empty() {
            for target in targets {
                self.machine(target).records.entry(task).or_default().came = Came::Badly;
            }
        }
    }

    /// An open gate has no reports of its own.
    fn ended(&mut self, task: usize, came: Came) {
        if !matches!(self.known.task(task).task.work, crate::plan::Work::Gate(_)) {
            return;
        }
        for target in self.known.task(task).task.targets.iter().flatten() {
            if let Some(record) = self.machines.get_mut(target).and_then(|it| it.records.get_mut(&task)) {
                record.came = came;
            }
        }
    }

    fn task(&mut self, name: &TaskName, then: impl FnOnce(&mut Self, usize)) {
        if let Some(task) = self.known.find(name.as_str()) {
            then(self, task);
        }
    }

    pub(super) fn machine(&mut self, id: &TargetId) -> &mut Machine<'p> {
        self.machines.entry(id.clone()).or_default()
    }

    pub(super) fn breaks(&mut self, law: Law, detail: impl Into<String>) {
        self.broken.push(Violation::of(law, detail));
    }
}
