//! What a plan says of its tasks and scopes, as far as the laws ask.

use std::collections::BTreeMap;

use crate::{
    ids::{ScopeName, TargetId, TaskName},
    outcome::Effect,
    plan::{Gate, Only, Plan, Role, Scope, ScopeKind, Task, Window, Work},
};

/// Whether a machine may not enter a task without a backup.
pub fn needs_backup(task: &Task) -> bool {
    task.effect == Effect::Changes
        && task.restores.is_none()
        && task.no_way_back.is_none()
        && matches!(task.role, Role::Step)
}

/// The tasks and scopes of a plan.
#[derive(Debug)]
pub(super) struct Known<'p> {
    tasks: Vec<KnownTask<'p>>,
    names: BTreeMap<&'p str, usize>,
    scopes: BTreeMap<&'p str, &'p Scope>,
    /// The ordinary steps that list each machine.
    pub steps: BTreeMap<&'p TargetId, Vec<usize>>,
    /// The task that asks the window of each wave.
    pub windows: BTreeMap<&'p ScopeName, usize>,
}

/// What matters about a task.
#[derive(Debug)]
pub(super) struct KnownTask<'p> {
    pub task: &'p Task,
    /// The rollouts that it stands in, innermost first.
    pub rollouts: Vec<&'p ScopeName>,
    /// The waves that it stands in.
    pub waves: Vec<&'p ScopeName>,
    /// Only a rollback brings it to life.
    pub undoes: bool,
    /// The tasks that verify what it restored.
    pub verify: Vec<usize>,
}

impl<'p> Known<'p> {
    pub fn of(plan: &'p Plan) -> Self {
        let scopes: BTreeMap<&str, &Scope> =
            plan.scopes.iter().map(|scope| (scope.name.as_str(), scope)).collect();
        let mut known = Self {
            tasks: Vec::new(),
            names: BTreeMap::new(),
            scopes,
            steps: BTreeMap::new(),
            windows: BTreeMap::new(),
        };
        let ordinary = plan.tasks.iter().map(|task| (task, false));
        for (at, (task, undoes)) in ordinary.chain(plan.rollback.iter().map(|task| (task, true))).enumerate()
        {
            let around = |wanted: fn(&ScopeKind) -> bool| known.around(&task.scope, wanted);
            let rollouts = around(|kind| matches!(kind, ScopeKind::Rollout { .. }));
            let waves = around(|kind| matches!(kind, ScopeKind::Wave { .. }));
            known.names.insert(task.name.as_str(), at);
            known.tasks.push(KnownTask { task, rollouts, waves, undoes, verify: Vec::new() });
            for id in task.targets.iter().flatten().filter(|_| matches!(task.role, Role::Step)) {
                known.steps.entry(id).or_default().push(at);
            }
            if matches!(task.role, Role::Window) {
                known.windows.insert(&task.scope, at);
            }
        }
        for at in 0..known.tasks.len() {
            if let Role::Verify { of } = &known.tasks[at].task.role
                && let Some(of) = known.names.get(of.as_str()).copied()
            {
                known.tasks[of].verify.push(at);
            }
        }
        known
    }

    /// The number of a task.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub fn task(&self, at: usize) -> &KnownTask<'p> {
        &self.tasks[at]
    }

    /// All tasks, with their numbers.
    pub fn tasks(&self) -> impl Iterator<Item = (usize, &KnownTask<'p>)> {
        self.tasks.iter().enumerate()
    }

    /// The scopes of a kind that a scope stands in, itself included, innermost first.
    pub fn around(&self, scope: &ScopeName, wanted: fn(&ScopeKind) -> bool) -> Vec<&'p ScopeName> {
        let mut found = Vec::new();
        let mut at = self.scopes.get(scope.as_str()).copied();
        while let Some(scope) = at {
            if wanted(&scope.kind) {
                found.push(&scope.name);
            }
            at = scope.parent.as_ref().and_then(|parent| self.scopes.get(parent.as_str()).copied());
        }
        found
    }

    /// The rollouts around a wave, innermost first.
    pub fn rollouts_around(&self, wave: &ScopeName) -> Vec<&'p ScopeName> {
        self.around(wave, |kind| matches!(kind, ScopeKind::Rollout { .. }))
    }

    /// Whether a branch takes what a restoring task leaves.
    pub fn has_rungs(&self, restore: usize) -> bool {
        let name = self.task(restore).name().as_str();
        let takes = |role: &Role| matches!(role, Role::Branch { of } if of.iter().any(|of| of == name));
        self.tasks.iter().any(|known| takes(&known.task.role))
    }

    /// Whether a branch leaves the machines that it fails on to a person: it restores none, and stands behind more than
    /// restores, whose own end is judged.
    pub fn leaves_to_a_person(&self, branch: usize) -> bool {
        let known = self.task(branch);
        let Role::Branch { of } = &known.task.role else { return false };
        let restores =
            |name: &String| self.find(name).is_some_and(|at| self.task(at).task.restores.is_some());
        known.task.restores.is_none()
            && !known.undoes
            && !known.rollouts.is_empty()
            && (of.is_empty() || !of.iter().all(restores))
    }

    /// A step of the author's without machines, outside of everything: if it fails, the run does.
    pub fn is_alone(&self, task: usize) -> bool {
        let known = self.task(task);
        let root = self.scopes.get(known.task.scope.as_str()).is_some_and(|scope| scope.parent.is_none());
        root && matches!(known.task.role, Role::Step) && known.task.targets.is_none() && !known.undoes
    }

    pub fn is_scope(&self, name: &str) -> bool {
        self.scopes.contains_key(name)
    }
}

impl<'p> KnownTask<'p> {
    pub fn name(&self) -> &'p TaskName {
        &self.task.name
    }

    /// A step that may change its machines.
    pub fn is_change(&self) -> bool {
        self.task.effect.may_change() && matches!(self.task.role, Role::Step)
    }

    /// It brings something new to machines, and is no way back.
    pub fn brings_change(&self) -> bool {
        self.is_change() && self.task.restores.is_none()
    }

    /// It belongs to `finally`, which says nothing of how the run ends.
    pub fn is_final(&self) -> bool {
        matches!(self.task.role, Role::Finally)
    }

    /// Whoever fails in it counts.
    pub fn counts(&self) -> bool {
        !self.undoes && matches!(self.task.role, Role::Step | Role::SoakCheck)
    }

    pub fn lists(&self, target: &TargetId) -> bool {
        self.task.targets.as_ref().is_some_and(|list| list.contains(target))
    }

    pub fn window(&self) -> Option<&'p Window> {
        match &self.task.work {
            Work::Gate(Gate::Window(window)) => Some(window),
            _ => None,
        }
    }

    /// Of a branch that restores the machines that failed: where they failed, by the names of tasks and scopes.
    pub fn brings_back(&self) -> Option<&'p [String]> {
        let Role::Branch { of } = &self.task.role else { return None };
        match (&self.task.restores, &self.task.only) {
            (Some(_), None) if !self.undoes => Some(of),
            (Some(_), Some(Only::FailedIn(list))) => Some(list),
            _ => None,
        }
    }

    /// Of a branch that only composites lead to: them. It is for those that are over their budget.
    pub fn composites(&self, known: &Known<'_>) -> Option<&'p [String]> {
        match &self.task.role {
            Role::Branch { of } if !of.is_empty() && of.iter().all(|name| known.is_scope(name)) => Some(of),
            _ => None,
        }
    }
}
