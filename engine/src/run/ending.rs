//! How a run ends: rollback, `finally`, the outcome, the last notifications.

use super::{
    Run,
    event::{Event, RunEnd},
    layout::{Node, Phase, ScopeIx, TargetIx, TaskIx},
    state::{Record, Remedy, TaskStatus},
    verdict::Verdict,
};
use crate::{
    outcome::Outcome,
    plan::{Role, ScopeKind},
};

impl Run {
    /// Whether everything but `finally` is over.
    pub(super) fn main_over(&self) -> bool {
        self.ordinary_over()
            && (!self.wants_rollback() || (self.rollback_begun && self.phase_remaining(Phase::Rollback) == 0))
    }

    fn ordinary_over(&self) -> bool {
        self.phase_remaining(Phase::Main) == 0 && self.ending.is_empty() && self.over_budget.is_empty()
    }

    fn wants_rollback(&self) -> bool {
        (self.undo.is_some() || self.cancel.as_ref().is_some_and(|cancel| cancel.restore))
            && !self.plan.rollback.is_empty()
            && (self.rollback_begun || self.anything_to_undo())
    }

    fn anything_to_undo(&self) -> bool {
        self.scopes
            .iter()
            .any(|scope| scope.passages.iter().any(|passage| passage.touched && !passage.is_back()))
    }

    /// The next event of the end, if it is time.
    pub(super) fn ending_event(&self) -> Option<Event> {
        if !self.ordinary_over() {
            return None;
        }
        if self.wants_rollback() && !self.rollback_begun {
            let cancelled = self.cancel.as_ref().map(|cancel| format!("{} cancelled the run", cancel.by));
            let cause = self.undo.clone().or(cancelled).unwrap_or_default();
            return Some(Event::RollbackBegun { cause });
        }
        if !self.main_over() || self.phase_remaining(Phase::Finally) > 0 {
            return None;
        }
        match self.end {
            None => {
                let (status, cause) = self.outcome();
                Some(Event::OutcomeDecided { status, cause })
            }
            Some(status) if self.notices.is_empty() => Some(Event::RunFinished { status }),
            Some(_) => None,
        }
    }

    /// The first end that holds.
    fn outcome(&self) -> (RunEnd, Option<String>) {
        if let Some(cause) = self.stuck_cause() {
            return (RunEnd::Stuck, Some(cause));
        }
        if let Some(cancel) = &self.cancel {
            let why = cancel.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
            return (RunEnd::Cancelled, Some(format!("{} cancelled it{why}", cancel.by)));
        }
        let exceeded: Vec<_> = self.rollouts().filter(|scope| self.scopes[scope.at()].exceeded).collect();
        if let Some(first) = exceeded.first() {
            let cause = self.budget_cause(*first);
            let restored = exceeded
                .iter()
                .any(|scope| self.scopes[scope.at()].passages.iter().any(|passage| passage.is_back()))
                && self.left_changed().is_empty();
            return match restored {
                true => (RunEnd::Restored, Some(cause)),
                false => (RunEnd::Failed, Some(self.with_the_left(cause))),
            };
        }
        if let Some(cause) = self.first_failure() {
            return (RunEnd::Failed, Some(self.with_the_left(cause)));
        }
        (RunEnd::Succeeded, None)
    }

    fn rollouts(&self) -> impl Iterator<Item = ScopeIx> {
        self.layout.rollouts.iter().copied()
    }

    fn budget_cause(&self, rollout: ScopeIx) -> String {
        let stopped = self.rollout_stopped(rollout).unwrap_or_default();
        let first = self.scopes[rollout.at()]
            .passages
            .iter()
            .zip(&self.layout.scopes[rollout.at()].targets)
            .find_map(|(passage, target)| {
                passage.failure.as_ref().map(|(_, cause)| format!("{}: {cause}", self.target_name(*target)))
            });
        match first {
            Some(first) => format!("{stopped}; {first}"),
            None => stopped,
        }
    }

    /// Machines that were changed, failed or were never verified, and are not restored.
    fn left_changed(&self) -> Vec<TargetIx> {
        let mut list: Vec<_> = self
            .rollouts()
            .flat_map(|rollout| {
                let targets = &self.layout.scopes[rollout.at()].targets;
                self.scopes[rollout.at()].passages.iter().zip(targets).filter(move |(passage, target)| {
                    passage.touched
                        && !passage.is_back()
                        && (passage.failure.is_some() || !passage.verified)
                        && self.is_changed_in(rollout, **target)
                })
            })
            .map(|(_, target)| *target)
            .collect();
        list.sort_unstable();
        list.dedup();
        list
    }

    /// A cause, and the machines that stay changed behind it.
    fn with_the_left(&self, cause: String) -> String {
        let left = self.left_changed();
        if left.is_empty() {
            return cause;
        }
        let names: Vec<_> = left.iter().take(10).map(|target| self.target_name(*target).as_str()).collect();
        let more = if left.len() > 10 { format!(" and {} more", left.len() - 10) } else { String::new() };
        format!("{cause}; changed and not restored: {}{more}", names.join(", "))
    }

    /// Why a person is needed, if one is.
    fn stuck_cause(&self) -> Option<String> {
        if let Some((target, cause)) = self.restore_failed.iter().next() {
            return Some(format!("restore failed on {}: {cause}", self.target_name(*target)));
        }
        if let Some((ix, target)) = self.unknowns_left().into_iter().next() {
            let task = &self.plan.task_at(ix).name;
            return Some(match target {
                Some(target) => {
                    let cause = self.tasks[ix.at()]
                        .records
                        .get(&target)
                        .map(|record| record.cause())
                        .unwrap_or_default();
                    format!("the outcome of {task} on {} is unknown: {cause}", self.target_name(target))
                }
                None => format!("the outcome of {task} is unknown"),
            });
        }
        self.rollouts().find_map(|rollout| {
            let targets = &self.layout.scopes[rollout.at()].targets;
            self.scopes[rollout.at()].passages.iter().zip(targets).find_map(|(passage, target)| {
                passage.branch_failed.as_ref().map(|cause| format!("{}: {cause}", self.target_name(*target)))
            })
        })
    }

    /// Unknown outcomes that no restore has made good.
    pub(super) fn unknowns_left(&self) -> Vec<(TaskIx, Option<TargetIx>)> {
        let mut list = Vec::new();
        for (at, state) in self.tasks.iter().enumerate() {
            let ix = TaskIx(at as u32);
            if self.layout.tasks[at].phase == Phase::Finally {
                continue;
            }
            for (target, record) in &state.records {
                if self.is_open(ix, *target, record) {
                    list.push((ix, Some(*target)));
                }
            }
            if state.whole.as_ref().is_some_and(|report| report.outcome == Outcome::Unknown) {
                list.push((ix, None));
            }
        }
        list
    }

    /// Whether nobody can say how a task came out on a machine, and no restore made it good.
    fn is_open(&self, ix: TaskIx, target: TargetIx, record: &Record) -> bool {
        let restored = match self.layout.tasks[ix.at()].rollouts.is_empty() {
            true => self.restored_by.contains_key(&target),
            false => record.remedy == Remedy::Done,
        };
        record.unknown() && !restored
    }

    /// The same of any task of a rollout.
    pub(super) fn is_open_in(&self, rollout: ScopeIx, target: TargetIx) -> bool {
        self.tasks_of_in(target, rollout).any(|ix| {
            let record = self.tasks[ix.at()].records.get(&target);
            record.is_some_and(|record| self.is_open(ix, target, record))
        })
    }

    /// The first thing at the root that failed, or was skipped because something failed.
    fn first_failure(&self) -> Option<String> {
        let root = self.plan.scopes.iter().position(|scope| scope.parent.is_none())?;
        let node = &self.layout.scopes[root];
        let tasks = node.tasks.iter().map(|task| Node::Task(*task));
        let scopes = node.children.iter().map(|scope| Node::Scope(*scope));
        let mut skipped = None;
        for node in tasks.chain(scopes) {
            match node {
                Node::Task(ix) => {
                    let role = &self.plan.task_at(ix).role;
                    let failed = self.status_of(ix) == TaskStatus::Failed;
                    if matches!(role, Role::Branch { .. } | Role::Verify { .. }) && !failed {
                        continue;
                    }
                }
                Node::Scope(ix) if matches!(self.plan.scopes[ix.at()].kind, ScopeKind::Rollout { .. }) => {}
                // A linked run's rollback stands in scopes of its own.
                Node::Scope(ix)
                    if matches!(self.plan.scopes[ix.at()].kind, ScopeKind::Rollback { .. })
                        && self.plan.rollback.is_empty() => {}
                Node::Scope(_) => continue,
            }
            match self.verdict(node) {
                Verdict::Failed { cause } => {
                    return Some(format!("{} failed: {cause}", self.node_name(node)));
                }
                Verdict::Skipped { cause, satisfies: false } => {
                    skipped.get_or_insert(cause);
                }
                _ => {}
            }
        }
        skipped
    }
}
