//! What can be asked of a run: for the screen, for JSON, for the coordinator.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Run,
    event::RunEnd,
    layout::{Node, ScopeIx, TargetIx, TaskIx},
    state::{TaskState, TaskStatus},
};
use crate::{
    ids::{GroupName, RunId, ScopeName, TargetId, TaskName},
    outcome::{Outcome, TargetOutcome},
    plan::{Plan, ScopeKind, Task},
};

/// Where a run stands: `status` in docs/json.md. `interrupted` is for the host to say: a run cannot know that
/// nobody holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Something works, or is about to.
    Running,
    /// Only waits are left.
    Waiting,
    /// A person (or an expired gate) paused it.
    Paused,
    /// Nobody holds it.
    Interrupted,
    /// It ended so.
    Ended(RunEnd),
}

impl Status {
    /// The word used in JSON and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Interrupted => "interrupted",
            Self::Ended(end) => end.as_str(),
        }
    }

    /// The exit code; none before the end.
    pub fn exit_code(self) -> Option<u8> {
        match self {
            Self::Ended(end) => Some(end.exit_code()),
            _ => None,
        }
    }
}

/// A task, as it can be seen.
#[derive(Debug)]
pub struct TaskView<'a> {
    run: &'a Run,
    ix: TaskIx,
    /// The plan's task.
    pub task: &'a Task,
    /// Where it stands.
    pub status: TaskStatus,
    /// The number of its latest attempt; 0: none yet.
    pub attempt: u32,
    /// The start of its first attempt.
    pub started_at: Option<Timestamp>,
    /// Its end.
    pub finished_at: Option<Timestamp>,
    /// Outputs by machine; the empty name is the task as a whole.
    pub outputs: &'a BTreeMap<TargetId, Arc<Value>>,
    /// Why it failed or was skipped.
    pub error: Option<&'a str>,
}

impl<'a> TaskView<'a> {
    /// The start of the latest attempt that this machine entered.
    pub fn began(&self, machine: &TargetId) -> Option<Timestamp> {
        let target = self.run.target_named(machine).ok()?;
        self.run.tasks[self.ix.at()].records.get(&target)?.began
    }

    /// The machines that entered it, and how they stand there.
    pub fn targets(&self) -> impl Iterator<Item = (&'a TargetId, TargetOutcome, Option<&'a str>)> {
        let state: &TaskState = &self.run.tasks[self.ix.at()];
        let run = self.run;
        state.records.iter().map(move |(target, record)| {
            let outcome = match record.report.as_ref().map(|report| report.outcome) {
                None if state.status == TaskStatus::Cancelled => TargetOutcome::NotStarted,
                None => TargetOutcome::InProgress,
                Some(outcome) => target_outcome(outcome),
            };
            (
                run.target_name(*target),
                outcome,
                record.report.as_ref().and_then(|report| report.cause.as_deref()),
            )
        })
    }
}

/// A machine, as it can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetView<'a> {
    /// Its id.
    pub id: &'a TargetId,
    /// Where it stands in the run as a whole.
    pub outcome: TargetOutcome,
    /// The group through which it came in.
    pub group: &'a GroupName,
    /// Its wave in the latest rollout that has it.
    pub wave: Option<u32>,
    /// Why it is not well.
    pub cause: Option<String>,
}

fn target_outcome(outcome: Outcome) -> TargetOutcome {
    match outcome {
        Outcome::Succeeded => TargetOutcome::Succeeded,
        Outcome::Failed => TargetOutcome::Failed,
        Outcome::Unreachable => TargetOutcome::Unreachable,
        Outcome::TimedOut => TargetOutcome::TimedOut,
        Outcome::Unknown => TargetOutcome::Unknown,
    }
}

impl Run {
    /// Its id, once started.
    pub fn id(&self) -> Option<&RunId> {
        self.id.as_ref()
    }

    /// Its plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Who started it.
    pub fn started_by(&self) -> &str {
        &self.by
    }

    /// Its first event's time.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.started_at
    }

    /// Its last event's time, once finished.
    pub fn finished_at(&self) -> Option<Timestamp> {
        self.finished_at
    }

    /// Whether its journal is closed.
    pub fn finished(&self) -> bool {
        self.finished
    }

    /// Why it ended so; before the end why it is paused, halted or being cancelled.
    pub fn cause(&self) -> Option<String> {
        self.cause
            .clone()
            .or_else(|| self.halted.clone())
            .or_else(|| self.cancel.as_ref().map(|cancel| format!("{} cancelled it", cancel.by)))
            .or_else(|| self.paused.clone())
    }

    /// Things that went wrong without changing the end: notifications, `finally` steps.
    pub fn warnings(&self) -> Vec<String> {
        let finally = self.tasks.iter().enumerate().filter(|(at, state)| {
            state.status == TaskStatus::Failed
                && self.layout.tasks[*at].phase == super::layout::Phase::Finally
        });
        let failed = finally.map(|(at, state)| {
            let name = &self.plan.task_at(TaskIx(at as u32)).name;
            format!("{name} failed: {}", state.error.as_deref().unwrap_or("no cause was given"))
        });
        self.warnings.iter().cloned().chain(failed).collect()
    }

    /// Where it stands.
    pub fn status(&self) -> Status {
        if let Some(end) = self.end.filter(|_| self.finished) {
            return Status::Ended(end);
        }
        if self.paused.is_some() {
            return Status::Paused;
        }
        if self.before_its_time {
            return Status::Waiting;
        }
        if self.running == 0 && self.active.iter().any(|ix| self.tasks[ix.at()].wait.is_some()) {
            return Status::Waiting;
        }
        Status::Running
    }

    /// Whether it is paused.
    pub fn paused(&self) -> bool {
        self.paused.is_some()
    }

    /// Every task of the plan, and those of the rollback once it has begun.
    pub fn tasks(&self) -> impl Iterator<Item = TaskView<'_>> {
        let count = if self.rollback_begun { self.tasks.len() } else { self.plan.tasks.len() };
        (0..count as u32).map(|ix| self.view(TaskIx(ix)))
    }

    /// One task.
    pub fn task(&self, name: &TaskName) -> Option<TaskView<'_>> {
        self.layout.task(name.as_str()).map(|ix| self.view(ix))
    }

    pub(super) fn view(&self, ix: TaskIx) -> TaskView<'_> {
        let state = &self.tasks[ix.at()];
        TaskView {
            run: self,
            ix,
            task: self.plan.task_at(ix),
            status: state.status,
            attempt: state.attempt,
            started_at: state.started_at,
            finished_at: state.finished_at,
            outputs: &state.outputs,
            error: state.error.as_deref(),
        }
    }

    /// Machines of the current attempt of a task that are not reported yet.
    pub fn open_targets(&self, task: &TaskName) -> Vec<TargetId> {
        let Some(ix) = self.layout.task(task.as_str()) else { return Vec::new() };
        let records = &self.tasks[ix.at()].records;
        let open = records.iter().filter(|(_, record)| record.report.is_none());
        open.map(|(target, _)| self.target_name(*target).clone()).collect()
    }

    /// The machines of a wave that were not excluded.
    pub fn wave_targets(&self, scope: &ScopeName) -> Vec<TargetId> {
        let Some(ix) = self.layout.scope(scope.as_str()) else { return Vec::new() };
        let targets = self.layout.scopes[ix.at()].targets.iter();
        targets
            .filter(|target| !self.excluded.contains_key(target))
            .map(|target| self.target_name(*target).clone())
            .collect()
    }

    /// Every machine of the plan.
    pub fn targets(&self) -> Vec<TargetView<'_>> {
        let busy = self.busy();
        let rollouts = &self.layout.rollouts;
        let mut views: Vec<_> = self
            .plan
            .targets
            .values()
            .map(|target| TargetView {
                id: &target.id,
                outcome: TargetOutcome::Succeeded,
                group: &target.group,
                wave: None,
                cause: None,
            })
            .collect();
        let mut seen = vec![false; views.len()];
        for rollout in rollouts.iter().copied() {
            for target in &self.layout.scopes[rollout.at()].targets {
                let (outcome, cause) = self.outcome_in(rollout, *target, busy.contains_key(target));
                if outcome == TargetOutcome::NotStarted
                    && rollouts.iter().any(|other| self.touched_in_rollout(*other, *target))
                {
                    // `not_started` means that no changing task was entered: another rollout's word holds.
                    continue;
                }
                let view = &mut views[target.at()];
                if !seen[target.at()] || rank(outcome) > rank(view.outcome) {
                    view.outcome = outcome;
                    view.cause = cause;
                }
                seen[target.at()] = true;
            }
            for child in &self.layout.scopes[rollout.at()].children {
                if let ScopeKind::Wave { number, .. } = self.plan.scopes[child.at()].kind {
                    for target in &self.layout.scopes[child.at()].targets {
                        views[target.at()].wave = Some(number);
                    }
                }
            }
        }
        for (at, view) in views.iter_mut().enumerate() {
            if !seen[at] {
                (view.outcome, view.cause) =
                    self.outcome_outside(TargetIx(at as u32), busy.contains_key(&TargetIx(at as u32)));
            }
        }
        views
    }

    /// How one machine stands in the run as a whole.
    pub fn target_outcome(&self, id: &TargetId) -> Option<TargetOutcome> {
        let ix = self.layout.target(id)?;
        self.targets().get(ix.at()).map(|view| view.outcome)
    }

    fn touched_in_rollout(&self, rollout: ScopeIx, target: TargetIx) -> bool {
        self.passage(rollout, target).is_some_and(|passage| passage.touched)
    }

    fn busy(&self) -> BTreeMap<TargetIx, TaskIx> {
        let mut busy = BTreeMap::new();
        for ix in &self.active {
            for (target, record) in &self.tasks[ix.at()].records {
                if record.report.is_none() {
                    busy.insert(*target, *ix);
                }
            }
        }
        busy
    }

    fn outcome_in(&self, rollout: ScopeIx, target: TargetIx, busy: bool) -> (TargetOutcome, Option<String>) {
        let Some(passage) = self.passage(rollout, target) else { return (TargetOutcome::Pending, None) };
        let cause = passage.failure.as_ref().map(|(_, cause)| cause.clone());
        if let Some(failed) = self.restore_failed.get(&target) {
            return (TargetOutcome::RestoreFailed, Some(failed.clone()));
        }
        if passage.is_back() && self.restored_by.contains_key(&target) && !busy {
            return (TargetOutcome::Restored, cause.or_else(|| self.undo.clone()).or_else(|| self.cause()));
        }
        match &passage.failure {
            // What nobody knew was made good, before something changed the machine anew.
            Some((Outcome::Unknown, cause)) if !self.is_open_in(rollout, target) => {
                return (TargetOutcome::Failed, Some(cause.clone()));
            }
            Some((outcome, cause)) => return (target_outcome(*outcome), Some(cause.clone())),
            None => {}
        }
        if let Some(why) = self.excluded.get(&target).filter(|_| !passage.touched) {
            return (TargetOutcome::Excluded, Some(why.clone()));
        }
        if passage.verified {
            let soaking = busy && self.end.is_none();
            return (if soaking { TargetOutcome::InProgress } else { TargetOutcome::Succeeded }, None);
        }
        let over = self.end.is_some() || passage.wave_over || self.scopes[rollout.at()].remaining == 0;
        if passage.touched && over {
            return (TargetOutcome::Failed, Some("it was changed and never verified".into()));
        }
        if busy || passage.touched {
            return (TargetOutcome::InProgress, None);
        }
        if over {
            if self.only_skipped(rollout) {
                return (TargetOutcome::Succeeded, None);
            }
            return (TargetOutcome::NotStarted, self.rollout_stopped(rollout).or_else(|| self.cause()));
        }
        (TargetOutcome::Pending, None)
    }

    /// A rollout that `when:` or `--limit` left out asks nothing of its machines.
    fn only_skipped(&self, rollout: ScopeIx) -> bool {
        matches!(self.scope_verdict(rollout), super::verdict::Verdict::Skipped { satisfies: true, .. })
    }

    /// A machine of a plan without rollouts: a linked rollback.
    fn outcome_outside(&self, target: TargetIx, busy: bool) -> (TargetOutcome, Option<String>) {
        if let Some(failed) = self.restore_failed.get(&target) {
            return (TargetOutcome::RestoreFailed, Some(failed.clone()));
        }
        if busy {
            return (TargetOutcome::InProgress, None);
        }
        if self.restored_by.contains_key(&target) {
            return (TargetOutcome::Restored, None);
        }
        match self.end {
            Some(_) => (TargetOutcome::NotStarted, self.cause()),
            None => (TargetOutcome::Pending, None),
        }
    }

    /// What every machine entered that may have changed it, by wave or part: what a rollback restores.
    pub fn changed_targets(&self) -> BTreeMap<ScopeName, Vec<TargetId>> {
        let mut changed: BTreeMap<ScopeName, Vec<TargetId>> = BTreeMap::new();
        for (at, state) in self.tasks.iter().enumerate() {
            let (ix, node) = (TaskIx(at as u32), &self.layout.tasks[at]);
            let Some(wave) = node.waves.first() else { continue };
            if node.rollouts.is_empty() || !self.layout.is_change(ix, &self.plan.task_at(ix).role) {
                continue;
            }
            for (target, record) in &state.records {
                let mut passages = node.rollouts.iter().filter_map(|rollout| self.passage(*rollout, *target));
                if record.started && !passages.any(|passage| passage.is_back()) {
                    let list = changed.entry(self.plan.scopes[wave.at()].name.clone()).or_default();
                    list.push(self.target_name(*target).clone());
                }
            }
        }
        for list in changed.values_mut() {
            list.sort_unstable();
            list.dedup();
        }
        changed
    }

    /// Outputs of every completed backup, by step and machine: what a rollback restores from.
    pub fn backups(&self) -> BTreeMap<crate::ids::StepPath, BTreeMap<TargetId, Value>> {
        let mut all = self.plan.carried.clone();
        for (step, tasks) in &self.backups {
            for ix in tasks {
                let state = &self.tasks[ix.at()];
                for (target, record) in &state.records {
                    let id = self.target_name(*target);
                    if let Some(value) = state.outputs.get(id).filter(|_| record.succeeded()) {
                        all.entry(step.clone()).or_default().insert(id.clone(), (**value).clone());
                    }
                }
            }
        }
        all
    }

    /// How many machines failed in a rollout, and how many may.
    pub fn budget(&self, rollout: &ScopeName) -> Option<(u32, u32)> {
        let ix = self.layout.scope(rollout.as_str())?;
        match self.plan.scopes[ix.at()].kind {
            ScopeKind::Rollout { max_failures, .. } => Some((self.scopes[ix.at()].failures, max_failures)),
            _ => None,
        }
    }

    /// Whether something may have changed a machine before this attempt of a task, in the rollouts of the task: then
    /// it is not the machine's first change.
    pub fn is_changed_before(&self, task: &TaskName, target: &TargetId) -> bool {
        let (Some(ix), Some(machine)) = (self.layout.task(task.as_str()), self.layout.target(target)) else {
            return false;
        };
        self.tasks[ix.at()].records.get(&machine).is_some_and(|record| record.applied_before)
            || self.is_changed_beside(ix, machine)
    }

    /// Whether a task stands in a scope, or below it.
    pub fn stands_in(&self, task: &TaskName, scope: &ScopeName) -> bool {
        match (self.layout.task(task.as_str()), self.layout.scope(scope.as_str())) {
            (Some(task), Some(scope)) => self.layout.is_below(self.layout.tasks[task.at()].scope, scope),
            _ => false,
        }
    }

    /// Whether a step, wave or task is over, and how: `succeeded`, `contained`, `failed`, `skipped`, `cancelled`.
    pub fn verdict_of(&self, name: &str) -> Option<&'static str> {
        let node = match self.layout.scope(name) {
            Some(scope) if self.scopes[scope.at()].remaining > 0 => return None,
            Some(scope) => Node::Scope(scope),
            None => {
                let task = self.layout.task(name)?;
                if !self.tasks[task.at()].settled {
                    return None;
                }
                Node::Task(task)
            }
        };
        Some(match self.verdict(node) {
            super::verdict::Verdict::Succeeded => "succeeded",
            super::verdict::Verdict::Contained => "contained",
            super::verdict::Verdict::Failed { .. } => "failed",
            super::verdict::Verdict::Skipped { .. } => "skipped",
            super::verdict::Verdict::Cancelled => "cancelled",
        })
    }
}

/// Which of two outcomes of a machine that stands in several rollouts is the one to tell.
fn rank(outcome: TargetOutcome) -> u8 {
    match outcome {
        TargetOutcome::RestoreFailed => 10,
        TargetOutcome::Unknown => 9,
        TargetOutcome::Failed => 8,
        TargetOutcome::Unreachable => 7,
        TargetOutcome::TimedOut => 6,
        TargetOutcome::Restored => 5,
        TargetOutcome::InProgress => 4,
        TargetOutcome::Excluded => 3,
        TargetOutcome::NotStarted => 2,
        TargetOutcome::Pending => 1,
        TargetOutcome::Succeeded => 0,
    }
}
