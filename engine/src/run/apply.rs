//! The transition table: which event fits which state, and what it changes. Nothing changes when one does not fit.

use jiff::Timestamp;

use super::{
    Cancel, Run,
    event::{Event, Report, RunEnd},
    illegal::IllegalEvent,
    layout::{Phase, ScopeIx, TargetIx, TaskIx},
    state::{Intent, Memory, Notice, Record, TaskStatus, Wait},
};
use crate::{
    ids::{ScopeName, TargetId, TaskName},
    outcome::{ErrorClass, Outcome},
    plan::{Gate, OnReject, Role, ScopeKind, Work},
};

type Applied = Result<(), IllegalEvent>;

impl Run {
    /// Changes the state by one event, which happened (was journaled) at `at`.
    ///
    /// # Errors
    /// The event does not fit; then nothing changed, and it must not be journaled.
    pub fn apply(&mut self, at: Timestamp, event: &Event) -> Applied {
        match event {
            Event::RunStarted { .. } if self.id.is_some() => {
                return Err(IllegalEvent::new("the run has started already"));
            }
            Event::RunStarted { .. } => {}
            _ if self.id.is_none() => return Err(IllegalEvent::new("the run has not started")),
            _ if self.finished => {
                return Err(IllegalEvent::new("the run has finished: its journal never reopens"));
            }
            _ => {}
        }
        match event {
            Event::RunStarted { run, by, not_before, .. } => {
                self.id = Some(run.clone());
                self.by.clone_from(by);
                self.started_at = Some(at);
                self.not_before = *not_before;
                self.before_its_time = not_before.is_some_and(|not_before| not_before > at);
                Ok(())
            }
            Event::RunResumed { .. } => {
                self.resumed(at);
                Ok(())
            }
            Event::IntentRecorded { task, attempt, key, call, token, targets } => {
                let ix = self.attempt(task, *attempt)?;
                let state = &mut self.tasks[ix.at()];
                state.old_intent = false;
                let intent =
                    Intent { at, call: call.clone(), token: token.clone(), targets: targets.clone() };
                state.memory.intents.insert(key.clone(), intent);
                Ok(())
            }
            Event::CheckpointRecorded { task, attempt, key, value } => {
                let ix = self.attempt(task, *attempt)?;
                self.tasks[ix.at()].memory.checkpoints.insert(key.clone(), value.clone());
                Ok(())
            }
            Event::TaskLookedUp { task, attempt } => {
                let ix = self.attempt(task, *attempt)?;
                let state = &mut self.tasks[ix.at()];
                state.looked_up = true;
                state.status = TaskStatus::Running;
                Ok(())
            }
            Event::TargetsReported { task, attempt, targets, report } => {
                self.reported(at, task, *attempt, targets, report)
            }
            Event::TaskReported { task, attempt, report } => {
                let ix = self.attempt(task, *attempt)?;
                if self.layout.tasks[ix.at()].targets.is_some() || self.tasks[ix.at()].whole.is_some() {
                    return Err(IllegalEvent::new(format!(
                        "task `{task}` cannot be reported as a whole now"
                    )));
                }
                let report = self.judged(ix, at, report);
                self.tasks[ix.at()].whole = Some(report);
                Ok(())
            }
            Event::OutputsRecorded { task, outputs } => {
                let ix = self.task_named(task)?;
                if self.tasks[ix.at()].attempt == 0 {
                    return Err(IllegalEvent::new(format!(
                        "task `{task}` has not started, so it has no outputs"
                    )));
                }
                let state = &mut self.tasks[ix.at()];
                state.outputs.extend(outputs.iter().map(|(target, value)| (target.clone(), value.clone())));
                Ok(())
            }
            Event::WaveInspected { scope, refused } => {
                let ix = self.wave_named(scope)?;
                if self.scopes[ix.at()].begun {
                    return Err(IllegalEvent::new(format!("wave `{scope}` has begun already")));
                }
                let refused = refused
                    .iter()
                    .map(|(id, cause)| Ok((self.target_named(id)?, cause.clone())))
                    .collect::<Result<Vec<_>, IllegalEvent>>()?;
                self.scopes[ix.at()].inspected = true;
                let rollout = self.layout.scopes[ix.at()].rollout;
                for (target, cause) in refused {
                    self.refused.insert(target, cause.clone());
                    if let Some(rollout) = rollout {
                        self.count_failure(rollout, target, Outcome::Failed, &cause);
                    }
                }
                Ok(())
            }
            Event::NotificationSent { number } => self
                .notices
                .remove(number)
                .map(drop)
                .ok_or_else(|| IllegalEvent::new("no such notification is due")),
            Event::NotificationFailed { number, cause } => {
                self.notices
                    .remove(number)
                    .ok_or_else(|| IllegalEvent::new("no such notification is due"))?;
                self.warnings.push(format!("notification {number} was not delivered: {cause}"));
                Ok(())
            }
            Event::ApprovalGiven { task, by, role, .. } => {
                let ix = self.open_gate(task)?;
                if matches!(self.tasks[ix.at()].wait, Some(Wait::Gate { until }) if at >= until) {
                    return Err(IllegalEvent::new(format!("gate `{task}` has expired")));
                }
                if matches!(
                    self.plan.task_at(ix).work,
                    Work::Gate(Gate::Approval { .. } | Gate::Manual { .. })
                ) {
                    self.tasks[ix.at()].approvals.insert(by.clone(), role.clone());
                    Ok(())
                } else {
                    Err(IllegalEvent::new(format!("gate `{task}` does not wait for a person")))
                }
            }
            Event::ApprovalRejected { task, by, note } => {
                let ix = self.open_gate(task)?;
                let Work::Gate(gate) = &self.plan.task_at(ix).work else {
                    return Err(IllegalEvent::new(format!("`{task}` is not a gate")));
                };
                let undo = matches!(gate, Gate::Approval { on_reject: OnReject::Rollback, .. });
                let why = note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
                let cause = format!("{by} rejected it{why}");
                if undo && self.undo.is_none() {
                    self.undo = Some(format!("gate `{task}`: {cause}"));
                }
                self.tasks[ix.at()].rejected = Some(cause);
                Ok(())
            }
            Event::RunPaused { by, gate, cause } => {
                if let Some(gate) = gate {
                    let ix = self.open_gate(gate)?;
                    self.close_gate(ix);
                }
                let why = cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
                self.paused = Some(format!("{by}{why}"));
                self.notice("paused", by);
                Ok(())
            }
            Event::RunUnpaused { .. } if self.paused.is_none() => {
                Err(IllegalEvent::new("the run is not paused"))
            }
            Event::RunUnpaused { .. } => {
                self.paused = None;
                Ok(())
            }
            Event::TargetsExcluded { targets, by, because } => {
                for target in targets {
                    self.may_exclude(target).map_err(IllegalEvent::new)?;
                }
                let why = because.as_ref().map(|because| format!(": {because}")).unwrap_or_default();
                for target in targets {
                    let ix = self.target_named(target)?;
                    self.excluded.insert(ix, format!("excluded by {by}{why}"));
                }
                Ok(())
            }
            Event::TargetResolved { task, target, applied, by, note } => {
                self.resolved(task, target.as_ref(), *applied, by, note.as_deref())
            }
            Event::CancelRequested { restore, by, cause } => {
                if self.cancel.is_some() || self.end.is_some() {
                    return Err(IllegalEvent::new("the run is ending already"));
                }
                self.cancel = Some(Cancel { restore: *restore, by: by.clone(), cause: cause.clone() });
                self.paused = None;
                Ok(())
            }
            Event::WaveStarted { scope } => {
                let ix = self.wave_named(scope)?;
                if self.scopes[ix.at()].begun || self.wave_waits[ix.at()] > 0 {
                    return Err(IllegalEvent::new(format!("wave `{scope}` cannot start now")));
                }
                self.scopes[ix.at()].begun = true;
                self.wave_candidates.remove(&ix);
                self.notice("wave_started", scope.as_str());
                Ok(())
            }
            Event::WaveEnded { scope, failed } => {
                let ix = self.wave_named(scope)?;
                if !self.ending.contains(&ix) {
                    return Err(IllegalEvent::new(format!("wave `{scope}` is not at its end")));
                }
                self.verify_wave(ix);
                if *failed > 0 {
                    self.notice("wave_failed", scope.as_str());
                }
                self.wave_over(ix);
                Ok(())
            }
            Event::TaskStarted { task, attempt, targets, refused } => {
                let refused = refused
                    .iter()
                    .map(|(id, cause)| Ok((self.target_named(id)?, cause.clone())))
                    .collect::<Result<Vec<_>, IllegalEvent>>()?;
                self.started(at, task, *attempt, targets, refused)
            }
            Event::GateOpened { task, until, targets } => self.gate_opened(at, task, *until, targets),
            Event::AttemptTimedOut { task, attempt } => {
                let ix = self.attempt(task, *attempt)?;
                self.tasks[ix.at()].timed_out = true;
                Ok(())
            }
            Event::TargetsFailed { task, targets } => self.failed_for_good(task, targets),
            Event::RetryScheduled { task, attempt, targets, at } => self.retry(task, *attempt, targets, *at),
            Event::OperatorAwaited { task, until } => {
                let ix = self.running_over(task)?;
                self.wait(ix, Wait::Operator { until: *until });
                self.release_branches(ix);
                Ok(())
            }
            Event::ResolveExpired { task } => {
                let ix = self.task_named(task)?;
                if !matches!(self.tasks[ix.at()].wait, Some(Wait::Operator { .. })) {
                    return Err(self.cannot(ix, "give up waiting for a person"));
                }
                self.tasks[ix.at()].wait = None;
                self.tasks[ix.at()].status = TaskStatus::Running;
                self.running += 1;
                self.tasks[ix.at()].looked_up = true;
                self.expired.insert(ix);
                Ok(())
            }
            Event::BudgetExceeded { scope, .. } => {
                let ix = self.scope_named(scope)?;
                if !self.over_budget.remove(&ix) {
                    return Err(IllegalEvent::new(format!("rollout `{scope}` is inside its budget")));
                }
                self.scopes[ix.at()].exceeded = true;
                Ok(())
            }
            Event::TaskSucceeded { task } => {
                let ix = self.ended_named(task)?;
                self.finish(ix, at, TaskStatus::Succeeded);
                Ok(())
            }
            Event::TaskFailed { task, cause, class } => {
                let ix = self.ended_named(task)?;
                self.tasks[ix.at()].error = Some(cause.clone());
                self.tasks[ix.at()].class = *class;
                self.note_failure(ix, cause);
                self.finish(ix, at, TaskStatus::Failed);
                Ok(())
            }
            Event::TaskSkipped { task, cause, satisfies } => {
                let ix = self.pending(task, "be skipped")?;
                self.tasks[ix.at()].error = Some(cause.clone());
                self.tasks[ix.at()].satisfies = *satisfies;
                self.finish(ix, at, TaskStatus::Skipped);
                Ok(())
            }
            Event::TaskCancelled { task } => {
                let ix = self.task_named(task)?;
                if self.tasks[ix.at()].status.is_terminal() {
                    return Err(self.cannot(ix, "be cancelled"));
                }
                self.finish(ix, at, TaskStatus::Cancelled);
                Ok(())
            }
            Event::RollbackBegun { .. } if self.rollback_begun => {
                Err(IllegalEvent::new("the rollback has begun already"))
            }
            Event::RollbackBegun { .. } => {
                self.rollback_begun = true;
                Ok(())
            }
            Event::OutcomeDecided { status, cause } => {
                if self.end.is_some() {
                    return Err(IllegalEvent::new("the outcome is decided already"));
                }
                self.end = Some(*status);
                self.cause.clone_from(cause);
                if *status == RunEnd::Stuck {
                    self.notice("stuck", status.as_str());
                }
                self.notice("finished", status.as_str());
                Ok(())
            }
            Event::RunFinished { status } => {
                if self.end != Some(*status) {
                    return Err(IllegalEvent::new("the outcome was not decided so"));
                }
                self.finished = true;
                self.finished_at = Some(at);
                Ok(())
            }
        }?;
        let facts = matches!(
            event,
            Event::RunStarted { .. }
                | Event::RunResumed { .. }
                | Event::RunPaused { .. }
                | Event::RunUnpaused { .. }
                | Event::NotificationSent { .. }
                | Event::NotificationFailed { .. }
                | Event::TargetsExcluded { .. }
        );
        self.before_its_time &= facts;
        if matches!(event, Event::RunStarted { .. }) {
            let name = self.plan.runbook.clone();
            self.notice("run_started", &name);
        }
        Ok(())
    }

    // ---- finding things

    fn task_named(&self, name: &TaskName) -> Result<TaskIx, IllegalEvent> {
        self.layout
            .task(name.as_str())
            .ok_or_else(|| IllegalEvent::new(format!("there is no task `{name}` in the plan")))
    }

    fn scope_named(&self, name: &ScopeName) -> Result<ScopeIx, IllegalEvent> {
        self.layout
            .scope(name.as_str())
            .ok_or_else(|| IllegalEvent::new(format!("there is no `{name}` in the plan")))
    }

    fn wave_named(&self, name: &ScopeName) -> Result<ScopeIx, IllegalEvent> {
        let ix = self.scope_named(name)?;
        match self.plan.scopes[ix.at()].kind {
            ScopeKind::Wave { .. } => Ok(ix),
            _ => Err(IllegalEvent::new(format!("`{name}` is not a wave"))),
        }
    }

    fn target_named(&self, id: &TargetId) -> Result<TargetIx, IllegalEvent> {
        self.layout.target(id).ok_or_else(|| IllegalEvent::new(format!("machine `{id}` is not in the plan")))
    }

    /// Machines of which each is named once, sorted.
    fn different(&self, task: &TaskName, ids: &[TargetId]) -> Result<Vec<TargetIx>, IllegalEvent> {
        let mut list = ids.iter().map(|id| self.target_named(id)).collect::<Result<Vec<_>, _>>()?;
        list.sort_unstable();
        list.dedup();
        if list.len() == ids.len() {
            Ok(list)
        } else {
            Err(IllegalEvent::new(format!("an event of task `{task}` names a machine twice")))
        }
    }

    fn cannot(&self, ix: TaskIx, what: &str) -> IllegalEvent {
        let status = self.tasks[ix.at()].status.as_str();
        IllegalEvent::new(format!("task `{}` is {status}, so it cannot {what}", self.plan.task_at(ix).name))
    }

    fn pending(&self, name: &TaskName, what: &str) -> Result<TaskIx, IllegalEvent> {
        let ix = self.task_named(name)?;
        match self.tasks[ix.at()].status {
            TaskStatus::Pending => Ok(ix),
            _ => Err(self.cannot(ix, what)),
        }
    }

    fn attempt(&self, name: &TaskName, attempt: u32) -> Result<TaskIx, IllegalEvent> {
        let ix = self.task_named(name)?;
        let state = &self.tasks[ix.at()];
        if !state.active() {
            return Err(self.cannot(ix, "report"));
        }
        if state.attempt != attempt {
            return Err(IllegalEvent::new(format!(
                "task `{name}` is in attempt {}, not {attempt}",
                state.attempt
            )));
        }
        Ok(ix)
    }

    /// A running task of which everything is reported.
    fn running_over(&self, name: &TaskName) -> Result<TaskIx, IllegalEvent> {
        let ix = self.task_named(name)?;
        let state = &self.tasks[ix.at()];
        let over = if self.layout.tasks[ix.at()].targets.is_some() {
            state.open == 0
        } else {
            state.whole.is_some()
        };
        if state.active() && over { Ok(ix) } else { Err(self.cannot(ix, "end")) }
    }

    /// A task that may succeed or fail now: its attempt is over, or it is an open gate.
    fn ended_named(&self, name: &TaskName) -> Result<TaskIx, IllegalEvent> {
        let ix = self.task_named(name)?;
        if matches!(self.tasks[ix.at()].wait, Some(Wait::Gate { .. })) {
            return Ok(ix);
        }
        if matches!(self.tasks[ix.at()].wait, Some(Wait::Operator { .. })) && self.unresolved(ix).is_empty() {
            return Ok(ix);
        }
        self.running_over(name)
    }

    fn open_gate(&self, name: &TaskName) -> Result<TaskIx, IllegalEvent> {
        let ix = self.task_named(name)?;
        match self.tasks[ix.at()].wait {
            Some(Wait::Gate { .. }) => Ok(ix),
            _ => Err(IllegalEvent::new(format!("gate `{name}` is not open"))),
        }
    }

    // ---- changing things

    fn resumed(&mut self, at: Timestamp) {
        self.paused = None;
        for ix in self.active.clone() {
            let state = &mut self.tasks[ix.at()];
            if state.active() {
                state.status = TaskStatus::Interrupted;
                state.resumed_at = Some(at);
                state.looked_up = false;
                state.timed_out = false;
                state.old_intent = !state.memory.intents.is_empty();
            }
        }
    }

    fn started(
        &mut self,
        at: Timestamp,
        name: &TaskName,
        attempt: u32,
        targets: &[TargetId],
        refused: Vec<(TargetIx, String)>,
    ) -> Applied {
        let ix = self.task_named(name)?;
        let state = &self.tasks[ix.at()];
        let fits = match (&state.status, &state.wait) {
            (TaskStatus::Pending, _) => self.task_waits[ix.at()] == 0,
            (TaskStatus::Waiting, Some(Wait::Backoff { .. })) => true,
            _ => false,
        };
        if !fits || attempt != state.attempt + 1 {
            return Err(self.cannot(ix, &format!("start attempt {attempt}")));
        }
        let entering = self.different(name, targets)?;
        let planned = self.layout.tasks[ix.at()].targets.as_deref();
        for target in entering.iter().chain(refused.iter().map(|(target, _)| target)) {
            if planned.is_none_or(|planned| planned.binary_search(target).is_err()) {
                return Err(IllegalEvent::new(format!(
                    "machine `{}` is not one of `{name}`",
                    self.target_name(*target)
                )));
            }
        }
        let changes = self.layout.tasks[ix.at()].effect.may_change();
        self.candidates.remove(&ix);
        self.active.insert(ix);
        self.running += 1;
        let state = &mut self.tasks[ix.at()];
        state.status = TaskStatus::Running;
        state.wait = None;
        state.attempt = attempt;
        state.started_at = state.started_at.or(Some(at));
        state.attempt_at = Some(at);
        state.resumed_at = None;
        state.looked_up = true;
        state.old_intent = false;
        state.timed_out = false;
        state.whole = None;
        state.again = Vec::new();
        state.memory = Memory::default();
        state.open = entering.len();
        for target in &entering {
            let record = state.records.entry(*target).or_insert_with(Record::entered);
            record.applied_before = attempt > 1 && record.started;
            record.report = None;
            record.started = true;
            record.settled = false;
        }
        for (target, cause) in &refused {
            let report = Report::failed(Outcome::Failed, ErrorClass::Failed, cause.clone());
            let record = Record {
                report: Some(report),
                started: false,
                settled: true,
                applied_before: false,
                resolved: false,
            };
            state.records.insert(*target, record);
        }
        for scope in
            self.layout.tasks[ix.at()].waves.clone().into_iter().chain([self.layout.tasks[ix.at()].scope])
        {
            if !matches!(self.plan.scopes[scope.at()].kind, ScopeKind::Wave { .. }) {
                self.scopes[scope.at()].begun = true;
            }
        }
        let main = self.layout.tasks[ix.at()].phase == Phase::Main;
        let step = changes && main && matches!(self.plan.task_at(ix).role, Role::Step);
        if step || self.plan.task_at(ix).restores.is_some() {
            // What was restored before is changed anew: only this task's own success says otherwise.
            for target in &entering {
                self.restored_by.remove(target);
            }
        }
        for rollout in self.layout.tasks[ix.at()].rollouts.clone() {
            for target in &entering {
                if let Some(passage) = self.passage_mut(rollout, *target).filter(|_| changes && main) {
                    passage.touched = true;
                }
            }
        }
        for (target, cause) in refused {
            self.count_for_task(ix, target, Outcome::Failed, &cause);
        }
        if attempt > 1 {
            self.repeat_verification(ix, &entering);
        }
        Ok(())
    }

    /// Another attempt of a restore has its verification once more.
    fn repeat_verification(&mut self, restoring: TaskIx, targets: &[TargetIx]) {
        self.regroup.remove(&restoring);
        for verify in self.layout.tasks[restoring.at()].verify.clone() {
            self.candidates.remove(&verify);
            self.active.remove(&verify);
            self.task_waits[verify.at()] = 1;
            let state = &mut self.tasks[verify.at()];
            state.status = TaskStatus::Pending;
            state.error = None;
            state.open = 0;
            for target in targets {
                state.records.remove(target);
            }
        }
    }

    fn gate_opened(
        &mut self,
        at: Timestamp,
        name: &TaskName,
        until: Timestamp,
        targets: &[TargetId],
    ) -> Applied {
        let ix = self.pending(name, "open")?;
        if !matches!(self.plan.task_at(ix).work, Work::Gate(_)) || self.task_waits[ix.at()] > 0 {
            return Err(self.cannot(ix, "open"));
        }
        let entering = targets.iter().map(|id| self.target_named(id)).collect::<Result<Vec<_>, _>>()?;
        self.candidates.remove(&ix);
        self.active.insert(ix);
        let state = &mut self.tasks[ix.at()];
        state.status = TaskStatus::Waiting;
        state.wait = Some(Wait::Gate { until });
        state.attempt = 1;
        state.started_at = Some(at);
        state.attempt_at = Some(at);
        for target in entering {
            state.records.insert(target, Record::entered());
        }
        if !matches!(self.plan.task_at(ix).work, Work::Gate(Gate::WaitFor { .. } | Gate::WaitUntil { .. })) {
            self.notice("gate_opened", name.as_str());
        }
        let scope = self.layout.tasks[ix.at()].scope;
        if matches!(self.plan.scopes[scope.at()].kind, ScopeKind::Soak { .. }) {
            self.scopes[scope.at()].begun = true;
        }
        Ok(())
    }

    /// An expired gate that pauses the run opens again from the beginning.
    fn close_gate(&mut self, ix: TaskIx) {
        let state = &mut self.tasks[ix.at()];
        state.status = TaskStatus::Pending;
        state.wait = None;
        state.approvals.clear();
        state.records.clear();
        self.active.remove(&ix);
        self.candidates.insert(ix);
    }

    fn reported(
        &mut self,
        at: Timestamp,
        name: &TaskName,
        attempt: u32,
        targets: &[TargetId],
        report: &Report,
    ) -> Applied {
        let ix = self.attempt(name, attempt)?;
        let list = self.different(name, targets)?;
        for target in &list {
            match self.tasks[ix.at()].records.get(target) {
                Some(record) if record.report.is_none() => {}
                _ => {
                    let id = self.target_name(*target);
                    return Err(IllegalEvent::new(format!(
                        "task `{name}` does not work on machine `{id}` now"
                    )));
                }
            }
        }
        let report = self.judged(ix, at, report);
        let state = &mut self.tasks[ix.at()];
        for target in &list {
            if let Some(record) = state.records.get_mut(target) {
                if report.class.is_some_and(ErrorClass::proves_nothing_applied) {
                    record.started = record.applied_before;
                }
                record.report = Some(report.clone());
            }
        }
        state.open -= list.len();
        if report.outcome != Outcome::Succeeded {
            state.undecided += list.len();
        }
        Ok(())
    }

    /// A result is judged by the time at which the remote side finished.
    fn judged(&self, ix: TaskIx, at: Timestamp, report: &Report) -> Report {
        let finished = report.finished_at.unwrap_or(at);
        if report.outcome != Outcome::Succeeded || finished <= self.deadline_for(ix, finished) {
            return report.clone();
        }
        let limit = self.plan.task_at(ix).timeout;
        Report {
            outcome: Outcome::TimedOut,
            class: Some(ErrorClass::TimedOut),
            cause: Some(format!("it finished only after its time-out of {limit}")),
            finished_at: report.finished_at,
        }
    }

    fn failed_for_good(&mut self, name: &TaskName, targets: &[TargetId]) -> Applied {
        let ix = self.task_named(name)?;
        let list = self.different(name, targets)?;
        if !self.tasks[ix.at()].active() || self.tasks[ix.at()].undecided < list.len() {
            return Err(self.cannot(ix, "fail on machines"));
        }
        for target in &list {
            match self.tasks[ix.at()].records.get(target) {
                Some(record) if record.failed() && !record.settled => {}
                _ => {
                    let id = self.target_name(*target);
                    return Err(IllegalEvent::new(format!("machine `{id}` has not failed in `{name}`")));
                }
            }
        }
        for target in list {
            let Some(record) = self.tasks[ix.at()].records.get_mut(&target) else { continue };
            record.settled = true;
            let outcome = record.report.as_ref().map_or(Outcome::Failed, |report| report.outcome);
            let cause = format!("{name} failed: {}", record.cause());
            self.tasks[ix.at()].undecided -= 1;
            self.count_for_task(ix, target, outcome, &cause);
        }
        Ok(())
    }

    /// Counts a failed machine in every rollout that the task stands in. Branches and verifications have machines
    /// that count already.
    fn count_for_task(&mut self, ix: TaskIx, target: TargetIx, outcome: Outcome, cause: &str) {
        let counts = !matches!(self.plan.task_at(ix).role, Role::Branch { .. } | Role::Verify { .. })
            && self.layout.tasks[ix.at()].phase == Phase::Main;
        if counts {
            for rollout in self.layout.tasks[ix.at()].rollouts.clone() {
                self.count_failure(rollout, target, outcome, cause);
            }
        }
    }

    fn count_failure(&mut self, rollout: ScopeIx, target: TargetIx, outcome: Outcome, cause: &str) {
        if self.excluded.contains_key(&target) {
            return;
        }
        let Some(passage) = self.passage_mut(rollout, target) else { return };
        if passage.failure.is_some() {
            return;
        }
        passage.failure = Some((outcome, cause.to_owned()));
        passage.verified = false;
        let state = &mut self.scopes[rollout.at()];
        state.failures += 1;
        if let ScopeKind::Rollout { max_failures, .. } = self.plan.scopes[rollout.at()].kind
            && state.failures > max_failures
            && !state.exceeded
        {
            self.over_budget.insert(rollout);
        }
    }

    fn retry(&mut self, name: &TaskName, attempt: u32, targets: &[TargetId], due: Timestamp) -> Applied {
        let ix = self.task_named(name)?;
        let mut again = targets.iter().map(|id| self.target_named(id)).collect::<Result<Vec<_>, _>>()?;
        again.sort_unstable();
        let verification = self.regroup.contains(&ix);
        if !verification {
            self.running_over(name)?;
        }
        if attempt != self.tasks[ix.at()].attempt + 1 {
            return Err(self.cannot(ix, &format!("be tried a {attempt}. time")));
        }
        if verification {
            self.regroup.remove(&ix);
            self.active.insert(ix);
            self.running += 1;
        } else {
            self.tasks[ix.at()].undecided = 0;
        }
        self.tasks[ix.at()].again = again;
        self.wait(ix, Wait::Backoff { at: due });
        Ok(())
    }

    /// A running task waits.
    fn wait(&mut self, ix: TaskIx, wait: Wait) {
        self.running -= 1;
        let state = &mut self.tasks[ix.at()];
        state.status = TaskStatus::Waiting;
        state.wait = Some(wait);
    }

    fn resolved(
        &mut self,
        name: &TaskName,
        target: Option<&TargetId>,
        applied: bool,
        by: &str,
        note: Option<&str>,
    ) -> Applied {
        let ix = self.task_named(name)?;
        if !matches!(self.tasks[ix.at()].wait, Some(Wait::Operator { .. })) {
            return Err(self.cannot(ix, "be resolved: it does not wait for a person"));
        }
        let why = note.map(|note| format!(": {note}")).unwrap_or_default();
        let report = if applied {
            Report::succeeded()
        } else {
            Report::failed(Outcome::Failed, ErrorClass::Failed, format!("{by} found it not applied{why}"))
        };
        let not_unknown = || IllegalEvent::new(format!("nothing of that is unknown in `{name}`"));
        match target {
            Some(id) => {
                let target = self.target_named(id)?;
                let record = self.tasks[ix.at()]
                    .records
                    .get_mut(&target)
                    .filter(|record| record.unknown())
                    .ok_or_else(not_unknown)?;
                record.report = Some(report);
                record.resolved = true;
                record.started = applied || record.applied_before;
                // Counted when it became unknown; a machine that turns out well is taken back from the budget only
                // by a person's next step, never by itself.
                if applied {
                    for rollout in self.layout.tasks[ix.at()].rollouts.clone() {
                        self.uncount(rollout, target);
                    }
                }
            }
            None => {
                let whole = &mut self.tasks[ix.at()].whole;
                if whole.as_ref().is_none_or(|report| report.outcome != Outcome::Unknown) {
                    return Err(not_unknown());
                }
                *whole = Some(report);
            }
        }
        Ok(())
    }

    /// An unknown machine turned out well: it goes on. A budget that was exceeded stays so.
    fn uncount(&mut self, rollout: ScopeIx, target: TargetIx) {
        let failed_elsewhere = self.layout.tasks_below(rollout).iter().any(|task| {
            let counts = matches!(self.plan.task_at(*task).role, Role::Step | Role::SoakCheck);
            let record = self.tasks[task.at()].records.get(&target);
            counts && record.is_some_and(|record| record.settled && record.failed())
        });
        if failed_elsewhere || self.scopes[rollout.at()].exceeded {
            return;
        }
        let Some(passage) = self.passage_mut(rollout, target) else { return };
        if passage.failure.take().is_none() {
            return;
        }
        self.scopes[rollout.at()].failures -= 1;
        let failures = self.scopes[rollout.at()].failures;
        if matches!(self.plan.scopes[rollout.at()].kind, ScopeKind::Rollout { max_failures, .. } if failures <= max_failures)
        {
            self.over_budget.remove(&rollout);
        }
    }

    /// What a failed task means for the rollout around it, beyond its machines.
    fn note_failure(&mut self, ix: TaskIx, cause: &str) {
        let node = &self.layout.tasks[ix.at()];
        let Some(rollout) = node.rollouts.first().copied() else { return };
        let name = &self.plan.task_at(ix).name;
        match self.plan.task_at(ix).role {
            Role::Window => self.scopes[rollout.at()].closed = Some(format!("{name}: {cause}")),
            Role::Step if node.targets.is_none() => {
                self.scopes[rollout.at()].broken = Some(format!("{name} failed: {cause}"));
            }
            Role::SoakCheck => {
                let scope = name.to_string();
                self.notice("wave_failed", &scope);
            }
            _ => {}
        }
    }

    fn finish(&mut self, ix: TaskIx, at: Timestamp, status: TaskStatus) {
        if self.tasks[ix.at()].active() {
            self.running -= 1;
        }
        self.candidates.remove(&ix);
        self.active.remove(&ix);
        self.expired.remove(&ix);
        let state = &mut self.tasks[ix.at()];
        state.status = status;
        state.wait = None;
        state.finished_at = Some(at);
        state.memory = Memory::default();
        if status == TaskStatus::Succeeded {
            for record in state.records.values_mut() {
                record.report.get_or_insert_with(Report::succeeded);
            }
        } else if let Some(cause) = state.error.clone().filter(|_| status == TaskStatus::Failed) {
            // An open gate has no reports of its own.
            for record in state.records.values_mut() {
                record.report.get_or_insert_with(|| {
                    Report::failed(Outcome::Failed, ErrorClass::Failed, cause.clone())
                });
            }
        }
        self.after_terminal(ix);
    }

    /// At the end of a wave every machine that came through everything is verified.
    fn verify_wave(&mut self, wave: ScopeIx) {
        let Some(rollout) = self.layout.scopes[wave.at()].rollout else { return };
        let tasks = self.layout.tasks_below(wave);
        for target in self.layout.scopes[wave.at()].targets.clone() {
            let good = self.came_through(&tasks, target);
            if let Some(passage) = self.passage_mut(rollout, target) {
                passage.wave_over = true;
                passage.verified = good && passage.failure.is_none();
            }
        }
    }

    pub(super) fn notice(&mut self, event: &'static str, subject: &str) {
        for (rule, entry) in self.plan.notify.iter().enumerate() {
            if entry.events.iter().any(|word| word == event) {
                self.noticed += 1;
                let notice = Notice { rule, event, subject: subject.to_owned() };
                self.notices.insert(self.noticed, notice);
            }
        }
    }
}
