//! The transition table: which event fits which state, and what it changes. Nothing changes when one does not fit.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::{
    Cancel, Run,
    event::{Event, RunEnd},
    illegal::IllegalEvent,
    replaced::Replacement,
    state::{Intent, TaskStatus, Wait},
};
use crate::{
    ids::TargetId,
    outcome::Outcome,
    plan::{Gate, OnReject, Work},
};

pub(super) type Applied = Result<(), IllegalEvent>;

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
            Event::IntentRecorded { task, attempt, key, call, token, targets, makes: _ } => {
                let ix = self.attempt(task, *attempt)?;
                let state = &mut self.tasks[ix.at()];
                state.old_intent = false;
                let intent =
                    Intent { at, call: call.clone(), token: token.clone(), targets: targets.clone() };
                state.memory.intents.insert(key.clone(), intent);
                Ok(())
            }
            // The ledger of artifacts stands beside the run: nothing in it decides anything here.
            Event::ArtifactsMade { task, attempt, .. } => self.attempt(task, *attempt).map(|_| ()),
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
                if self.plan.task_at(ix).restores.is_some() {
                    let new = outputs
                        .iter()
                        .filter_map(|(target, value)| Some((target.clone(), Replacement::read(ix, value)?)));
                    self.replaced.extend(new);
                }
                let state = &mut self.tasks[ix.at()];
                let shared = outputs.iter().map(|(target, value)| (target.clone(), Arc::new(value.clone())));
                state.outputs.extend(shared);
                self.installed(ix, outputs);
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
                self.scopes[ix.at()].inspected_at = Some(at);
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
            Event::ApprovalGiven { task, by, role, note } => {
                let ix = self.open_gate(task)?;
                if matches!(self.tasks[ix.at()].wait, Some(Wait::Gate { until }) if at >= until) {
                    return Err(IllegalEvent::new(format!("gate `{task}` has expired")));
                }
                if matches!(
                    self.plan.task_at(ix).work,
                    Work::Gate(Gate::Approval { .. } | Gate::Manual { .. })
                ) {
                    let by_hand = matches!(self.plan.task_at(ix).work, Work::Gate(Gate::Manual { .. }));
                    let state = &mut self.tasks[ix.at()];
                    state.approvals.insert(by.clone(), role.clone());
                    if by_hand {
                        // What a person says is what such a gate puts out.
                        let said = json!({ "by": by, "evidence": note });
                        state.outputs.insert(TargetId::from(""), Arc::new(said));
                    }
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
            Event::PatchsetLocked { tested, .. } => self.patchset_locked(tested),
            Event::PackagesBarred { packages } => self.packages_barred(packages),
            Event::PackagesCleared { packages } => self.packages_cleared(packages),
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
}
