//! The plan, compiled: names become indices, edges become lists. Indices never leave the process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::course::Course;
use crate::{
    duration::Span,
    ids::{ScopeName, TargetId, TaskName},
    outcome::Effect,
    plan::{Only, Plan, Role, Scope, ScopeKind, Task},
    target::Home,
};

/// A task, by its place in `plan.tasks` followed by `plan.rollback`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct TaskIx(pub u32);

/// A scope, by its place in `plan.scopes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct ScopeIx(pub u32);

/// A machine, by its place in `plan.targets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct TargetIx(pub u32);

impl TaskIx {
    pub(super) fn at(self) -> usize {
        self.0 as usize
    }
}

impl ScopeIx {
    pub(super) fn at(self) -> usize {
        self.0 as usize
    }
}

impl TargetIx {
    pub(super) fn at(self) -> usize {
        self.0 as usize
    }
}

/// Something that can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    Task(TaskIx),
    Scope(ScopeIx),
}

/// The three times at which tasks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Phase {
    Main,
    Rollback,
    Finally,
}

/// A task with its edges.
#[derive(Debug)]
pub(super) struct TaskNode {
    pub(super) scope: ScopeIx,
    pub(super) phase: Phase,
    pub(super) needs: Vec<Node>,
    /// Branch tasks: what names them.
    pub(super) of: Vec<Node>,
    /// The tasks that its failure leads to.
    pub(super) rungs: Vec<TaskIx>,
    /// The tasks that verify it, if it restores.
    pub(super) verify: Vec<TaskIx>,
    /// Verifying tasks: the restoring task.
    pub(super) verifies: Option<TaskIx>,
    /// Its machines, sorted by index.
    pub(super) targets: Option<Vec<TargetIx>>,
    pub(super) only: Option<Filter>,
    /// The rollouts that it stands in, innermost first.
    pub(super) rollouts: Vec<ScopeIx>,
    /// The waves and parts that it stands in, innermost first.
    pub(super) waves: Vec<ScopeIx>,
    pub(super) effect: Effect,
}

/// Which machines enter a branch task.
#[derive(Debug)]
pub(super) enum Filter {
    FailedIn(Vec<Node>),
    TouchedBy(Vec<Node>),
    ChangedIn(Vec<TaskIx>),
}

/// A scope with its edges.
#[derive(Debug)]
pub(super) struct ScopeNode {
    pub(super) parent: Option<ScopeIx>,
    pub(super) after: Option<ScopeIx>,
    pub(super) children: Vec<ScopeIx>,
    pub(super) tasks: Vec<TaskIx>,
    /// How many tasks stand in it and below.
    pub(super) size: u32,
    /// Waves: what their tasks need outside of the wave, and their window.
    pub(super) outer_needs: Vec<Node>,
    /// Waves and parts: their machines; rollouts: theirs. Sorted by index.
    pub(super) targets: Vec<TargetIx>,
    /// Waves: whether somebody must look at the machines before it starts.
    pub(super) inspected: bool,
    pub(super) rollout: Option<ScopeIx>,
    /// Rollouts: the ordinary tasks of each machine that may change it, in the order of `targets`.
    pub(super) changes: Vec<Vec<TaskIx>>,
}

/// The compiled plan.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) tasks: Vec<TaskNode>,
    pub(super) scopes: Vec<ScopeNode>,
    pub(super) target_ids: Vec<TargetId>,
    /// What each machine has in the plan.
    pub(super) courses: Vec<Course>,
    /// What the waves behind windows need of them.
    pub(super) rooms: BTreeMap<TaskIx, Span>,
    /// The scopes that are rollouts.
    pub(super) rollouts: Vec<ScopeIx>,
    task_index: BTreeMap<TaskName, TaskIx>,
    scope_index: BTreeMap<ScopeName, ScopeIx>,
    target_index: BTreeMap<TargetId, TargetIx>,
    /// Tasks that wait for a task to settle.
    pub(super) waiting_on_task: Vec<Vec<TaskIx>>,
    /// Tasks that wait for a scope to end.
    pub(super) waiting_on_scope: Vec<Vec<TaskIx>>,
    /// Waves that wait for a task to settle.
    pub(super) waves_on_task: Vec<Vec<ScopeIx>>,
    /// Waves that wait for a scope to end.
    pub(super) waves_on_scope: Vec<Vec<ScopeIx>>,
    /// How many things each task waits for.
    pub(super) task_waits: Vec<u32>,
    /// How many things each wave waits for.
    pub(super) wave_waits: Vec<u32>,
}

/// A plan that refers to something that it does not hold: it was not made by this planner.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the plan is damaged: `{from}` refers to `{to}`, which is not in it")]
pub struct DamagedPlan {
    /// What refers.
    pub from: String,
    /// To what.
    pub to: String,
}

struct Names<'a> {
    tasks: &'a BTreeMap<TaskName, TaskIx>,
    scopes: &'a BTreeMap<ScopeName, ScopeIx>,
    targets: &'a BTreeMap<TargetId, TargetIx>,
    /// Whether each machine lives in AWS.
    in_aws: &'a [bool],
}

impl Names<'_> {
    /// A scope's name means the scope, unless `inside` stands in that scope: tasks and scopes have name spaces of
    /// their own, and a soak's wait has the name of its scope.
    fn node(&self, from: &str, name: &str, inside: &[ScopeIx]) -> Result<Node, DamagedPlan> {
        match self.scopes.get(name) {
            Some(scope) if !inside.contains(scope) => Ok(Node::Scope(*scope)),
            _ => self.task(from, name).map(Node::Task),
        }
    }

    fn task(&self, from: &str, name: &str) -> Result<TaskIx, DamagedPlan> {
        self.tasks.get(name).copied().ok_or_else(|| DamagedPlan { from: from.into(), to: name.into() })
    }

    fn scope(&self, from: &str, name: &str) -> Result<ScopeIx, DamagedPlan> {
        self.scopes.get(name).copied().ok_or_else(|| DamagedPlan { from: from.into(), to: name.into() })
    }

    fn targets(&self, from: &str, ids: &[TargetId]) -> Result<Vec<TargetIx>, DamagedPlan> {
        let mut list = ids
            .iter()
            .map(|id| {
                self.targets
                    .get(id)
                    .copied()
                    .ok_or_else(|| DamagedPlan { from: from.into(), to: id.to_string() })
            })
            .collect::<Result<Vec<_>, _>>()?;
        list.sort_unstable();
        Ok(list)
    }

    /// Names of tasks, or scopes. A branch of a plain step with targets names a task where a scope has the same name.
    fn nodes(&self, from: &str, names: &[String]) -> Result<Vec<Node>, DamagedPlan> {
        names
            .iter()
            .map(|name| match self.tasks.get(name.as_str()) {
                Some(task) => Ok(Node::Task(*task)),
                None => self.scope(from, name).map(Node::Scope),
            })
            .collect()
    }
}

impl Layout {
    /// Compiles a plan.
    pub(super) fn new(plan: &Plan) -> Result<Self, DamagedPlan> {
        let all: Vec<&Task> = plan.tasks.iter().chain(&plan.rollback).collect();
        let task_index: BTreeMap<_, _> =
            all.iter().enumerate().map(|(at, task)| (task.name.clone(), TaskIx(at as u32))).collect();
        let scope_index: BTreeMap<_, _> = plan
            .scopes
            .iter()
            .enumerate()
            .map(|(at, scope)| (scope.name.clone(), ScopeIx(at as u32)))
            .collect();
        let target_ids: Vec<_> = plan.targets.keys().cloned().collect();
        let target_index: BTreeMap<_, _> =
            target_ids.iter().enumerate().map(|(at, id)| (id.clone(), TargetIx(at as u32))).collect();
        let in_aws: Vec<_> =
            plan.targets.values().map(|target| matches!(target.home, Home::Aws { .. })).collect();
        let names =
            Names { tasks: &task_index, scopes: &scope_index, targets: &target_index, in_aws: &in_aws };
        let scopes =
            plan.scopes.iter().map(|scope| scope_node(plan, &names, scope)).collect::<Result<Vec<_>, _>>()?;
        let tasks = all
            .iter()
            .enumerate()
            .map(|(at, task)| task_node(plan, &names, &scopes, task, at >= plan.tasks.len()))
            .collect::<Result<Vec<_>, _>>()?;
        let mut layout = Self {
            waiting_on_task: vec![Vec::new(); tasks.len()],
            waiting_on_scope: vec![Vec::new(); scopes.len()],
            waves_on_task: vec![Vec::new(); tasks.len()],
            waves_on_scope: vec![Vec::new(); scopes.len()],
            task_waits: vec![0; tasks.len()],
            wave_waits: vec![0; scopes.len()],
            courses: vec![Course::default(); target_ids.len()],
            rooms: plan
                .rooms()
                .into_iter()
                .filter_map(|(window, room)| Some((*task_index.get(&window)?, room.need())))
                .collect(),
            rollouts: Vec::new(),
            tasks,
            scopes,
            target_ids,
            task_index,
            scope_index,
            target_index,
        };
        layout.link_tasks(&all)?;
        layout.link_scopes(plan);
        layout.count_waits(plan, &all);
        layout.chart_courses(plan, &all);
        Ok(layout)
    }

    fn link_tasks(&mut self, all: &[&Task]) -> Result<(), DamagedPlan> {
        for (at, task) in all.iter().enumerate() {
            let this = TaskIx(at as u32);
            let mut up = Some(self.tasks[at].scope);
            self.scopes[self.tasks[at].scope.at()].tasks.push(this);
            while let Some(scope) = up {
                self.scopes[scope.at()].size += 1;
                up = self.scopes[scope.at()].parent;
            }
            if let Role::Verify { of } = &task.role {
                let of = self.task_named(task.name.as_str(), of.as_str())?;
                self.tasks[at].verifies = Some(of);
                self.tasks[of.at()].verify.push(this);
            }
        }
        Ok(())
    }

    fn link_scopes(&mut self, plan: &Plan) {
        for (at, scope) in plan.scopes.iter().enumerate() {
            let this = ScopeIx(at as u32);
            if let Some(parent) = self.scopes[at].parent {
                self.scopes[parent.at()].children.push(this);
            }
            if let ScopeKind::Wave { .. } = scope.kind {
                let inside = self.tasks_below(this);
                let mut outer = Vec::new();
                for task in &inside {
                    if matches!(plan.role(*task), Role::Window) {
                        outer.push(Node::Task(*task));
                    }
                    if self.tasks[task.at()].verifies.is_some() {
                        continue;
                    }
                    outer.extend(self.tasks[task.at()].needs.iter().copied().filter(|need| match need {
                        Node::Task(need) => inside.binary_search(need).is_err(),
                        Node::Scope(need) => !self.is_below(*need, this),
                    }));
                }
                outer.sort_unstable();
                outer.dedup();
                self.scopes[at].outer_needs = outer;
            }
        }
    }

    fn count_waits(&mut self, plan: &Plan, all: &[&Task]) {
        for at in 0..all.len() {
            let this = TaskIx(at as u32);
            let node = &self.tasks[at];
            if node.verifies.is_some() {
                // It waits for the end of its restoring task, which waits for the rest, and not for its settling.
                self.task_waits[at] = 1;
                continue;
            }
            let mut waits: Vec<Node> = node.needs.iter().chain(&node.of).copied().collect();
            let mut up = Some(node.scope);
            while let Some(scope) = up {
                waits.extend(self.scopes[scope.at()].after.map(Node::Scope));
                up = self.scopes[scope.at()].parent;
            }
            waits.sort_unstable();
            waits.dedup();
            self.task_waits[at] = waits.len() as u32;
            for wait in waits {
                match wait {
                    Node::Task(task) => self.waiting_on_task[task.at()].push(this),
                    Node::Scope(scope) => self.waiting_on_scope[scope.at()].push(this),
                }
            }
        }
        for (at, scope) in plan.scopes.iter().enumerate() {
            if !matches!(scope.kind, ScopeKind::Wave { .. }) {
                continue;
            }
            let this = ScopeIx(at as u32);
            let mut waits = self.scopes[at].outer_needs.clone();
            let mut up = Some(this);
            while let Some(scope) = up {
                waits.extend(self.scopes[scope.at()].after.map(Node::Scope));
                up = self.scopes[scope.at()].parent;
            }
            waits.sort_unstable();
            waits.dedup();
            self.wave_waits[at] = waits.len() as u32;
            for wait in waits {
                match wait {
                    Node::Task(task) => self.waves_on_task[task.at()].push(this),
                    Node::Scope(scope) => self.waves_on_scope[scope.at()].push(this),
                }
            }
        }
    }

    fn task_named(&self, from: &str, name: &str) -> Result<TaskIx, DamagedPlan> {
        self.task(name).ok_or_else(|| DamagedPlan { from: from.into(), to: name.into() })
    }

    /// The task of this name.
    pub(super) fn task(&self, name: &str) -> Option<TaskIx> {
        self.task_index.get(name).copied()
    }

    /// The scope of this name.
    pub(super) fn scope(&self, name: &str) -> Option<ScopeIx> {
        self.scope_index.get(name).copied()
    }

    /// The machine of this id.
    pub(super) fn target(&self, id: &TargetId) -> Option<TargetIx> {
        self.target_index.get(id).copied()
    }

    /// Every task in a scope and below, sorted.
    pub(super) fn tasks_below(&self, scope: ScopeIx) -> Vec<TaskIx> {
        let mut list = self.scopes[scope.at()].tasks.clone();
        for child in &self.scopes[scope.at()].children {
            list.extend(self.tasks_below(*child));
        }
        list.sort_unstable();
        list
    }

    /// Whether a scope is another one or stands below it.
    pub(super) fn is_below(&self, scope: ScopeIx, other: ScopeIx) -> bool {
        let mut up = Some(scope);
        while let Some(scope) = up {
            if scope == other {
                return true;
            }
            up = self.scopes[scope.at()].parent;
        }
        false
    }
}

impl Plan {
    /// A task by its index.
    pub(super) fn task_at(&self, ix: TaskIx) -> &Task {
        self.tasks.get(ix.at()).unwrap_or_else(|| &self.rollback[ix.at() - self.tasks.len()])
    }

    fn role(&self, ix: TaskIx) -> &Role {
        &self.task_at(ix).role
    }
}

fn scope_node(plan: &Plan, names: &Names<'_>, scope: &Scope) -> Result<ScopeNode, DamagedPlan> {
    let from = scope.name.as_str();
    let find =
        |name: &Option<ScopeName>| name.as_ref().map(|name| names.scope(from, name.as_str())).transpose();
    let parent = find(&scope.parent)?;
    let targets = match &scope.kind {
        ScopeKind::Rollout { targets, .. }
        | ScopeKind::Wave { targets, .. }
        | ScopeKind::Part { targets, .. } => names.targets(from, targets)?,
        _ => Vec::new(),
    };
    let mut rollout = None;
    let mut up = Some(scope);
    while let Some(scope) = up {
        if let ScopeKind::Rollout { .. } = scope.kind {
            rollout = Some(names.scope(from, scope.name.as_str())?);
            break;
        }
        up = match &scope.parent {
            Some(parent) => Some(&plan.scopes[names.scope(from, parent.as_str())?.at()]),
            None => None,
        };
    }
    // Machines are looked at before the waves of the outermost rollouts: those stand in the root.
    let outermost = match rollout {
        Some(rollout) => match &plan.scopes[rollout.at()].parent {
            Some(parent) => plan.scopes[names.scope(from, parent.as_str())?.at()].parent.is_none(),
            None => true,
        },
        None => false,
    };
    let inspected = outermost
        && matches!(scope.kind, ScopeKind::Wave { .. })
        && targets.iter().any(|ix| names.in_aws[ix.at()]);
    Ok(ScopeNode {
        parent,
        after: find(&scope.after)?,
        children: Vec::new(),
        tasks: Vec::new(),
        size: 0,
        outer_needs: Vec::new(),
        changes: vec![
            Vec::new();
            if matches!(scope.kind, ScopeKind::Rollout { .. }) { targets.len() } else { 0 }
        ],
        targets,
        inspected,
        rollout,
    })
}

fn task_node(
    plan: &Plan,
    names: &Names<'_>,
    scopes: &[ScopeNode],
    task: &Task,
    rollback: bool,
) -> Result<TaskNode, DamagedPlan> {
    let from = task.name.as_str();
    let scope = names.scope(from, task.scope.as_str())?;
    let mut rollouts = Vec::new();
    let mut waves = Vec::new();
    let mut phase = if rollback { Phase::Rollback } else { Phase::Main };
    let mut inside = Vec::new();
    let mut up = Some(scope);
    while let Some(ix) = up {
        inside.push(ix);
        match plan.scopes[ix.at()].kind {
            ScopeKind::Rollout { .. } => rollouts.push(ix),
            ScopeKind::Wave { .. } | ScopeKind::Part { .. } => waves.push(ix),
            ScopeKind::Finally => phase = Phase::Finally,
            _ => {}
        }
        up = scopes[ix.at()].parent;
    }
    let only = match &task.only {
        None => None,
        Some(Only::FailedIn(list)) => Some(Filter::FailedIn(names.nodes(from, list)?)),
        Some(Only::TouchedBy(list)) => Some(Filter::TouchedBy(names.nodes(from, list)?)),
        // A linked run's rollback names tasks of the other run: its machines are chosen already.
        Some(Only::ChangedIn(list)) => Some(Filter::ChangedIn(
            list.iter().filter_map(|name| names.tasks.get(name.as_str()).copied()).collect(),
        )),
    };
    let of = match &task.role {
        Role::Branch { of } => names.nodes(from, of)?,
        _ => Vec::new(),
    };
    Ok(TaskNode {
        scope,
        phase,
        needs: task.needs.iter().map(|name| names.node(from, name, &inside)).collect::<Result<_, _>>()?,
        of,
        rungs: task
            .on_failure
            .iter()
            .map(|name| names.task(from, name.as_str()))
            .collect::<Result<_, _>>()?,
        verify: Vec::new(),
        verifies: None,
        targets: task.targets.as_ref().map(|ids| names.targets(from, ids)).transpose()?,
        only,
        rollouts,
        waves,
        effect: task.effect,
    })
}
