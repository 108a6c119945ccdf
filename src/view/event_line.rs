//! One line for what happened, in the past tense.

use std::{collections::BTreeSet, sync::Arc};

use runbook_engine::{
    ids::{ScopeName, TargetId, TaskName},
    outcome::Outcome,
    plan::{Plan, Role, ScopeKind, Work},
    run::event::{Event, Report},
};

use super::{
    paint::Paint,
    words::{count, gate, link as link_word, machine, moment, some},
};

/// How many machines a line names.
const MOST_NAMES: usize = 4;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Bookkeeping: for `runbook events` alone.
    Book,
    /// An ordinary step forward: for plain lines, not beside live progress.
    Step,
    /// What a person wants to see at once.
    News,
}

/// Tells the events of one run.
#[derive(Clone, Debug)]
pub struct Teller {
    plan: Arc<Plan>,
    paint: Paint,
    /// Tasks of failure branches, which matter more than others: looked up for every event.
    branches: BTreeSet<TaskName>,
}

impl Teller {
    /// For the run of this plan.
    pub fn new(plan: Arc<Plan>, paint: Paint) -> Self {
        let branches = plan
            .tasks
            .iter()
            .chain(&plan.rollback)
            .filter(|task| matches!(task.role, Role::Branch { .. } | Role::Verify { .. }))
            .map(|task| task.name.clone())
            .collect();
        Self { plan, paint, branches }
    }

    /// The line, without its time, and how much it matters.
    pub fn tell(&self, event: &Event) -> (Weight, String) {
        match event {
            Event::RunStarted { run, by, link, not_before, .. } => {
                let link = link.as_ref().map(|link| format!(", {} of {}", link_word(link.kind), link.run));
                let later = not_before.map(|at| format!(", nothing starts before {}", moment(at)));
                (
                    Weight::News,
                    format!(
                        "run {} started by {by}: {} on {}{}{}",
                        self.paint.bold(run.as_str()),
                        self.plan.runbook,
                        count(self.plan.targets.len(), "machine"),
                        link.unwrap_or_default(),
                        later.unwrap_or_default()
                    ),
                )
            }
            Event::RunResumed { by } => (Weight::News, format!("resumed by {by}")),
            Event::IntentRecorded { task, key, call, token, .. } => {
                (Weight::Book, format!("{task}{} about to call {call} ({token})", keyed(key)))
            }
            Event::CheckpointRecorded { task, key, .. } => {
                (Weight::Book, format!("{task}{} noted where it stands", keyed(key)))
            }
            Event::TaskLookedUp { task, .. } => {
                (Weight::Book, format!("{task} looked up what was in flight"))
            }
            Event::TargetsReported { task, targets, report, .. } => self.reported(task, targets, report),
            Event::TaskReported { task, report, .. } => self.reported(task, &[], report),
            Event::OutputsRecorded { task, outputs } => {
                (Weight::Book, format!("{task} put out something ({})", count(outputs.len(), "record")))
            }
            Event::WaveInspected { scope, refused } if refused.is_empty() => {
                (Weight::Book, format!("{scope}: its machines are the planned ones"))
            }
            Event::WaveInspected { scope, refused } => (
                Weight::News,
                format!("{scope}: {} {}", self.paint.red("refused"), self.each(refused.iter())),
            ),
            Event::NotificationSent { number } => (Weight::Book, format!("notification {number} sent")),
            Event::NotificationFailed { number, cause } => (
                Weight::News,
                format!(
                    "{} notification {number} could not be delivered: {cause}",
                    self.paint.yellow("warning:")
                ),
            ),
            Event::ApprovalGiven { .. }
            | Event::ApprovalRejected { .. }
            | Event::RunPaused { .. }
            | Event::RunUnpaused { .. }
            | Event::TargetsExcluded { .. }
            | Event::TargetResolved { .. }
            | Event::CancelRequested { .. } => (Weight::News, self.said(event)),
            _ => self.decided(event),
        }
    }

    /// What people said.
    fn said(&self, event: &Event) -> String {
        let because =
            |text: &Option<String>| text.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        match event {
            Event::ApprovalGiven { task, by, role, note } => {
                let role = if role == by { String::new() } else { format!(" as {role}") };
                format!("{task} {} by {by}{role}{}", self.paint.green("approved"), because(note))
            }
            Event::ApprovalRejected { task, by, note } => {
                format!("{task} {} by {by}{}", self.paint.red("rejected"), because(note))
            }
            Event::RunPaused { by, cause, gate } => {
                let by = gate.as_ref().map_or_else(|| by.clone(), |gate| format!("gate {gate}"));
                format!("{} by {by}{}", self.paint.yellow("paused"), because(cause))
            }
            Event::RunUnpaused { by } => format!("unpaused by {by}"),
            Event::TargetsExcluded { targets, by, because: why } => {
                format!("{} excluded by {by}{}", self.machines(targets), because(why))
            }
            Event::TargetResolved { task, target, applied, by, note } => {
                let on =
                    target.as_ref().map(|id| format!(" on {}", machine(&self.plan, id))).unwrap_or_default();
                let how = if *applied { "applied" } else { "not applied" };
                format!("{task}{on} resolved as {how} by {by}{}", because(note))
            }
            Event::CancelRequested { restore, by, cause } => {
                let how = if *restore { "restore what was changed" } else { "leave everything as it is" };
                format!("{} by {by}, to {how}{}", self.paint.yellow("cancelled"), because(cause))
            }
            _ => String::new(),
        }
    }

    /// What the core decided.
    fn decided(&self, event: &Event) -> (Weight, String) {
        match event {
            Event::WaveStarted { scope } => (Weight::News, self.wave_started(scope)),
            Event::WaveEnded { scope, failed: 0 } => {
                (Weight::News, format!("{scope} {}", self.paint.green("ended")))
            }
            Event::WaveEnded { scope, failed } => (
                Weight::News,
                format!("{scope} ended, {} in it", self.paint.red(&format!("{failed} failed"))),
            ),
            Event::TaskStarted { task, attempt, targets, refused } => {
                let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
                let on = if targets.is_empty() {
                    String::new()
                } else {
                    format!(" on {}", self.machines(targets))
                };
                let out = if refused.is_empty() {
                    String::new()
                } else {
                    format!("; {} {}", self.paint.red("refused"), self.each(refused.iter()))
                };
                let weight = match (self.is_branch(task), refused.is_empty()) {
                    (false, true) => Weight::Step,
                    _ => Weight::News,
                };
                (weight, format!("{task} started{on}{again}{out}"))
            }
            Event::GateOpened { task, until, .. } => (Weight::News, self.gate_opened(task, &moment(*until))),
            Event::AttemptTimedOut { task, attempt } => {
                (Weight::News, format!("{task} {} (attempt {attempt})", self.paint.red("timed out")))
            }
            Event::TargetsFailed { task, targets } => {
                (Weight::Book, format!("{task} failed for good on {}", self.machines(targets)))
            }
            Event::RetryScheduled { task, attempt, targets, at } => {
                let on = if targets.is_empty() {
                    String::new()
                } else {
                    format!(" on {}", self.machines(targets))
                };
                (Weight::News, format!("{task}: attempt {attempt} follows{on} at {}", moment(*at)))
            }
            Event::ResolveExpired { task } => (Weight::News, format!("{task}: nobody resolved it in time")),
            Event::BudgetExceeded { scope, failures, limit } => (
                Weight::News,
                format!(
                    "{scope}: {}, {limit} may: no further machine is changed",
                    self.paint.red(&format!("{failures} failed"))
                ),
            ),
            Event::TaskSucceeded { task } => {
                let weight = if self.is_branch(task) { Weight::News } else { Weight::Step };
                (weight, format!("{task} {}", self.paint.green("succeeded")))
            }
            Event::TaskFailed { task, cause, .. } => {
                (Weight::News, format!("{task} {}: {cause}", self.paint.red("failed")))
            }
            Event::TaskSkipped { task, cause, satisfies } => {
                let weight = if *satisfies && !self.is_branch(task) { Weight::Step } else { Weight::Book };
                (weight, format!("{task} skipped: {cause}"))
            }
            Event::TaskCancelled { task } => (Weight::Book, format!("{task} cancelled")),
            Event::RollbackBegun { cause } => (
                Weight::News,
                format!("{} what was changed, newest wave first: {cause}", self.paint.yellow("restoring")),
            ),
            Event::OutcomeDecided { status, .. } => {
                (Weight::Book, format!("outcome decided: {}", status.as_str()))
            }
            Event::RunFinished { status } => {
                (Weight::News, format!("finished: {}", self.paint.status(status.as_str())))
            }
            _ => (Weight::Book, String::new()),
        }
    }

    fn reported(&self, task: &TaskName, targets: &[TargetId], report: &Report) -> (Weight, String) {
        let on = if targets.is_empty() { String::new() } else { format!(" on {}", self.machines(targets)) };
        if report.outcome == Outcome::Succeeded {
            return (Weight::Book, format!("{task} succeeded{on}"));
        }
        let cause = report.cause.as_deref().map(|cause| format!(": {cause}")).unwrap_or_default();
        // The task's own end says the same once more where there is no machine to name.
        let weight = if targets.is_empty() { Weight::Book } else { Weight::News };
        (weight, format!("{task} {}{on}{cause}", self.paint.red(report.outcome.as_str())))
    }

    fn wave_started(&self, scope: &ScopeName) -> String {
        let targets =
            self.plan.scopes.iter().find(|each| each.name == *scope).and_then(|each| match &each.kind {
                ScopeKind::Wave { targets, .. } | ScopeKind::Part { targets, .. } => Some(targets),
                _ => None,
            });
        match targets {
            Some(targets) if !targets.is_empty() => format!("{scope} started: {}", self.machines(targets)),
            _ => format!("{scope} started"),
        }
    }

    fn gate_opened(&self, task: &TaskName, until: &str) -> String {
        let opened = self.paint.yellow("opened");
        match self.plan.tasks.iter().find(|each| each.name == *task).map(|each| &each.work) {
            Some(Work::Gate(what)) => format!("{task} {opened}: {}, until {until}", gate(what)),
            _ => format!("{task} {opened}, until {until}"),
        }
    }

    fn machines(&self, targets: &[TargetId]) -> String {
        let names: Vec<String> =
            targets.iter().take(MOST_NAMES + 1).map(|id| machine(&self.plan, id)).collect();
        if targets.len() <= MOST_NAMES {
            return names.join(", ");
        }
        format!("{} machines ({}, …)", targets.len(), names[..2].join(", "))
    }

    fn each<'b>(&self, refused: impl Iterator<Item = (&'b TargetId, &'b String)>) -> String {
        let all: Vec<String> =
            refused.map(|(id, cause)| format!("{}: {cause}", machine(&self.plan, id))).collect();
        some(&all, MOST_NAMES)
    }

    fn is_branch(&self, task: &TaskName) -> bool {
        self.branches.contains(task)
    }
}

fn keyed(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!(" on {key}") }
}
