//! What each machine has in the plan, so that a question about one machine looks at its own tasks only.

use super::{
    Run,
    layout::{Layout, ScopeIx, TargetIx, TaskIx},
    view::TaskView,
};
use crate::{
    ids::TargetId,
    plan::{Plan, Role, ScopeKind, Task},
};

/// The tasks of one machine, each list in the order of the plan.
#[derive(Clone, Debug, Default)]
pub(super) struct Course {
    /// All that it is planned for.
    pub(super) tasks: Vec<TaskIx>,
    /// Those that back it up.
    pub(super) backups: Vec<TaskIx>,
}

impl Layout {
    /// Whether a task is an ordinary one that may change machines.
    pub(super) fn is_change(&self, task: TaskIx, role: &Role) -> bool {
        self.tasks[task.at()].effect.may_change() && matches!(role, Role::Step)
    }

    /// Fills in what each machine has.
    pub(super) fn chart_courses(&mut self, plan: &Plan, all: &[&Task]) {
        let rollout = |(at, _): &(usize, _)| matches!(plan.scopes[*at].kind, ScopeKind::Rollout { .. });
        self.rollouts =
            self.scopes.iter().enumerate().filter(rollout).map(|(at, _)| ScopeIx(at as u32)).collect();
        for (at, task) in all.iter().enumerate() {
            let this = TaskIx(at as u32);
            let changes = self.is_change(this, &task.role);
            let node = &self.tasks[at];
            for target in node.targets.iter().flatten() {
                let course = &mut self.courses[target.at()];
                course.tasks.push(this);
                if task.backs_up {
                    course.backups.push(this);
                }
                for rollout in node.rollouts.iter().filter(|_| changes) {
                    let scope = &mut self.scopes[rollout.at()];
                    if let Ok(place) = scope.targets.binary_search(target) {
                        scope.changes[place].push(this);
                    }
                }
            }
        }
    }
}

impl Run {
    /// The tasks that a machine is planned for.
    pub(super) fn tasks_of(&self, target: TargetIx) -> &[TaskIx] {
        &self.layout.courses[target.at()].tasks
    }

    /// The tasks that a machine entered, or that refused it, in the order of the plan.
    pub fn tasks_of_machine(&self, machine: &TargetId) -> impl Iterator<Item = TaskView<'_>> {
        let target = self.layout.target(machine);
        let tasks = target.map(|target| self.tasks_of(target)).into_iter().flatten();
        let here = move |task: &&TaskIx| {
            target.is_some_and(|target| self.tasks[task.at()].records.contains_key(&target))
        };
        tasks.filter(here).map(|task| self.view(*task))
    }

    /// The tasks of a scope, and below, that a machine is planned for.
    pub(super) fn tasks_of_in(&self, target: TargetIx, scope: ScopeIx) -> impl Iterator<Item = TaskIx> {
        let below = move |task: &TaskIx| self.layout.is_below(self.layout.tasks[task.at()].scope, scope);
        self.tasks_of(target).iter().copied().filter(below)
    }

    /// The ordinary tasks of a machine that may change it in a rollout.
    pub(super) fn changes_of(&self, target: TargetIx, rollout: ScopeIx) -> &[TaskIx] {
        let place = self.passage_at(rollout, target);
        place.and_then(|place| self.layout.scopes[rollout.at()].changes.get(place)).map_or(&[], Vec::as_slice)
    }

    /// Whether something that may have changed a machine started on it in a rollout.
    pub(super) fn is_changed_in(&self, rollout: ScopeIx, target: TargetIx) -> bool {
        self.changes_of(target, rollout).iter().any(|task| self.started_on(*task, target))
    }
}
