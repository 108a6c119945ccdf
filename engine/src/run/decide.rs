//! What to do now: a reading of the whole state, with the indexes that `apply` keeps.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{
    Run,
    command::Command,
    entry::Entry,
    event::{Event, Report},
    layout::{Phase, ScopeIx, TargetIx, TaskIx},
    state::{TaskState, TaskStatus, Wait},
};
use crate::{
    duration::Span,
    ids::TargetId,
    outcome::Outcome,
    plan::{Role, Task},
};

impl Run {
    /// What this run wants done now. Asking twice gives the same answer; losing the answer costs nothing.
    pub fn commands(&self, now: Timestamp) -> Vec<Command> {
        let mut out = Vec::new();
        if self.id.is_none() || self.finished {
            return out;
        }
        for (number, notice) in &self.notices {
            out.push(Command::Notify {
                number: *number,
                rule: notice.rule,
                event: notice.event,
                subject: notice.subject.clone(),
            });
        }
        if let Some(not_before) =
            self.not_before.filter(|not_before| *not_before > now && self.cancel.is_none())
        {
            out.push(Command::WakeAt(not_before));
            return out;
        }
        let mut wake = Wake(None);
        self.patchset_commands(&mut out);
        for scope in &self.over_budget {
            out.push(Command::Record(self.budget_exceeded(*scope)));
        }
        for scope in &self.ending {
            let failed = self.failed_in_wave(*scope);
            out.push(Command::Record(Event::WaveEnded {
                scope: self.plan.scopes[scope.at()].name.clone(),
                failed,
            }));
        }
        for ix in &self.active {
            self.active_commands(*ix, now, &mut wake, &mut out);
        }
        for ix in &self.regroup {
            out.push(Command::Record(self.retry_event(*ix, self.verification_retries(*ix), now)));
        }
        for wave in &self.wave_candidates {
            self.wave_commands(*wave, &mut out);
        }
        self.candidate_commands(now, &mut out);
        if let Some(event) = self.ending_event() {
            out.push(Command::Record(event));
        }
        if let Some(at) = wake.0 {
            out.push(Command::WakeAt(at));
        }
        out
    }

    /// Whether actions work, or a decision is due: an interrupted or paused process waits until this is false.
    pub fn quiet(&self) -> bool {
        self.running == 0
    }

    // ---- waves

    fn wave_commands(&self, wave: ScopeIx, out: &mut Vec<Command>) {
        let state = &self.scopes[wave.at()];
        if state.begun || state.over || self.paused.is_some() || self.cancel.is_some() {
            return;
        }
        let mut up = self.layout.scopes[wave.at()].parent;
        while let Some(scope) = up {
            let is_wave = matches!(self.plan.scopes[scope.at()].kind, crate::plan::ScopeKind::Wave { .. });
            if is_wave && !self.scopes[scope.at()].begun {
                return;
            }
            up = self.layout.scopes[scope.at()].parent;
        }
        let enters = self.candidates.not_in_line().any(|ix| {
            self.layout.is_below(self.layout.tasks[ix.at()].scope, wave)
                && !matches!(self.plan.task_at(ix).role, Role::Window)
                && self.plan.task_at(ix).skip.is_none()
                && self.doomed(ix).is_none()
                && matches!(self.entry(ix), Entry::Start { .. })
                && self.when(ix) != Some(false)
        });
        if !enters {
            return;
        }
        let scope = self.plan.scopes[wave.at()].name.clone();
        if self.layout.scopes[wave.at()].inspected && state.inspected_at.is_none() {
            out.push(Command::Inspect { scope });
        } else {
            out.push(Command::Record(Event::WaveStarted { scope }));
        }
    }

    fn budget_exceeded(&self, scope: ScopeIx) -> Event {
        let limit = match self.plan.scopes[scope.at()].kind {
            crate::plan::ScopeKind::Rollout { max_failures, .. } => max_failures,
            _ => 0,
        };
        Event::BudgetExceeded {
            scope: self.plan.scopes[scope.at()].name.clone(),
            failures: self.scopes[scope.at()].failures,
            limit,
        }
    }

    fn failed_in_wave(&self, wave: ScopeIx) -> u32 {
        let Some(rollout) = self.layout.scopes[wave.at()].rollout else { return 0 };
        let failed = |target: &&TargetIx| {
            self.passage(rollout, **target).is_some_and(|passage| passage.failure.is_some())
        };
        self.layout.scopes[wave.at()].targets.iter().filter(failed).count() as u32
    }

    // ---- pending tasks

    fn candidate_commands(&self, now: Timestamp, out: &mut Vec<Command>) {
        let mut free = self.capacity.saturating_sub(self.running);
        let everything = self.concerns_everything();
        let mut next = self.candidates.first(everything || free > 0);
        while let Some(ix) = next {
            if let Some(event) = self.candidate(ix, now, &mut free)
                // What is being decided may stop a rollout: first changes wait for the next reading.
                && !(self.is_first_change(ix, &event) && out.iter().any(may_stop))
            {
                out.push(Command::Record(event));
            }
            next = self.candidates.after(ix, everything || free > 0);
        }
    }

    /// What becomes of a pending task now, if anything.
    fn candidate(&self, ix: TaskIx, now: Timestamp, free: &mut usize) -> Option<Event> {
        let node = &self.layout.tasks[ix.at()];
        let task = self.plan.task_at(ix);
        match node.phase {
            Phase::Main => {}
            Phase::Rollback if self.rollback_begun => {}
            Phase::Finally if self.main_over() => {}
            Phase::Rollback | Phase::Finally => return None,
        }
        let name = || task.name.clone();
        if let Some(cause) = &task.skip {
            return Some(Event::TaskSkipped { task: name(), cause: cause.clone(), satisfies: true });
        }
        if node.phase == Phase::Main && self.cancel.is_some() && !self.follows_a_started_branch(ix) {
            return Some(Event::TaskCancelled { task: name() });
        }
        let branch =
            matches!(task.role, Role::Branch { .. } | Role::Verify { .. }) || node.phase != Phase::Main;
        if !branch && let Some((cause, satisfies)) = self.doomed(ix) {
            return Some(Event::TaskSkipped { task: name(), cause, satisfies });
        }
        // Entering is worth computing only where the task could also start.
        let blocked = !branch && (self.paused.is_some() || self.waits_for_wave(ix));
        let gate = self.is_gate(ix);
        let full = !gate && !branch && *free == 0;
        if full && !self.waits_for_wave(ix) {
            return None;
        }
        match self.entry(ix) {
            Entry::Skip { cause, satisfies } => Some(Event::TaskSkipped { task: name(), cause, satisfies }),
            // What `when:` leaves out is skipped where it stands, also in a wave that has not begun.
            Entry::Start { .. } if self.when(ix) == Some(false) && self.wave_is_reached(ix) => {
                let cause = format!("when: {} is false", task.when.as_deref().unwrap_or_default());
                Some(Event::TaskSkipped { task: name(), cause, satisfies: true })
            }
            Entry::Start { .. } if blocked || full => None,
            Entry::Start { targets, refused } => {
                if gate {
                    return Some(self.open_event(ix, &targets, now));
                }
                *free = free.saturating_sub(1);
                Some(Event::TaskStarted {
                    task: name(),
                    attempt: self.tasks[ix.at()].attempt + 1,
                    targets: self.ids(ix, &targets),
                    refused: refused
                        .into_iter()
                        .map(|(target, cause)| (self.target_name(target).clone(), cause))
                        .collect(),
                })
            }
        }
    }

    fn wave_is_reached(&self, ix: TaskIx) -> bool {
        self.wave_to_begin(ix).is_none_or(|wave| self.wave_waits[wave.at()] == 0)
    }

    fn waits_for_wave(&self, ix: TaskIx) -> bool {
        let Some(wave) = self.wave_to_begin(ix) else { return false };
        // The window is asked before its own wave begins, but behind every wave around it.
        if matches!(self.plan.task_at(ix).role, Role::Window) {
            return self.layout.tasks[ix.at()].waves.iter().any(|scope| {
                *scope != wave
                    && matches!(self.plan.scopes[scope.at()].kind, crate::plan::ScopeKind::Wave { .. })
                    && !self.scopes[scope.at()].begun
            });
        }
        true
    }

    /// Branches that follow a branch, and verification, go on after a cancel: a restore is never left half done.
    fn follows_a_started_branch(&self, ix: TaskIx) -> bool {
        let node = &self.layout.tasks[ix.at()];
        if let Some(of) = node.verifies {
            return self.tasks[of.at()].attempt > 0;
        }
        node.of.iter().any(|of| match of {
            super::layout::Node::Task(of) => {
                matches!(self.plan.task_at(*of).role, Role::Branch { .. }) && self.tasks[of.at()].attempt > 0
            }
            super::layout::Node::Scope(_) => false,
        })
    }

    /// Names of machines of a task, in the order of the wave.
    pub(super) fn ids(&self, ix: TaskIx, targets: &[TargetIx]) -> Vec<TargetId> {
        let planned = self.plan.task_at(ix).targets.iter().flatten();
        let among = |id: &&TargetId| {
            self.layout.target(id).is_some_and(|target| targets.binary_search(&target).is_ok())
        };
        if targets.len() < 2 {
            return targets.iter().map(|target| self.target_name(*target).clone()).collect();
        }
        planned.filter(among).cloned().collect()
    }

    fn is_first_change(&self, ix: TaskIx, event: &Event) -> bool {
        let node = &self.layout.tasks[ix.at()];
        matches!(event, Event::TaskStarted { .. })
            && node.effect.may_change()
            && node.phase == Phase::Main
            && matches!(self.plan.task_at(ix).role, Role::Step)
    }

    // ---- tasks that run or wait

    fn active_commands(&self, ix: TaskIx, now: Timestamp, wake: &mut Wake, out: &mut Vec<Command>) {
        let state = &self.tasks[ix.at()];
        let task = self.plan.task_at(ix);
        match &state.wait {
            Some(Wait::Gate { until }) => return self.gate_commands(ix, *until, now, wake, out),
            Some(Wait::Backoff { at }) => {
                if self.ended_by_cancel(ix) {
                    out.push(Command::Record(Event::TaskCancelled { task: task.name.clone() }));
                } else if *at > now {
                    wake.at(*at);
                } else if task.patchset.is_some() && (out.iter().any(may_stop) || self.failures_are_due()) {
                    // What is being decided may bar what it would install.
                } else if self.running < self.capacity || matches!(task.role, Role::Branch { .. }) {
                    out.push(Command::Record(Event::TaskStarted {
                        task: task.name.clone(),
                        attempt: state.attempt + 1,
                        targets: self.ids(ix, &state.again),
                        refused: std::collections::BTreeMap::new(),
                    }));
                }
                return;
            }
            Some(Wait::Operator { until }) => {
                if self.unresolved(ix).is_empty() {
                    out.push(Command::Record(self.end_event(ix)));
                } else if now >= *until || self.cancel.is_some() {
                    out.push(Command::Record(Event::ResolveExpired { task: task.name.clone() }));
                } else {
                    wake.at(*until);
                }
                return;
            }
            None => {}
        }
        if self.ended_by_cancel(ix) && !task.effect.may_change() {
            out.push(Command::Record(Event::TaskCancelled { task: task.name.clone() }));
            return;
        }
        if !state.undecided.is_empty() {
            let (final_ones, _) = self.sort_failures(ix);
            if !final_ones.is_empty() {
                let targets = self.ids(ix, &final_ones);
                out.push(Command::Record(Event::TargetsFailed { task: task.name.clone(), targets }));
                return;
            }
        }
        let over = if self.layout.tasks[ix.at()].targets.is_some() {
            state.open == 0
        } else {
            state.whole.is_some()
        };
        if over {
            out.push(Command::Record(self.attempt_over(ix, now)));
            return;
        }
        let deadline = self.deadline_for(ix, now);
        if !state.timed_out && now >= deadline {
            out.push(Command::Record(Event::AttemptTimedOut {
                task: task.name.clone(),
                attempt: state.attempt,
            }));
            return;
        }
        out.push(Command::Execute {
            task: task.name.clone(),
            attempt: state.attempt,
            resumed: state.resumed_at.is_some(),
            deadline,
        });
        if state.timed_out {
            out.push(Command::Stop { task: task.name.clone(), attempt: state.attempt, timed_out: true });
        } else {
            wake.at(deadline);
        }
    }

    /// Whether the failure of a machine is still to be decided, wherever its task stands in the order of tasks.
    fn failures_are_due(&self) -> bool {
        self.active.iter().any(|ix| {
            let state = &self.tasks[ix.at()];
            state.wait.is_none() && !state.undecided.is_empty() && !self.sort_failures(*ix).0.is_empty()
        })
    }

    /// Whether a cancel ends this task (a change in flight, a branch, a verification and `finally` end by themselves).
    fn ended_by_cancel(&self, ix: TaskIx) -> bool {
        self.cancel.is_some()
            && self.layout.tasks[ix.at()].phase == Phase::Main
            && !matches!(self.plan.task_at(ix).role, Role::Branch { .. } | Role::Verify { .. })
    }

    /// Failed machines of the attempt: those that failed for good, and those that may try again.
    fn sort_failures(&self, ix: TaskIx) -> (Vec<TargetIx>, Vec<TargetIx>) {
        let state = &self.tasks[ix.at()];
        let mut lists = (Vec::new(), Vec::new());
        for target in &state.undecided {
            let Some(report) = state.records.get(target).and_then(|record| record.report.as_ref()) else {
                continue;
            };
            if self.may_retry(ix, state, report) { lists.1.push(*target) } else { lists.0.push(*target) }
        }
        lists
    }

    fn may_retry(&self, ix: TaskIx, state: &TaskState, report: &Report) -> bool {
        let policy = &self.plan.task_at(ix).retry;
        report.outcome != Outcome::Unknown
            && state.attempt < policy.attempts
            && !self.ended_by_cancel(ix)
            && (policy.errors.is_empty() || report.class.is_some_and(|class| policy.errors.contains(&class)))
    }

    /// Unknown machines (or the task itself) that nobody resolved and no branch restores.
    pub(super) fn unresolved(&self, ix: TaskIx) -> Vec<Option<TargetIx>> {
        let state = &self.tasks[ix.at()];
        if self.plan.task_at(ix).restorable || self.expired.contains(&ix) {
            return Vec::new();
        }
        let unknown = |report: &Report| report.outcome == Outcome::Unknown;
        state
            .records
            .iter()
            .filter(|(_, record)| record.unknown())
            .map(|(target, _)| Some(*target))
            .chain(state.whole.iter().filter(|report| unknown(report)).map(|_| None))
            .collect()
    }

    /// Everything of an attempt is reported: another one, a question to a person, or the end.
    fn attempt_over(&self, ix: TaskIx, now: Timestamp) -> Event {
        let state = &self.tasks[ix.at()];
        let task = self.plan.task_at(ix);
        let (_, again) = self.sort_failures(ix);
        let whole_again = state
            .whole
            .as_ref()
            .is_some_and(|report| report.outcome != Outcome::Succeeded && self.may_retry(ix, state, report));
        if !self.expired.contains(&ix) && (!again.is_empty() || whole_again) {
            return self.retry_event(ix, again, now);
        }
        if !self.unresolved(ix).is_empty() {
            return Event::OperatorAwaited {
                task: task.name.clone(),
                until: later(now, task.resolve_within),
            };
        }
        self.end_event(ix)
    }

    fn retry_event(&self, ix: TaskIx, again: Vec<TargetIx>, now: Timestamp) -> Event {
        let state = &self.tasks[ix.at()];
        let task = self.plan.task_at(ix);
        Event::RetryScheduled {
            task: task.name.clone(),
            attempt: state.attempt + 1,
            targets: self.ids(ix, &again),
            at: later(now, backoff(task, state.attempt)),
        }
    }

    fn end_event(&self, ix: TaskIx) -> Event {
        let state = &self.tasks[ix.at()];
        let task = self.plan.task_at(ix).name.clone();
        let mut failed = state.records.iter().filter(|(_, record)| record.failed());
        if let Some((target, record)) = failed.next() {
            let more = failed.count();
            let others = if more > 0 { format!(" and {more} more") } else { String::new() };
            return Event::TaskFailed {
                task,
                cause: format!("{}{others}: {}", self.target_name(*target), record.cause()),
                class: record.report.as_ref().and_then(|report| report.class),
            };
        }
        match state.whole.as_ref().filter(|report| report.outcome != Outcome::Succeeded) {
            Some(report) => Event::TaskFailed {
                task,
                cause: report.cause.clone().unwrap_or_else(|| "no cause was given".into()),
                class: report.class,
            },
            None => Event::TaskSucceeded { task },
        }
    }

    /// When the attempt that works now is over. A result that came about before the latest resume, and work that was
    /// in flight then, are judged by the attempt's own start; what was begun after it has its time from there.
    pub(super) fn deadline_for(&self, ix: TaskIx, finished: Timestamp) -> Timestamp {
        let state = &self.tasks[ix.at()];
        let timeout = self.plan.task_at(ix).timeout;
        let started = state.attempt_at.unwrap_or(finished);
        match state.resumed_at {
            Some(resumed) if finished >= resumed && !(state.looked_up && state.old_intent) => {
                later(resumed, timeout).max(later(started, timeout))
            }
            _ => later(started, timeout),
        }
    }

    pub(super) fn status_of(&self, ix: TaskIx) -> TaskStatus {
        self.tasks[ix.at()].status
    }
}

/// Whether a decision can mean that nothing new may be changed.
fn may_stop(command: &Command) -> bool {
    matches!(
        command,
        Command::Record(
            Event::TargetsFailed { .. }
                | Event::TaskFailed { .. }
                | Event::TaskSkipped { .. }
                | Event::BudgetExceeded { .. }
        )
    )
}

fn backoff(task: &Task, attempt: u32) -> Span {
    let doubled = task.retry.delay.as_secs().saturating_mul(1 << attempt.saturating_sub(1).min(16));
    Span::from_secs(doubled.min(3600))
}

/// A moment later; the end of time where it would be past it.
pub(super) fn later(at: Timestamp, span: Span) -> Timestamp {
    let duration =
        SignedDuration::try_from(Duration::from_secs(span.as_secs())).unwrap_or(SignedDuration::MAX);
    at.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// The next moment at which something is due.
pub(super) struct Wake(Option<Timestamp>);

impl Wake {
    pub(super) fn at(&mut self, at: Timestamp) {
        self.0 = Some(self.0.map_or(at, |sooner| sooner.min(at)));
    }
}
