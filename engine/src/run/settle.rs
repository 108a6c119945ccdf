//! What follows when a task can change no more: dependents are freed, scopes end, restores get their verdict.

use super::{
    Run,
    layout::{Node, Phase, ScopeIx, TargetIx, TaskIx},
    state::{Passage, Remedy, TaskStatus},
};
use crate::plan::{Role, ScopeKind};

impl Run {
    /// A task became terminal.
    pub(super) fn after_terminal(&mut self, task: TaskIx) {
        if let Some(restoring) = self.layout.tasks[task.at()].verifies {
            self.settle_group(restoring);
        } else if self.layout.tasks[task.at()].verify.is_empty() && self.plan.task_at(task).restores.is_none()
        {
            self.settle(task);
            self.judge_rungs_of_parents(task);
        } else {
            for verify in self.layout.tasks[task.at()].verify.clone() {
                if self.tasks[verify.at()].status == TaskStatus::Pending {
                    self.task_waits[verify.at()] = 0;
                    self.becomes_candidate(verify);
                }
            }
            self.settle_group(task);
        }
    }

    /// A restoring task and its verification settle together, unless another attempt follows.
    fn settle_group(&mut self, restoring: TaskIx) {
        let verify = self.layout.tasks[restoring.at()].verify.clone();
        let over = self.tasks[restoring.at()].status.is_terminal()
            && verify.iter().all(|task| self.tasks[task.at()].status.is_terminal());
        if !over || self.tasks[restoring.at()].settled {
            return;
        }
        if !self.verification_retries(restoring).is_empty() {
            self.regroup.insert(restoring);
            return;
        }
        self.judge_restore(restoring);
        self.settle(restoring);
        for task in verify {
            self.settle(task);
        }
        self.judge_rungs_of_parents(restoring);
    }

    /// The machines on which a restore worked, its verification did not, and an attempt is left.
    pub(super) fn verification_retries(&self, restoring: TaskIx) -> Vec<TargetIx> {
        let policy = &self.plan.task_at(restoring).retry;
        let state = &self.tasks[restoring.at()];
        if state.attempt == 0 || state.attempt >= policy.attempts {
            return Vec::new();
        }
        let mut list: Vec<_> = self.layout.tasks[restoring.at()]
            .verify
            .iter()
            .flat_map(|task| self.tasks[task.at()].records.iter())
            .filter(|(target, record)| {
                let class = record.report.as_ref().and_then(|report| report.class);
                let allowed =
                    policy.errors.is_empty() || class.is_some_and(|class| policy.errors.contains(&class));
                record.failed()
                    && allowed
                    && state.records.get(target).is_some_and(|record| record.succeeded())
            })
            .map(|(target, _)| *target)
            .collect();
        list.sort_unstable();
        list.dedup();
        list
    }

    /// Whether a task, its verification included, succeeded on a machine.
    pub(super) fn group_succeeded(&self, task: TaskIx, target: TargetIx) -> bool {
        self.tasks[task.at()].records.get(&target).is_some_and(|record| record.succeeded())
            && self.layout.tasks[task.at()].verify.iter().all(|verify| {
                let planned = &self.layout.tasks[verify.at()].targets;
                if planned.as_ref().is_some_and(|planned| planned.binary_search(&target).is_err()) {
                    return true;
                }
                let state = &self.tasks[verify.at()];
                match state.records.get(&target) {
                    Some(record) => record.succeeded(),
                    None => state.status == TaskStatus::Skipped && state.satisfies,
                }
            })
    }

    /// Says of every machine that entered a restoring task whether it is restored, or has no rung left.
    fn judge_restore(&mut self, restoring: TaskIx) {
        if !matches!(self.plan.task_at(restoring).role, Role::Branch { .. }) {
            return;
        }
        let targets: Vec<_> = self.tasks[restoring.at()].records.keys().copied().collect();
        let rungs = !self.layout.tasks[restoring.at()].rungs.is_empty();
        for target in targets {
            if self.group_succeeded(restoring, target) {
                self.mark_restored(restoring, target);
            } else if !rungs {
                self.mark_restore_failed(restoring, target);
            }
        }
    }

    /// A rung is over: machines whose restore failed, that no rung brought back and that none may still bring back,
    /// have no way left. A ladder is judged from its last rung upwards.
    fn judge_rungs_of_parents(&mut self, rung: TaskIx) {
        let of = self.layout.tasks[rung.at()].of.clone();
        if of.is_empty() || of.iter().any(|of| !self.restores(*of)) {
            self.judge_branch(rung);
        }
        for parent in of {
            let Node::Task(parent) = parent else { continue };
            if self.restores(Node::Task(parent)) {
                let targets: Vec<_> = self.tasks[parent.at()].records.keys().copied().collect();
                for target in targets {
                    let back = self.group_succeeded(parent, target) || self.restored_by.contains_key(&target);
                    if !back && !self.has_open_rung(parent) {
                        let last = self.last_rung(parent, target);
                        self.mark_restore_failed(last, target);
                    }
                }
            }
            if matches!(self.plan.task_at(parent).role, Role::Branch { .. }) {
                self.judge_rungs_of_parents(parent);
            }
        }
    }

    fn restores(&self, node: Node) -> bool {
        matches!(node, Node::Task(task) if self.plan.task_at(task).restores.is_some())
    }

    /// Whether a rung below a task may still do something.
    fn has_open_rung(&self, task: TaskIx) -> bool {
        let rungs = &self.layout.tasks[task.at()].rungs;
        rungs.iter().any(|rung| !self.tasks[rung.at()].settled || self.has_open_rung(*rung))
    }

    /// A branch step that does not restore and failed on a machine leaves it to a person.
    fn judge_branch(&mut self, task: TaskIx) {
        let plan_task = self.plan.task_at(task);
        if !matches!(plan_task.role, Role::Branch { .. }) || plan_task.restores.is_some() {
            return;
        }
        let failed: Vec<_> = self.tasks[task.at()]
            .records
            .iter()
            .filter(|(_, record)| record.failed())
            .map(|(target, record)| (*target, record.cause().to_owned()))
            .collect();
        let name = plan_task.name.clone();
        for (target, cause) in failed {
            for rollout in self.rollouts_for_restore(task, target) {
                if let Some(passage) = self.passage_mut(rollout, target) {
                    passage.branch_failed = Some(format!("{name} failed: {cause}"));
                }
            }
        }
    }

    /// The deepest rung that a machine entered.
    fn last_rung(&self, task: TaskIx, target: TargetIx) -> TaskIx {
        self.layout.tasks[task.at()]
            .rungs
            .iter()
            .rev()
            .find(|rung| self.tasks[rung.at()].records.contains_key(&target))
            .map_or(task, |rung| self.last_rung(*rung, target))
    }

    /// The rollouts whose machine a restoring task brings back: its own, in a rollback those that it undoes, for the branch of a composite the composite's.
    pub(super) fn rollouts_for_restore(&self, task: TaskIx, target: TargetIx) -> Vec<ScopeIx> {
        let own = &self.layout.tasks[task.at()].rollouts;
        if !own.is_empty() {
            return own.clone();
        }
        let scope = self.layout.tasks[task.at()].scope;
        if let ScopeKind::Rollback { undoes } = &self.plan.scopes[scope.at()].kind
            && let Some(undone) = self.layout.scope(undoes.as_str())
        {
            let mut list = Vec::new();
            let mut up = Some(undone);
            while let Some(ix) = up {
                if matches!(self.plan.scopes[ix.at()].kind, ScopeKind::Rollout { .. })
                    && self.passage_at(ix, target).is_some()
                {
                    list.push(ix);
                }
                up = self.layout.scopes[ix.at()].parent;
            }
            return list;
        }
        // A branch of a composite, or of several, stands beside them.
        let stands_for = |rollout: ScopeIx| {
            self.layout.tasks[task.at()].of.iter().any(|of| match of {
                Node::Scope(scope) => self.layout.is_below(rollout, *scope),
                Node::Task(of) => self.layout.tasks[of.at()].rollouts.contains(&rollout),
            })
        };
        let rollouts = self.layout.rollouts.iter().copied();
        rollouts
            .filter(|rollout| self.passage_at(*rollout, target).is_some() && stands_for(*rollout))
            .collect()
    }

    fn mark_restored(&mut self, task: TaskIx, target: TargetIx) {
        self.restored_by.insert(target, task);
        self.restore_failed.remove(&target);
        self.remedy(task, target, Remedy::Begun, Remedy::Done);
        self.for_restored(task, target, |passage| {
            passage.restored = true;
            passage.restore_failed = None;
        });
    }

    /// Notes something in every rollout whose machine a restore brings back.
    pub(super) fn for_restored(&mut self, restore: TaskIx, target: TargetIx, note: impl Fn(&mut Passage)) {
        for rollout in self.rollouts_made_good(restore, target) {
            if let Some(passage) = self.passage_mut(rollout, target) {
                note(passage);
            }
        }
    }

    /// The same, with what a rollback makes good besides.
    fn rollouts_made_good(&self, task: TaskIx, target: TargetIx) -> Vec<ScopeIx> {
        let mut rollouts = self.rollouts_for_restore(task, target);
        if let (Phase::Rollback, Some(oldest)) =
            (self.layout.tasks[task.at()].phase, rollouts.iter().min().copied())
        {
            // A rollback that brings back an old backup undoes what later rollouts changed, too.
            let later = self.layout.rollouts.iter().copied().filter(|ix| *ix >= oldest);
            rollouts.extend(later.filter(|ix| self.passage_at(*ix, target).is_some()));
        }
        rollouts
    }

    /// What is unknown of a machine in the rollouts that a restore brings back is made good by it: what was reported when
    /// it began, and not what something else did meanwhile or later.
    pub(super) fn remedy(&mut self, restore: TaskIx, target: TargetIx, from: Remedy, to: Remedy) {
        for rollout in self.rollouts_made_good(restore, target) {
            for task in self.tasks_of_in(target, rollout).collect::<Vec<_>>() {
                let record = self.tasks[task.at()].records.get_mut(&target);
                if let Some(record) = record.filter(|record| record.unknown() && record.remedy == from) {
                    record.remedy = to;
                }
            }
        }
    }

    fn mark_restore_failed(&mut self, task: TaskIx, target: TargetIx) {
        let name = &self.plan.task_at(task).name;
        let cause = self.layout.tasks[task.at()]
            .verify
            .iter()
            .chain([&task])
            .find_map(|ix| {
                let record = self.tasks[ix.at()].records.get(&target).filter(|record| record.failed())?;
                Some(format!("{} failed: {}", self.plan.task_at(*ix).name, record.cause()))
            })
            .unwrap_or_else(|| format!("{name} did not bring it back"));
        if self.halted.is_none() {
            self.halted = Some(format!("restore failed on {}: {cause}", self.target_name(target)));
        }
        self.restored_by.remove(&target);
        self.restore_failed.insert(target, cause.clone());
        for rollout in self.rollouts_for_restore(task, target) {
            if let Some(passage) = self.passage_mut(rollout, target) {
                passage.restored = false;
                passage.restore_failed = Some(cause.clone());
            }
        }
    }

    /// Nothing that follows a task needs to wait any more.
    pub(super) fn settle(&mut self, task: TaskIx) {
        if self.tasks[task.at()].settled {
            return;
        }
        self.release_branches(task);
        self.tasks[task.at()].settled = true;
        if let Some(remaining) = self.remaining.get_mut(&self.layout.tasks[task.at()].phase) {
            *remaining -= 1;
        }
        for follower in self.layout.waiting_on_task[task.at()].clone() {
            if !self.is_branch_of(follower, task) {
                self.free_task(follower);
            }
        }
        for wave in self.layout.waves_on_task[task.at()].clone() {
            self.free_wave(wave);
        }
        self.count_down(Some(self.layout.tasks[task.at()].scope));
    }

    /// Failure branches of a task need not wait any more.
    pub(super) fn release_branches(&mut self, task: TaskIx) {
        if self.tasks[task.at()].released {
            return;
        }
        self.tasks[task.at()].released = true;
        for follower in self.layout.waiting_on_task[task.at()].clone() {
            if self.is_branch_of(follower, task) {
                self.free_task(follower);
            }
        }
    }

    fn is_branch_of(&self, follower: TaskIx, task: TaskIx) -> bool {
        self.layout.tasks[follower.at()].of.contains(&Node::Task(task))
    }

    fn free_task(&mut self, task: TaskIx) {
        self.task_waits[task.at()] -= 1;
        if self.task_waits[task.at()] == 0 {
            self.becomes_candidate(task);
        }
    }

    fn free_wave(&mut self, wave: ScopeIx) {
        self.wave_waits[wave.at()] -= 1;
        if self.wave_waits[wave.at()] == 0 {
            self.wave_candidates.insert(wave);
        }
    }

    fn count_down(&mut self, from: Option<ScopeIx>) {
        let mut up = from;
        while let Some(scope) = up {
            self.scopes[scope.at()].remaining -= 1;
            up = self.layout.scopes[scope.at()].parent;
            if self.scopes[scope.at()].remaining > 0 {
                continue;
            }
            self.weigh_all(scope);
            if !matches!(self.plan.scopes[scope.at()].kind, ScopeKind::Wave { .. }) {
                self.scope_ended(scope);
            } else if self.scopes[scope.at()].begun {
                self.ending.insert(scope);
            } else {
                self.wave_over(scope);
            }
        }
    }

    /// A wave is over: `WaveEnded`, or its tasks were all skipped before it began.
    pub(super) fn wave_over(&mut self, wave: ScopeIx) {
        self.ending.remove(&wave);
        self.wave_candidates.remove(&wave);
        self.scopes[wave.at()].over = true;
        self.scope_ended(wave);
        self.count_down(self.layout.scopes[wave.at()].parent);
    }

    fn scope_ended(&mut self, scope: ScopeIx) {
        for follower in self.layout.waiting_on_scope[scope.at()].clone() {
            self.free_task(follower);
        }
        for wave in self.layout.waves_on_scope[scope.at()].clone() {
            self.free_wave(wave);
        }
    }

    pub(super) fn phase_remaining(&self, phase: Phase) -> u32 {
        self.remaining.get(&phase).copied().unwrap_or(0)
    }
}
