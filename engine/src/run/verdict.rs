//! How a task or a scope came out as a whole.

use super::{
    Run,
    layout::{Node, ScopeIx, TaskIx},
    state::TaskStatus,
};
use crate::plan::{Role, ScopeKind};

/// How something came out as a whole, once it is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Succeeded,
    /// Failed on machines, inside the budget.
    Contained,
    Failed {
        cause: String,
    },
    Skipped {
        cause: String,
        satisfies: bool,
    },
    Cancelled,
}

impl Run {
    pub(super) fn verdict(&self, node: Node) -> Verdict {
        match node {
            Node::Task(task) => self.task_verdict(task),
            Node::Scope(scope) => self.scope_verdict(scope),
        }
    }

    pub(super) fn task_verdict(&self, ix: TaskIx) -> Verdict {
        let state = &self.tasks[ix.at()];
        let cause = || state.error.clone().unwrap_or_default();
        match state.status {
            TaskStatus::Skipped => Verdict::Skipped { cause: cause(), satisfies: state.satisfies },
            TaskStatus::Cancelled => Verdict::Cancelled,
            TaskStatus::Failed => {
                let node = &self.layout.tasks[ix.at()];
                let inside = node.targets.is_some()
                    && !node.rollouts.is_empty()
                    && node.rollouts.iter().all(|rollout| self.rollout_stopped(*rollout).is_none());
                if inside { Verdict::Contained } else { Verdict::Failed { cause: cause() } }
            }
            _ => Verdict::Succeeded,
        }
    }

    pub(super) fn scope_verdict(&self, scope: ScopeIx) -> Verdict {
        if !matches!(self.plan.scopes[scope.at()].kind, ScopeKind::Rollout { .. }) {
            return self.worst_of(scope);
        }
        if let Some(cause) = self.rollout_stopped(scope) {
            return Verdict::Failed { cause };
        }
        let begun = self.any_begun(scope);
        if !begun {
            return self.worst_of(scope);
        }
        if self.cancel.is_some()
            && self
                .layout
                .tasks_below(scope)
                .iter()
                .any(|ix| self.tasks[ix.at()].status == TaskStatus::Cancelled)
        {
            return Verdict::Cancelled;
        }
        let never = self.layout.scopes[scope.at()].children.iter().any(|child| {
            matches!(self.plan.scopes[child.at()].kind, ScopeKind::Wave { .. })
                && !self.scopes[child.at()].begun
        });
        if let Some(cause) = self.halted.as_ref().or(self.undo.as_ref()).filter(|_| never) {
            return Verdict::Failed { cause: cause.clone() };
        }
        if self.scopes[scope.at()].failures > 0 {
            return Verdict::Contained;
        }
        // A wave that never began for a reason of its own leaves the rollout undone.
        match self.worst_of(scope) {
            skipped @ Verdict::Skipped { satisfies: false, .. } => match skipped {
                Verdict::Skipped { cause, .. } => Verdict::Failed { cause },
                other => other,
            },
            Verdict::Skipped { .. } => Verdict::Succeeded,
            other => other,
        }
    }

    fn any_begun(&self, scope: ScopeIx) -> bool {
        let node = &self.layout.scopes[scope.at()];
        node.tasks.iter().any(|task| self.tasks[task.at()].attempt > 0)
            || node.children.iter().any(|child| self.scopes[child.at()].begun || self.any_begun(*child))
    }

    /// The worst verdict of the ordinary tasks in a scope and below.
    fn worst_of(&self, scope: ScopeIx) -> Verdict {
        let mut worst = Verdict::Succeeded;
        let mut ran = false;
        let mut satisfied = None;
        for ix in self.layout.tasks_below(scope) {
            let undoing = matches!(self.plan.scopes[scope.at()].kind, ScopeKind::Rollback { .. });
            if !undoing && matches!(self.plan.task_at(ix).role, Role::Branch { .. } | Role::Verify { .. }) {
                continue;
            }
            // What a rung made good is judged at the last rung.
            let restoring = self.layout.tasks[ix.at()].verifies.unwrap_or(ix);
            if undoing && !self.layout.tasks[restoring.at()].rungs.is_empty() {
                continue;
            }
            match self.task_verdict(ix) {
                failed @ Verdict::Failed { .. } => return failed,
                Verdict::Cancelled => worst = Verdict::Cancelled,
                Verdict::Skipped { cause, satisfies: false } if worst == Verdict::Succeeded => {
                    worst = Verdict::Skipped { cause, satisfies: false };
                }
                Verdict::Skipped { cause, satisfies: true } => {
                    satisfied.get_or_insert(cause);
                }
                Verdict::Contained | Verdict::Succeeded => ran = true,
                Verdict::Skipped { .. } => {}
            }
        }
        match satisfied {
            Some(cause) if !ran && worst == Verdict::Succeeded => Verdict::Skipped { cause, satisfies: true },
            _ => worst,
        }
    }

    /// Whether something failed in the sense of a failure branch.
    pub(super) fn node_failed(&self, node: Node) -> bool {
        match node {
            Node::Task(task) => {
                let state = &self.tasks[task.at()];
                state.status == TaskStatus::Failed
                    || self.layout.tasks[task.at()]
                        .verify
                        .iter()
                        .any(|verify| self.tasks[verify.at()].status == TaskStatus::Failed)
                    || state.wait.is_some()
                        && state
                            .whole
                            .as_ref()
                            .is_some_and(|report| report.outcome != crate::outcome::Outcome::Succeeded)
            }
            Node::Scope(scope) => matches!(self.scope_verdict(scope), Verdict::Failed { .. }),
        }
    }
}
