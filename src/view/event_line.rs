//! One line for what happened, in the past tense.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use runbook_engine::{
    ids::{ScopeName, TargetId, TaskName},
    outcome::Outcome,
    plan::{Gate, Plan, Role, ScopeKind, Task, Window, Work},
    run::event::{Event, Report},
};

use super::{
    lost,
    paint::Paint,
    patchset,
    words::{between, count, link as link_word, machine, moment, names, some, window},
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
    /// Where each task stands in the plan (those that undo behind the others): looked up for every event.
    tasks: BTreeMap<TaskName, usize>,
}

impl Teller {
    /// For the run of this plan.
    pub fn new(plan: Arc<Plan>, paint: Paint) -> Self {
        let tasks = plan.tasks.iter().chain(&plan.rollback).map(|task| task.name.clone()).zip(0..).collect();
        Self { plan, paint, tasks }
    }

    /// The line for what happened then, without its time, and how much it matters.
    pub fn tell(&self, at: Timestamp, event: &Event) -> (Weight, String) {
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
            Event::ArtifactsMade { task, artifacts, .. } => {
                let what: Vec<_> =
                    artifacts.iter().map(|made| format!("{} {}", made.kind, made.id)).collect();
                (Weight::Book, format!("{task} made {}", what.join(", ")))
            }
            Event::CheckpointRecorded { task, key, .. } => {
                (Weight::Book, format!("{task}{} noted where it stands", keyed(key)))
            }
            Event::TaskLookedUp { task, .. } => {
                (Weight::Book, format!("{task} looked up what was in flight"))
            }
            Event::TargetsReported { task, targets, report, .. } => self.reported(task, targets, report),
            Event::TaskReported { task, report, .. } => self.reported(task, &[], report),
            Event::OutputsRecorded { task, outputs } => match lost::line(&self.plan, outputs, self.paint) {
                Some(line) => (Weight::News, format!("{task} {line}")),
                None => {
                    (Weight::Book, format!("{task} put out something ({})", count(outputs.len(), "record")))
                }
            },
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
            _ => self.decided(at, event),
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
    fn decided(&self, at: Timestamp, event: &Event) -> (Weight, String) {
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
            Event::GateOpened { task, until, .. } => self.gate_opened(task, at, &moment(*until)),
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
            Event::PatchsetLocked { from, tested } => {
                (Weight::News, format!("the patchset of {from} is locked: {}", patchset::tested(tested)))
            }
            Event::PackagesBarred { packages } => (
                Weight::News,
                format!("{} {}", self.paint.red("barred"), patchset::barred(&self.plan, packages)),
            ),
            Event::PackagesCleared { packages } => {
                (Weight::News, format!("{} {}", self.paint.green("cleared"), patchset::versions(packages)))
            }
            Event::TaskSucceeded { task } => {
                let weight = if self.is_branch(task) { Weight::News } else { Weight::Step };
                (weight, format!("{task} {}", self.paint.green("succeeded")))
            }
            Event::TaskFailed { task, cause, .. } => {
                // Where it has machines, their reports said so already.
                let alone = self.task(task).is_none_or(|task| task.targets.is_none());
                let weight = if alone { Weight::News } else { Weight::Book };
                (weight, format!("{task} {}: {cause}", self.paint.red("failed")))
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
        let on =
            if targets.is_empty() { String::new() } else { format!(" on {}", self.failed_machines(targets)) };
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

    /// Why a wave does not begin in a window that is open for others.
    fn no_room(&self, task: &Task, window: &Window, at: Timestamp) -> Option<String> {
        let need = self.plan.rooms().get(&task.name)?.need();
        let open = window.now_or_next(at).filter(|opening| opening.opens <= at)?;
        Some(format!("it needs {} of it, and {} are left", need.in_words(), between(at, open.closes)))
    }

    fn gate_opened(&self, name: &TaskName, at: Timestamp, until: &str) -> (Weight, String) {
        let Some(task @ Task { work: Work::Gate(gate), role, .. }) = self.task(name) else {
            return (Weight::News, format!("{name} waits, until {until}"));
        };
        let waits = self.paint.yellow("waits");
        match gate {
            Gate::WaitFor { span } if *role == Role::SoakWait => {
                (Weight::Step, format!("{name} began: {span}, until {until}"))
            }
            Gate::WaitFor { .. } | Gate::WaitUntil { .. } => {
                (Weight::News, format!("{name} {waits} until {until}"))
            }
            Gate::Window(each) => match self.plan.window_of(task).and_then(|window| window.now_or_next(at)) {
                Some(opening) if opening.opens > at => {
                    let opens = moment(opening.opens);
                    let line = match self.no_room(task, each, at) {
                        Some(why) => {
                            format!("{name} {waits} for the next opening of its window, {opens}: {why}")
                        }
                        None => format!("{name} {waits} for its window, which opens {opens}"),
                    };
                    (Weight::News, line)
                }
                // Asked again before every wave, and mostly open then.
                _ => (Weight::Step, format!("{name} is open: {}", window(each))),
            },
            Gate::Approval { approvers, quorum, .. } => {
                let who = approvers.join(", ");
                (Weight::News, format!("{name} {waits} for {quorum} of {who}, until {until}"))
            }
            Gate::Manual { instructions, .. } => {
                let line = instructions.lines().next().unwrap_or_default();
                (Weight::News, format!("{name} {waits} for a person, until {until}: {line}"))
            }
        }
    }

    /// The names, in their order; ids are for machines that failed.
    fn machines(&self, targets: &[TargetId]) -> String {
        let mut names = names(&self.plan, targets);
        names.sort();
        if names.len() <= MOST_NAMES {
            return names.join(", ");
        }
        format!("{} machines ({}, …)", names.len(), names[..2].join(", "))
    }

    fn failed_machines(&self, targets: &[TargetId]) -> String {
        let names: Vec<String> = targets.iter().map(|id| machine(&self.plan, id)).collect();
        some(&names, MOST_NAMES)
    }

    fn each<'b>(&self, refused: impl Iterator<Item = (&'b TargetId, &'b String)>) -> String {
        let all: Vec<String> =
            refused.map(|(id, cause)| format!("{}: {cause}", machine(&self.plan, id))).collect();
        some(&all, MOST_NAMES)
    }

    fn task(&self, name: &TaskName) -> Option<&Task> {
        self.plan.tasks.iter().chain(&self.plan.rollback).nth(*self.tasks.get(name)?)
    }

    fn is_branch(&self, name: &TaskName) -> bool {
        self.task(name).is_some_and(|task| matches!(task.role, Role::Branch { .. } | Role::Verify { .. }))
    }
}

fn keyed(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!(" on {key}") }
}
