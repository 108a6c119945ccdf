//! What is drawn: boxes in boxes, and arrows between boxes that stand side by side.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::visit::EdgeRef;

use crate::{
    outcome::Effect,
    plan::{Edge, Plan, Point, Role, Scope, ScopeKind, Task},
};

/// A plan as boxes and arrows.
pub(super) struct Picture {
    /// What it is called.
    pub(super) title: String,
    /// Every box; the first is the whole.
    pub(super) boxes: Vec<Box>,
}

/// A scope or a task.
pub(super) struct Box {
    /// The lines in it, or above what is in it.
    pub(super) lines: Vec<String>,
    pub(super) look: Look,
    /// The boxes in it, in the order of the plan.
    pub(super) inside: Vec<usize>,
    /// Arrows between boxes in it.
    pub(super) arrows: Vec<Arrow>,
}

/// What a box shows at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Stage,
    Wave,
    Soak,
    Changes,
    Reads,
    Gate,
    Branch,
    Skipped,
}

/// An arrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrow {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Failure leads along it.
    pub(super) failure: bool,
}

impl Picture {
    /// Arrows are lifted to the boxes that stand side by side: one from stage to stage, where a hundred tasks need a
    /// hundred others.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut boxes = Vec::new();
        let mut parents: Vec<Option<usize>> = Vec::new();
        let mut scopes: BTreeMap<&str, usize> = BTreeMap::new();
        let mut tasks: BTreeMap<&str, usize> = BTreeMap::new();
        for scope in plan.scopes.iter().filter(|scope| !is_undrawn(plan, scope)) {
            let parent = scope.parent.as_ref().and_then(|name| scopes.get(name.as_str()).copied());
            scopes.insert(scope.name.as_str(), boxes.len());
            boxes.push(of_scope(scope));
            parents.push(parent);
        }
        for task in &plan.tasks {
            let parent = scopes.get(task.scope.as_str()).copied();
            tasks.insert(task.name.as_str(), boxes.len());
            boxes.push(of_task(task));
            parents.push(parent);
        }
        // Scopes and tasks of one box in the order in which they begin.
        let mut begins = vec![usize::MAX; boxes.len()];
        for (place, task) in plan.tasks.iter().enumerate() {
            let mut at = tasks.get(task.name.as_str()).copied();
            while let Some(box_) = at.filter(|box_| begins[*box_] == usize::MAX) {
                begins[box_] = place;
                at = parents[box_];
            }
        }
        for (at, parent) in parents.iter().enumerate() {
            if let Some(parent) = parent {
                boxes[*parent].inside.push(at);
            }
        }
        for box_ in &mut boxes {
            box_.inside.sort_by_key(|at| begins[*at]);
        }
        let point = |point: &Point| match point {
            Point::Begin(name) | Point::End(name) => scopes.get(name.as_str()).copied(),
            Point::Task(name) => tasks.get(name.as_str()).copied(),
        };
        let graph = plan.graph();
        let mut arrows: BTreeMap<usize, BTreeSet<Arrow>> = BTreeMap::new();
        for edge in graph.edge_references().filter(|edge| *edge.weight() != Edge::Around) {
            if let (Some(from), Some(to)) = (point(&graph[edge.source()]), point(&graph[edge.target()]))
                && let Some((parent, from, to)) = lifted(from, to, &parents)
            {
                let failure = *edge.weight() == Edge::Failure;
                arrows.entry(parent).or_default().insert(Arrow { from, to, failure });
            }
        }
        for (parent, arrows) in arrows {
            boxes[parent].arrows = without_shortcuts(arrows);
        }
        Self { title: plan.runbook.clone(), boxes }
    }
}

/// Rollback is drawn only where it is what the plan is for.
fn is_undrawn(plan: &Plan, scope: &Scope) -> bool {
    matches!(scope.kind, ScopeKind::Rollback { .. }) && plan.tasks.iter().all(|task| task.scope != scope.name)
}

/// The boxes side by side that an arrow goes between, and what both stand in.
fn lifted(from: usize, to: usize, parents: &[Option<usize>]) -> Option<(usize, usize, usize)> {
    let way = |at: usize| {
        let mut way: Vec<usize> = std::iter::successors(Some(at), |at| parents[*at]).collect();
        way.reverse();
        way
    };
    let (from, to) = (way(from), way(to));
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let parent = *from.get(common.checked_sub(1)?)?;
    Some((parent, *from.get(common)?, *to.get(common)?))
}

/// Without arrows that only repeat what two others say. Lists too long to look through stay as they are.
fn without_shortcuts(arrows: BTreeSet<Arrow>) -> Vec<Arrow> {
    const MOST: usize = 2_000;
    if arrows.len() > MOST {
        return arrows.into_iter().collect();
    }
    let mut next: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for arrow in arrows.iter().filter(|arrow| !arrow.failure) {
        next.entry(arrow.from).or_default().push(arrow.to);
    }
    let is_shortcut = |arrow: &Arrow| {
        let mut ahead: Vec<usize> = next.get(&arrow.from).into_iter().flatten().copied().collect();
        ahead.retain(|to| *to != arrow.to);
        let mut seen = BTreeSet::new();
        while let Some(at) = ahead.pop() {
            for to in next.get(&at).into_iter().flatten() {
                if *to == arrow.to {
                    return true;
                }
                if seen.insert(*to) {
                    ahead.push(*to);
                }
            }
        }
        false
    };
    arrows.iter().filter(|arrow| arrow.failure || !is_shortcut(arrow)).copied().collect()
}

fn of_scope(scope: &Scope) -> Box {
    let last = last(scope.name.as_str());
    let (lines, look) = match &scope.kind {
        ScopeKind::Root => (Vec::new(), Look::Stage),
        ScopeKind::Rollout { targets, .. } if targets.is_empty() => (vec![last.to_owned()], Look::Stage),
        ScopeKind::Rollout { targets, max_failures, .. } => {
            let text = format!("{last}: {}, {max_failures} may fail", machines(targets.len()));
            (vec![text], Look::Stage)
        }
        ScopeKind::Wave { number, of, targets } => {
            (vec![format!("wave {number} of {of}: {}", machines(targets.len()))], Look::Wave)
        }
        ScopeKind::Part { number, targets } => {
            (vec![format!("part {number}: {}", machines(targets.len()))], Look::Wave)
        }
        ScopeKind::Soak { wave } => (vec![format!("soak of wave {wave}")], Look::Soak),
        ScopeKind::Finally => (vec!["finally".to_owned()], Look::Stage),
        ScopeKind::Rollback { undoes } => (vec![format!("undo {undoes}")], Look::Stage),
    };
    Box { lines, look, inside: Vec::new(), arrows: Vec::new() }
}

fn of_task(task: &Task) -> Box {
    let name = match &task.role {
        Role::Verify { .. } => format!("verify {}", last(task.name.as_str())),
        Role::SoakWait => "wait".into(),
        _ if last(task.name.as_str()).starts_with("wave-")
            || last(task.name.as_str()).starts_with("part-") =>
        {
            last(task.step.as_str()).into()
        }
        _ => last(task.name.as_str()).into(),
    };
    let with = match (&task.targets, &task.skip) {
        (_, Some(_)) => format!("{}, skipped", task.action),
        (Some(targets), None) if !matches!(task.role, Role::Branch { .. } | Role::Verify { .. }) => {
            format!("{}, {}", task.action, machines(targets.len()))
        }
        _ => task.action.to_string(),
    };
    let look = match &task.role {
        _ if task.skip.is_some() => Look::Skipped,
        Role::Branch { .. } | Role::Verify { .. } => Look::Branch,
        _ if task.action.as_str().starts_with("gate/") => Look::Gate,
        _ if task.effect == Effect::Reads => Look::Reads,
        _ => Look::Changes,
    };
    Box { lines: vec![name, with], look, inside: Vec::new(), arrows: Vec::new() }
}

fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn machines(count: usize) -> String {
    if count == 1 { "1 machine".into() } else { format!("{count} machines") }
}
