//! Who enters a task: the rules of `needs`, of branches, of budgets and of the way back.

use std::collections::BTreeMap;

use super::{
    Run,
    layout::{Filter, Node, Phase, ScopeIx, TargetIx, TaskIx},
    state::TaskStatus,
    verdict::Verdict,
};
use crate::{
    outcome::Effect,
    plan::{Role, ScopeKind, Work},
};

/// What a pending task can do now.
#[derive(Debug)]
pub(super) enum Entry {
    /// Start, on these machines; the others are refused at the door.
    Start { targets: Vec<TargetIx>, refused: BTreeMap<TargetIx, String> },
    /// Never.
    Skip { cause: String, satisfies: bool },
}

impl Entry {
    fn skip(cause: impl Into<String>) -> Self {
        Self::Skip { cause: cause.into(), satisfies: false }
    }
}

impl Run {
    /// Who enters a task that waits for nothing any more.
    pub(super) fn entry(&self, ix: TaskIx) -> Entry {
        let node = &self.layout.tasks[ix.at()];
        match &self.plan.task_at(ix).role {
            Role::Branch { .. } => self.branch_entry(ix),
            Role::Verify { .. } => {
                let restored: Vec<_> = node
                    .verifies
                    .map(|of| {
                        let records = &self.tasks[of.at()].records;
                        let fresh = |target: &TargetIx| {
                            !self.tasks[ix.at()].records.contains_key(target)
                                && node
                                    .targets
                                    .as_ref()
                                    .is_none_or(|planned| planned.binary_search(target).is_ok())
                        };
                        records
                            .iter()
                            .filter(|(target, record)| record.succeeded() && fresh(target))
                            .map(|(t, _)| *t)
                            .collect()
                    })
                    .unwrap_or_default();
                if restored.is_empty() {
                    return Entry::Skip { cause: "nothing was restored".into(), satisfies: true };
                }
                Entry::Start { targets: restored, refused: BTreeMap::new() }
            }
            _ if node.phase == Phase::Rollback || node.only.is_some() => self.branch_entry(ix),
            _ => self.step_entry(ix),
        }
    }

    fn branch_entry(&self, ix: TaskIx) -> Entry {
        let node = &self.layout.tasks[ix.at()];
        let Some(planned) = &node.targets else {
            let fired = node.of.is_empty() || node.of.iter().any(|of| self.node_failed(*of));
            return if fired {
                Entry::Start { targets: Vec::new(), refused: BTreeMap::new() }
            } else {
                Entry::Skip { cause: "nothing failed".into(), satisfies: true }
            };
        };
        // A composite's branch fires only when the composite is over its budget.
        let scopes: Vec<_> = node.of.iter().filter(|of| matches!(of, Node::Scope(_))).collect();
        if !scopes.is_empty()
            && scopes.len() == node.of.len()
            && !scopes.iter().any(|of| self.node_failed(**of))
        {
            return Entry::Skip { cause: "it did not fail over its budget".into(), satisfies: true };
        }
        let restores = self.plan.task_at(ix).restores.is_some();
        let targets: Vec<_> = planned
            .iter()
            .copied()
            .filter(|target| match &node.only {
                Some(Filter::FailedIn(nodes)) => nodes.iter().any(|of| self.failed_in(*of, *target)),
                Some(Filter::TouchedBy(nodes)) => nodes.iter().any(|of| self.touched_in(*of, *target)),
                Some(Filter::ChangedIn(tasks)) => {
                    !self.undone(ix, *target)
                        && (tasks.is_empty() || tasks.iter().any(|task| self.started_on(*task, *target)))
                }
                None if node.phase == Phase::Rollback => true,
                None => node.of.iter().any(|of| self.failed_in(*of, *target)),
            })
            // A machine that failed before anything was changed is left out, not restored.
            .filter(|target| !restores || node.phase == Phase::Rollback || self.changed_before(ix, *target))
            .collect();
        if targets.is_empty() {
            return Entry::Skip { cause: "no machine needs it".into(), satisfies: true };
        }
        Entry::Start { targets, refused: BTreeMap::new() }
    }

    /// Whether something that may change a machine started on it, in the rollout of a branch task.
    fn changed_before(&self, branch: TaskIx, target: TargetIx) -> bool {
        let node = &self.layout.tasks[branch.at()];
        let Some(rollout) = node.rollouts.last() else {
            // A linked rollback has its machines chosen; the branch of a composite stands outside of it.
            return node.of.is_empty()
                || self.layout.rollouts.iter().any(|rollout| self.is_changed_in(*rollout, target));
        };
        if self.passage(*rollout, target).is_none_or(|passage| !passage.touched) {
            return false;
        }
        self.is_changed_in(*rollout, target)
    }

    /// `failed_in`: the task started on the machine and did not succeed.
    fn failed_in(&self, node: Node, target: TargetIx) -> bool {
        match node {
            Node::Task(task) => {
                let restores = !self.layout.tasks[task.at()].verify.is_empty();
                let record = self.tasks[task.at()].records.get(&target);
                record.is_some_and(|record| {
                    (record.started || self.changed_around(task, target))
                        && if restores { !self.group_succeeded(task, target) } else { record.failed() }
                })
            }
            Node::Scope(scope) => {
                let failed = self.passage(scope, target).is_some_and(|passage| passage.failure.is_some());
                failed && self.tasks_of_in(target, scope).any(|task| self.started_on(task, target))
            }
        }
    }

    /// Whether something may have changed a machine in the rollouts of a task: then a later step that never reached it
    /// is no excuse to leave it so.
    fn changed_around(&self, task: TaskIx, target: TargetIx) -> bool {
        let rollout = self.layout.tasks[task.at()].rollouts.last();
        rollout.is_some_and(|rollout| self.is_changed_in(*rollout, target))
    }

    /// Whether another task than this one may have changed a machine in its rollouts.
    pub(super) fn is_changed_beside(&self, task: TaskIx, target: TargetIx) -> bool {
        self.layout.tasks[task.at()].rollouts.iter().any(|rollout| {
            let changes = self.changes_of(target, *rollout).iter();
            changes.copied().any(|other| other != task && self.started_on(other, target))
        })
    }

    /// Whether what a rollback task undoes is undone on a machine already.
    fn undone(&self, ix: TaskIx, target: TargetIx) -> bool {
        let rollouts = self.rollouts_for_restore(ix, target);
        if !rollouts.is_empty() {
            return rollouts
                .iter()
                .any(|rollout| self.passage(*rollout, target).is_some_and(|passage| passage.is_back()));
        }
        let undoes = |ix: TaskIx| match &self.plan.scopes[self.layout.tasks[ix.at()].scope.at()].kind {
            ScopeKind::Rollback { undoes } => Some(undoes),
            _ => None,
        };
        self.restored_by.get(&target).is_some_and(|by| undoes(*by) == undoes(ix))
    }

    fn touched_in(&self, node: Node, target: TargetIx) -> bool {
        match node {
            Node::Task(task) => self.started_on(task, target),
            Node::Scope(scope) => self.tasks_of_in(target, scope).any(|task| self.started_on(task, target)),
        }
    }

    pub(super) fn started_on(&self, task: TaskIx, target: TargetIx) -> bool {
        self.tasks[task.at()].records.get(&target).is_some_and(|record| record.started)
    }

    fn step_entry(&self, ix: TaskIx) -> Entry {
        let node = &self.layout.tasks[ix.at()];
        let Some(planned) = &node.targets else {
            for need in &node.needs {
                if let Some(cause) = self.unmet(*need) {
                    return Entry::skip(cause);
                }
            }
            return Entry::Start { targets: Vec::new(), refused: BTreeMap::new() };
        };
        let soak = matches!(self.plan.task_at(ix).role, Role::SoakCheck);
        let mut gone = 0;
        let mut targets: Vec<_> = planned
            .iter()
            .copied()
            .filter(|target| {
                let out = self.excluded.contains_key(target) || self.refused.contains_key(target);
                gone += usize::from(out);
                !out
            })
            .filter(|target| {
                !soak
                    || node
                        .rollouts
                        .first()
                        .and_then(|rollout| self.passage(*rollout, *target))
                        .is_some_and(|passage| passage.verified && passage.failure.is_none())
            })
            .collect();
        let mut unsuccessful = None;
        for need in &node.needs {
            if !self.concerns(*need, &targets) || targets.is_empty() {
                if let Some(cause) = self.unmet(*need) {
                    return Entry::skip(cause);
                }
                continue;
            }
            let whole = self.unmet(*need);
            let satisfied = matches!(self.verdict(*need), Verdict::Skipped { satisfies: true, .. });
            let mut outside = false;
            let before = targets.len();
            targets.retain(|target| {
                match self.took_part(*need, *target).map(|succeeded| succeeded || satisfied) {
                    Some(succeeded) => succeeded,
                    None => {
                        outside |= whole.is_some();
                        whole.is_none()
                    }
                }
            });
            if outside && let Some(cause) = whole {
                return Entry::skip(cause);
            }
            if targets.is_empty() && before > 0 {
                unsuccessful =
                    Some(format!("{} did not succeed on any of its machines", self.node_name(*need)));
            }
        }
        if let Some(cause) = unsuccessful {
            return Entry::skip(cause);
        }
        if targets.is_empty() {
            let all_gone =
                gone == planned.len() && planned.iter().all(|target| self.excluded.contains_key(target));
            return Entry::Skip {
                cause: if all_gone {
                    "every machine of it was excluded"
                } else {
                    "no machine is left for it"
                }
                .into(),
                satisfies: all_gone,
            };
        }
        self.at_the_door(ix, targets)
    }

    /// A changing task lets in only machines that may be changed, and refuses those without a backup.
    fn at_the_door(&self, ix: TaskIx, mut targets: Vec<TargetIx>) -> Entry {
        let node = &self.layout.tasks[ix.at()];
        let task = self.plan.task_at(ix);
        let mut refused = BTreeMap::new();
        if !node.effect.may_change() || node.phase != Phase::Main {
            return Entry::Start { targets, refused };
        }
        if let Some(cause) = self.no_first_change(ix) {
            targets.retain(|target| self.touched(ix, *target));
            if targets.is_empty() {
                return Entry::skip(cause);
            }
        }
        if node.effect == Effect::Changes && task.no_way_back.is_none() && task.restores.is_none() {
            targets.retain(|target| {
                let backed = self.backed_up(*target);
                if !backed {
                    refused.insert(*target, "it has no completed backup, so it was not changed".to_owned());
                }
                backed
            });
        }
        Entry::Start { targets, refused }
    }

    fn touched(&self, ix: TaskIx, target: TargetIx) -> bool {
        self.layout.tasks[ix.at()]
            .rollouts
            .iter()
            .any(|rollout| self.passage(*rollout, target).is_some_and(|passage| passage.touched))
    }

    /// Why no machine may enter its first changing task now, if so.
    pub(super) fn no_first_change(&self, ix: TaskIx) -> Option<String> {
        if let Some(cause) = &self.halted {
            return Some(cause.clone());
        }
        if let Some(cause) = &self.undo {
            return Some(cause.clone());
        }
        self.layout.tasks[ix.at()].rollouts.iter().find_map(|rollout| self.rollout_stopped(*rollout))
    }

    /// Why a rollout starts nothing more, if so.
    pub(super) fn rollout_stopped(&self, rollout: ScopeIx) -> Option<String> {
        let state = &self.scopes[rollout.at()];
        if state.exceeded || self.over_budget.contains(&rollout) {
            let ScopeKind::Rollout { max_failures, .. } = self.plan.scopes[rollout.at()].kind else {
                return None;
            };
            return Some(format!(
                "{} is over its budget: {} failed, {max_failures} may",
                self.plan.scopes[rollout.at()].name,
                machines(state.failures)
            ));
        }
        state.closed.clone().or_else(|| state.broken.clone())
    }

    fn backed_up(&self, target: TargetIx) -> bool {
        let id = self.target_name(target);
        self.layout.courses[target.at()].backups.iter().any(|task| {
            let state = &self.tasks[task.at()];
            // What a person says was applied proves no backup that a restore could find.
            let proven = |record: &super::state::Record| !record.resolved || state.outputs.contains_key(id);
            state.records.get(&target).is_some_and(|record| record.succeeded() && proven(record))
        }) || self.plan.carried.values().any(|outputs| outputs.contains_key(id))
    }

    /// Whether any of these machines is among those of a needed task or scope.
    fn concerns(&self, need: Node, targets: &[TargetIx]) -> bool {
        targets.iter().any(|target| self.took_part(need, *target).is_some())
    }

    /// Whether a machine took part in something, and succeeded there. (A scope that was skipped for a reason that
    /// satisfies is for the caller to know.)
    pub(super) fn took_part(&self, need: Node, target: TargetIx) -> Option<bool> {
        match need {
            Node::Task(task) => {
                let planned = self.layout.tasks[task.at()].targets.as_ref()?;
                planned.binary_search(&target).ok()?;
                let state = &self.tasks[task.at()];
                if state.status == TaskStatus::Skipped && state.satisfies {
                    return Some(true);
                }
                Some(self.group_succeeded(task, target))
            }
            Node::Scope(scope) => {
                let passage = self.passage(scope, target)?;
                Some(passage.verified && passage.failure.is_none())
            }
        }
    }

    /// Whether a machine succeeded in every task of the ordinary way that it takes part in, in a scope and below.
    pub(super) fn came_through(&self, scope: ScopeIx, target: TargetIx) -> bool {
        if self.excluded.contains_key(&target) || self.refused.contains_key(&target) {
            return false;
        }
        self.tasks_of_in(target, scope).all(|task| {
            !matches!(self.plan.task_at(task).role, Role::Step)
                || self.took_part(Node::Task(task), target).unwrap_or(true)
        })
    }

    /// Why a wave, a soak or the place of a task starts nothing, for good.
    pub(super) fn doomed(&self, ix: TaskIx) -> Option<(String, bool)> {
        let node = &self.layout.tasks[ix.at()];
        for scope in node.waves.iter().chain([&node.scope]) {
            let state = &self.scopes[scope.at()];
            let layout = &self.layout.scopes[scope.at()];
            if state.begun {
                continue;
            }
            match self.plan.scopes[scope.at()].kind {
                ScopeKind::Wave { .. } | ScopeKind::Part { .. } => {
                    let targets = &layout.targets;
                    if !targets.is_empty() && targets.iter().all(|target| self.excluded.contains_key(target))
                    {
                        return Some(("every machine of it was excluded".into(), true));
                    }
                    if let Some(cause) = self.no_first_change(ix) {
                        return Some((cause, false));
                    }
                }
                ScopeKind::Soak { .. } => {
                    if let Some(cause) = self.no_first_change(ix) {
                        return Some((cause, false));
                    }
                    let wave = layout.after.is_some_and(|wave| self.scopes[wave.at()].begun);
                    let verified = layout.rollout.is_some_and(|rollout| {
                        self.scopes[rollout.at()]
                            .passages
                            .iter()
                            .any(|passage| passage.verified && passage.failure.is_none())
                    });
                    if !wave || !verified {
                        return Some(("no machine succeeded that could soak".into(), true));
                    }
                }
                _ => {}
            }
        }
        if node.waves.is_empty()
            && node.phase == Phase::Main
            && matches!(self.plan.scopes[node.scope.at()].kind, ScopeKind::Root | ScopeKind::Rollout { .. })
        {
            return self.halted.clone().or_else(|| self.undo.clone()).map(|cause| (cause, false));
        }
        None
    }

    /// The first wave above a task that has not begun.
    pub(super) fn wave_to_begin(&self, ix: TaskIx) -> Option<ScopeIx> {
        self.layout.tasks[ix.at()].waves.iter().copied().find(|scope| {
            matches!(self.plan.scopes[scope.at()].kind, ScopeKind::Wave { .. })
                && !self.scopes[scope.at()].begun
        })
    }

    pub(super) fn node_name(&self, node: Node) -> &str {
        match node {
            Node::Task(task) => self.plan.task_at(task).name.as_str(),
            Node::Scope(scope) => self.plan.scopes[scope.at()].name.as_str(),
        }
    }

    /// Why something that is needed as a whole is not there, if so.
    fn unmet(&self, need: Node) -> Option<String> {
        match self.verdict(need) {
            Verdict::Succeeded | Verdict::Contained | Verdict::Skipped { satisfies: true, .. } => None,
            Verdict::Skipped { cause, .. } => Some(format!("{} was skipped: {cause}", self.node_name(need))),
            Verdict::Failed { cause } => Some(format!("{} failed: {cause}", self.node_name(need))),
            Verdict::Cancelled => Some(format!("{} was cancelled", self.node_name(need))),
        }
    }

    pub(super) fn is_gate(&self, ix: TaskIx) -> bool {
        matches!(self.plan.task_at(ix).work, Work::Gate(_))
    }
}

/// `1 machine`, `3 machines`.
pub(super) fn machines(count: u32) -> String {
    if count == 1 { "1 machine".into() } else { format!("{count} machines") }
}
