//! The plan as a graph: what waits for what.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use petgraph::{
    Direction,
    graph::{DiGraph, NodeIndex},
    visit::EdgeRef,
};

use super::{Plan, Role, Scope, ScopeKind, Task};
use crate::ids::{ScopeName, TaskName};

/// A point in the course of a run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// A scope begins.
    Begin(ScopeName),
    /// Everything in a scope has ended.
    End(ScopeName),
    /// A task.
    Task(TaskName),
}

/// Why one point comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    /// `needs`.
    Success,
    /// `on_failure`.
    Failure,
    /// A scope lies around what is in it.
    Around,
    /// One scope follows another.
    After,
}

/// The tasks of a plan, without what only a cancelled run brings to life.
pub type Graph = DiGraph<Point, Edge>;

impl Plan {
    /// The graph of tasks and scopes. It has no cycle in a plan that [`super::make`] or [`Plan::from_json`] gave.
    pub fn graph(&self) -> Graph {
        Drawing::new(&self.scopes, &self.tasks).graph
    }

    /// Puts every task behind what it waits for, and the scopes into the order in which they begin; what does not wait
    /// for each other keeps its order.
    ///
    /// # Errors
    /// The tasks that wait for each other.
    pub(super) fn put_in_order(&mut self) -> Result<(), Vec<TaskName>> {
        let order = order(&self.scopes, &self.tasks)?;
        let mut places = vec![0; self.tasks.len()];
        for (place, task) in order.into_iter().enumerate() {
            places[task] = place;
        }
        let mut tasks: Vec<_> = std::mem::take(&mut self.tasks).into_iter().zip(places).collect();
        tasks.sort_by_key(|(_, place)| *place);
        self.tasks = tasks.into_iter().map(|(task, _)| task).collect();
        self.order_scopes();
        Ok(())
    }

    fn order_scopes(&mut self) {
        let index: BTreeMap<&str, usize> =
            self.scopes.iter().enumerate().map(|(at, scope)| (scope.name.as_str(), at)).collect();
        let parent =
            |at: usize| self.scopes[at].parent.as_ref().and_then(|name| index.get(name.as_str()).copied());
        // When each begins, and how deep it stands: parents come first.
        let mut keys = vec![(usize::MAX, 0); self.scopes.len()];
        for (at, key) in keys.iter_mut().enumerate() {
            key.1 = std::iter::successors(parent(at), |above| parent(*above)).take(self.scopes.len()).count();
        }
        for (place, task) in self.tasks.iter().enumerate() {
            let mut scope = index.get(task.scope.as_str()).copied();
            while let Some(at) = scope.filter(|at| keys[*at].0 == usize::MAX) {
                keys[at].0 = place;
                scope = parent(at);
            }
        }
        let mut scopes: Vec<_> = std::mem::take(&mut self.scopes).into_iter().zip(keys).collect();
        scopes.sort_by_key(|(_, key)| *key);
        self.scopes = scopes.into_iter().map(|(scope, _)| scope).collect();
    }
}

/// An order in which every task stands behind what it waits for, as indices; of those that could come next, always the
/// first in the list.
pub(super) fn order(scopes: &[Scope], tasks: &[Task]) -> Result<Vec<usize>, Vec<TaskName>> {
    let drawing = Drawing::new(scopes, tasks);
    let graph = &drawing.graph;
    let mut waits: Vec<usize> =
        graph.node_indices().map(|node| graph.edges_directed(node, Direction::Incoming).count()).collect();
    // Scopes take no time: their points go first.
    let key = |node: NodeIndex| match drawing.tasks.get(&node) {
        Some(task) => (1, *task, node),
        None => (0, node.index(), node),
    };
    let mut ready: BinaryHeap<_> =
        graph.node_indices().filter(|node| waits[node.index()] == 0).map(|node| Reverse(key(node))).collect();
    let mut list = Vec::with_capacity(tasks.len());
    while let Some(Reverse((_, _, node))) = ready.pop() {
        list.extend(drawing.tasks.get(&node));
        for edge in graph.edges(node) {
            let next = edge.target();
            waits[next.index()] -= 1;
            if waits[next.index()] == 0 {
                ready.push(Reverse(key(next)));
            }
        }
    }
    if list.len() == tasks.len() { Ok(list) } else { Err(cycle(&drawing, &waits, tasks)) }
}

/// The tasks of one cycle: of the points that were never ready, a strongly connected part.
fn cycle(drawing: &Drawing, waits: &[usize], tasks: &[Task]) -> Vec<TaskName> {
    let stuck = drawing.graph.filter_map(
        |node, point| (waits[node.index()] > 0).then(|| (node, point.clone())),
        |_, edge| Some(*edge),
    );
    let mut parts = petgraph::algo::tarjan_scc(&stuck).into_iter().filter(|part| part.len() > 1);
    let part = parts.next().unwrap_or_else(|| stuck.node_indices().collect());
    let mut list: Vec<usize> =
        part.iter().filter_map(|node| drawing.tasks.get(&stuck[*node].0).copied()).collect();
    list.sort_unstable();
    list.into_iter().map(|task| tasks[task].name.clone()).collect()
}

struct Drawing {
    graph: Graph,
    /// The points that are tasks, with their place in the list.
    tasks: BTreeMap<NodeIndex, usize>,
}

impl Drawing {
    fn new(scopes: &[Scope], tasks: &[Task]) -> Self {
        let mut graph =
            Graph::with_capacity(scopes.len() * 2 + tasks.len(), scopes.len() * 3 + tasks.len() * 4);
        let mut bounds: BTreeMap<&str, (NodeIndex, NodeIndex)> = BTreeMap::new();
        for scope in scopes {
            let begin = graph.add_node(Point::Begin(scope.name.clone()));
            let end = graph.add_node(Point::End(scope.name.clone()));
            graph.add_edge(begin, end, Edge::Around);
            bounds.insert(scope.name.as_str(), (begin, end));
        }
        let mut points = BTreeMap::new();
        let mut names: BTreeMap<&str, NodeIndex> = BTreeMap::new();
        for (at, task) in tasks.iter().enumerate() {
            let node = graph.add_node(Point::Task(task.name.clone()));
            points.insert(node, at);
            names.insert(task.name.as_str(), node);
            if let Some((begin, end)) = bounds.get(task.scope.as_str()) {
                graph.add_edge(*begin, node, Edge::Around);
                graph.add_edge(node, *end, Edge::Around);
            }
        }
        let mut drawing = Self { graph, tasks: points };
        for scope in scopes {
            drawing.scope(scope, &bounds);
        }
        drawing.finally(scopes, tasks, &bounds, &names);
        let parents: BTreeMap<&str, &str> = scopes
            .iter()
            .filter_map(|scope| scope.parent.as_ref().map(|parent| (scope.name.as_str(), parent.as_str())))
            .collect();
        let inside = |task: &Task, scope: &str| {
            let up = std::iter::successors(Some(task.scope.as_str()), |name| parents.get(name).copied());
            up.take(parents.len() + 1).any(|name| name == scope)
        };
        for task in tasks {
            let Some(node) = names.get(task.name.as_str()).copied() else { continue };
            // Names of tasks and of scopes are apart: a scope is meant, unless the task stands in it.
            let find = |name: &str| match bounds.get(name) {
                Some((_, end)) if !(names.contains_key(name) && inside(task, name)) => Some(*end),
                _ => names.get(name).copied(),
            };
            for need in task.needs.iter().filter_map(|name| find(name)) {
                drawing.graph.add_edge(need, node, Edge::Success);
            }
            let of = match &task.role {
                Role::Branch { of } => of.as_slice(),
                _ => &[],
            };
            for namer in of {
                let namer = names
                    .get(namer.as_str())
                    .copied()
                    .or_else(|| bounds.get(namer.as_str()).map(|(_, end)| *end));
                if let Some(namer) = namer {
                    drawing.graph.add_edge(namer, node, Edge::Failure);
                }
            }
        }
        drawing
    }

    fn scope(&mut self, scope: &Scope, bounds: &BTreeMap<&str, (NodeIndex, NodeIndex)>) {
        let Some((begin, end)) = bounds.get(scope.name.as_str()).copied() else { return };
        if let Some((outer_begin, outer_end)) =
            scope.parent.as_ref().and_then(|name| bounds.get(name.as_str()))
        {
            self.graph.add_edge(*outer_begin, begin, Edge::Around);
            self.graph.add_edge(end, *outer_end, Edge::Around);
        }
        if let Some((_, before)) = scope.after.as_ref().and_then(|name| bounds.get(name.as_str())) {
            self.graph.add_edge(*before, begin, Edge::After);
        }
    }

    /// Whatever stands in the root comes before `finally`.
    fn finally(
        &mut self,
        scopes: &[Scope],
        tasks: &[Task],
        bounds: &BTreeMap<&str, (NodeIndex, NodeIndex)>,
        names: &BTreeMap<&str, NodeIndex>,
    ) {
        let finally = scopes.iter().find(|scope| scope.kind == ScopeKind::Finally);
        let Some((begin, _)) = finally.and_then(|scope| bounds.get(scope.name.as_str()).copied()) else {
            return;
        };
        let in_root = |parent: Option<&ScopeName>| parent.is_some_and(|name| name.as_str().is_empty());
        for scope in scopes.iter().filter(|scope| in_root(scope.parent.as_ref())) {
            if !matches!(scope.kind, ScopeKind::Finally | ScopeKind::Rollback { .. })
                && let Some((_, end)) = bounds.get(scope.name.as_str())
            {
                self.graph.add_edge(*end, begin, Edge::After);
            }
        }
        for task in tasks.iter().filter(|task| task.scope.as_str().is_empty()) {
            if let Some(node) = names.get(task.name.as_str()) {
                self.graph.add_edge(*node, begin, Edge::After);
            }
        }
    }
}
