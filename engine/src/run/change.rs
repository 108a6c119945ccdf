//! What events change in tasks, machines and budgets. Each function checks first and changes then.

use jiff::Timestamp;

use super::{
    Run,
    apply::Applied,
    event::Report,
    illegal::IllegalEvent,
    layout::{Phase, ScopeIx, TargetIx, TaskIx},
    state::{Memory, Notice, Record, Remedy, TaskStatus, Wait},
};
use crate::{
    ids::{TargetId, TaskName},
    outcome::{ErrorClass, Outcome},
    plan::{Gate, Role, ScopeKind, Work},
};

impl Run {
    pub(super) fn resumed(&mut self, at: Timestamp) {
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

    pub(super) fn started(
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
        self.candidates.remove(ix);
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
            let record = state.records.entry(*target).or_insert_with(|| Record::entered(at));
            record.began = Some(at);
            record.applied_before = attempt > 1 && record.started;
            record.report = None;
            record.started = true;
            record.settled = false;
            record.remedy = Remedy::None;
        }
        for (target, cause) in &refused {
            let report = Report::failed(Outcome::Failed, ErrorClass::Failed, cause.clone());
            let record = Record {
                report: Some(report),
                began: None,
                started: false,
                settled: true,
                applied_before: false,
                resolved: false,
                remedy: Remedy::None,
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
        let restores = self.plan.task_at(ix).restores.is_some();
        if step || restores {
            // What was restored before is changed anew: only this task's own success says otherwise.
            for target in &entering {
                self.restored_by.remove(target);
            }
        }
        if restores {
            for target in &entering {
                self.remedy(ix, *target, Remedy::None, Remedy::Begun);
                self.for_restored(ix, *target, |passage| {
                    (passage.restored, passage.changed_again) = (false, false)
                });
            }
        }
        for rollout in self.layout.tasks[ix.at()].rollouts.clone() {
            for target in &entering {
                if let Some(passage) = self.passage_mut(rollout, *target).filter(|_| changes && main) {
                    passage.touched = true;
                    passage.changed_again |= step;
                }
            }
        }
        for (target, cause) in refused {
            self.count_for_task(ix, target, Outcome::Failed, &cause);
        }
        if attempt > 1 {
            self.repeat_verification(ix, &entering);
        }
        self.give_patchset(ix);
        Ok(())
    }

    /// Another attempt of a restore has its verification once more.
    pub(super) fn repeat_verification(&mut self, restoring: TaskIx, targets: &[TargetIx]) {
        self.regroup.remove(&restoring);
        for verify in self.layout.tasks[restoring.at()].verify.clone() {
            self.candidates.remove(verify);
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

    pub(super) fn gate_opened(
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
        self.candidates.remove(ix);
        self.active.insert(ix);
        let state = &mut self.tasks[ix.at()];
        state.status = TaskStatus::Waiting;
        state.wait = Some(Wait::Gate { until });
        state.attempt = 1;
        state.started_at = Some(at);
        state.attempt_at = Some(at);
        for target in entering {
            state.records.insert(target, Record::entered(at));
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
    pub(super) fn close_gate(&mut self, ix: TaskIx) {
        let state = &mut self.tasks[ix.at()];
        state.status = TaskStatus::Pending;
        state.wait = None;
        state.approvals.clear();
        state.records.clear();
        self.active.remove(&ix);
        self.becomes_candidate(ix);
    }

    pub(super) fn reported(
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
                if report.proves_nothing_applied() {
                    record.started = record.applied_before;
                }
                record.report = Some(report.clone());
            }
        }
        state.open -= list.len();
        if report.outcome != Outcome::Succeeded {
            state.undecided.extend(&list);
        }
        Ok(())
    }

    /// A result is judged by the time at which the remote side finished.
    pub(super) fn judged(&self, ix: TaskIx, at: Timestamp, report: &Report) -> Report {
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
            untouched: report.untouched,
        }
    }

    pub(super) fn failed_for_good(&mut self, name: &TaskName, targets: &[TargetId]) -> Applied {
        let ix = self.task_named(name)?;
        let list = self.different(name, targets)?;
        if !self.tasks[ix.at()].active() || self.tasks[ix.at()].undecided.len() < list.len() {
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
            self.tasks[ix.at()].undecided.remove(&target);
            self.count_for_task(ix, target, outcome, &cause);
        }
        Ok(())
    }

    /// Counts a failed machine in every rollout that the task stands in. Branches and verifications have machines
    /// that count already.
    pub(super) fn count_for_task(&mut self, ix: TaskIx, target: TargetIx, outcome: Outcome, cause: &str) {
        let counts = !matches!(self.plan.task_at(ix).role, Role::Branch { .. } | Role::Verify { .. })
            && self.layout.tasks[ix.at()].phase == Phase::Main;
        if counts {
            for rollout in self.layout.tasks[ix.at()].rollouts.clone() {
                self.count_failure(rollout, target, outcome, cause);
            }
        }
    }

    pub(super) fn count_failure(
        &mut self,
        rollout: ScopeIx,
        target: TargetIx,
        outcome: Outcome,
        cause: &str,
    ) {
        if self.excluded.contains_key(&target) {
            return;
        }
        let Some(passage) = self.passage_mut(rollout, target) else { return };
        if passage.failure.is_some() {
            return;
        }
        passage.failure = Some((outcome, cause.to_owned()));
        passage.verified = false;
        let counted = passage.stays_counted;
        let state = &mut self.scopes[rollout.at()];
        state.failures += u32::from(!counted);
        if let ScopeKind::Rollout { max_failures, .. } = self.plan.scopes[rollout.at()].kind
            && state.failures > max_failures
            && !state.exceeded
        {
            self.over_budget.insert(rollout);
        }
        self.weigh(target);
    }

    pub(super) fn retry(
        &mut self,
        name: &TaskName,
        attempt: u32,
        targets: &[TargetId],
        due: Timestamp,
    ) -> Applied {
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
            self.tasks[ix.at()].undecided.clear();
        }
        self.tasks[ix.at()].again = again;
        self.wait(ix, Wait::Backoff { at: due });
        Ok(())
    }

    /// A running task waits.
    pub(super) fn wait(&mut self, ix: TaskIx, wait: Wait) {
        self.running -= 1;
        let state = &mut self.tasks[ix.at()];
        state.status = TaskStatus::Waiting;
        state.wait = Some(wait);
    }

    pub(super) fn resolved(
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
                if matches!(self.plan.task_at(ix).role, Role::Step | Role::SoakCheck) {
                    for rollout in self.layout.tasks[ix.at()].rollouts.clone() {
                        self.judge_again(rollout, target);
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

    /// A person said how something came out that was unknown. A machine that turns out well goes on, and is taken back
    /// from the budget; a budget that was exceeded stays so.
    fn judge_again(&mut self, rollout: ScopeIx, target: TargetIx) {
        let failure = self.tasks_of_in(target, rollout).find_map(|ix| {
            let task = self.plan.task_at(ix);
            let record = self.tasks[ix.at()].records.get(&target)?;
            let counts =
                matches!(task.role, Role::Step | Role::SoakCheck) && record.settled && record.failed();
            let outcome = record.report.as_ref().filter(|_| counts)?.outcome;
            Some((outcome, format!("{} failed: {}", task.name, record.cause())))
        });
        let well = failure.is_none();
        let exceeded = self.scopes[rollout.at()].exceeded;
        let through = well && self.came_through(rollout, target);
        let Some(passage) = self.passage_mut(rollout, target).filter(|passage| passage.failure.is_some())
        else {
            return;
        };
        passage.failure = failure;
        passage.verified = through && passage.wave_over;
        passage.stays_counted = well && exceeded;
        if well && !exceeded {
            self.scopes[rollout.at()].failures -= 1;
            let failures = self.scopes[rollout.at()].failures;
            if matches!(self.plan.scopes[rollout.at()].kind, ScopeKind::Rollout { max_failures, .. } if failures <= max_failures)
            {
                self.over_budget.remove(&rollout);
            }
        }
        self.weigh(target);
    }

    /// What a failed task means for the rollout around it, beyond its machines.
    pub(super) fn note_failure(&mut self, ix: TaskIx, cause: &str) {
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

    pub(super) fn finish(&mut self, ix: TaskIx, at: Timestamp, status: TaskStatus) {
        if self.tasks[ix.at()].active() {
            self.running -= 1;
        }
        self.candidates.remove(ix);
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
    pub(super) fn verify_wave(&mut self, wave: ScopeIx) {
        let Some(rollout) = self.layout.scopes[wave.at()].rollout else { return };
        for target in self.layout.scopes[wave.at()].targets.clone() {
            let good = self.came_through(wave, target);
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
