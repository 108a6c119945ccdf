//! The order of steps: what they need, what leads to them, and that nothing waits for itself.

use petgraph::{
    algo::tarjan_scc,
    graph::{DiGraph, NodeIndex},
};

use super::{
    Check,
    book::{Book, Level, Site},
};
use crate::{
    diagnostic::{Diagnostic, Place},
    document::model::{Spanned, StepTargets, What},
};

impl<'r> Check<'r> {
    /// The edges of one level.
    pub(super) fn order(&mut self, book: &Book<'r>, level: usize) {
        let at = &book.levels[level];
        for index in 0..at.steps.len() {
            self.needs(book, level, index);
            self.branches(book, level, index);
            self.reached(book, level, index);
        }
        self.cycles(at);
    }

    fn needs(&mut self, book: &Book<'r>, level: usize, index: usize) {
        let at = &book.levels[level];
        for need in &at.steps[index].needs {
            let Some(found) = book.resolved(level, need) else {
                self.unknown_step(book, level, need);
                continue;
            };
            if let Some((found_level, found_index)) = found.at
                && book.levels[found_level].is_branch(found_index)
            {
                let message = format!("`{}` is a branch step, so nothing can need it", need.value);
                let namer = book.levels[found_level].namers[found_index][0];
                let hint = format!(
                    "it is one because `on_failure` of `{}` names it",
                    book.levels[found_level].steps[namer].id.value
                );
                self.report(Diagnostic::error("needed-branch", message, need.place).hint(hint));
            }
            if found.head.0 != level {
                self.outer_need(book, level, need.place, found.head.1);
            }
            if at.namers[index].iter().any(|namer| at.steps[*namer].id.value == need.value) {
                let message =
                    format!("`{}` leads here when it fails, so it cannot be needed as well", need.value);
                self.report(Diagnostic::error("needed-cause", message, need.place).hint(
                    "take it out of `needs`: a branch step starts when the steps that name it have ended",
                ));
            }
        }
    }

    /// A step of a block needs one outside: none that waits for the block itself.
    fn outer_need(&mut self, book: &Book<'r>, level: usize, place: Place, needed: usize) {
        if book.recursive {
            return;
        }
        let mut open = vec![level];
        let mut seen = vec![false; book.levels.len()];
        while let Some(level) = open.pop() {
            for &(caller_level, caller) in &book.callers[level] {
                if caller_level != 0 {
                    if !std::mem::replace(&mut seen[caller_level], true) {
                        open.push(caller_level);
                    }
                    continue;
                }
                let root = &book.levels[0];
                if needed == caller || root.is_before(caller, needed) {
                    let id = &root.steps[caller].id.value;
                    let message = format!("`{}` runs this block and would wait for itself", id);
                    self.report(Diagnostic::error("cycle", message, place));
                    return;
                }
            }
        }
    }

    fn branches(&mut self, book: &Book<'r>, level: usize, index: usize) {
        let at = &book.levels[level];
        for branch in &at.steps[index].on_failure {
            if at.find(&branch.value).is_some() {
                continue;
            }
            if book.resolved(level, branch).is_some() {
                let message = format!("`{}` does not stand beside this step", branch.value);
                self.report(
                    Diagnostic::error("branch-elsewhere", message, branch.place)
                        .hint("a branch step stands in the same block as the steps that lead to it"),
                );
            } else {
                self.unknown_step(book, level, branch);
            }
        }
        let step = &at.steps[index];
        if at.is_branch(index) {
            if let Some(rollout) = &step.rollout {
                self.report(
                    Diagnostic::error(
                        "branch-rollout",
                        "a branch step cannot have a `rollout`",
                        rollout.place,
                    )
                    .hint("it runs once per wave of the steps that lead to it"),
                );
            }
            self.covered(at, index);
        }
    }

    /// A step that leads to a branch, whose machines the branch leaves out; and the other way round.
    fn covered(&mut self, at: &Level<'r>, branch: usize) {
        let Some(targets) = &at.steps[branch].targets else { return };
        let StepTargets::FailedIn(steps) = &targets.value else { return };
        let id = &at.steps[branch].id.value;
        let unknown = |step: &Spanned<String>| at.head(&step.value).is_none();
        for &namer in at.namers[branch].iter().filter(|_| !steps.iter().any(unknown)) {
            let namer = &at.steps[namer];
            let plain = matches!(namer.what, What::Uses(_));
            if plain && steps.iter().all(|step| step.value.split('/').next_back() != Some(&namer.id.value)) {
                let message = format!(
                    "`{}` leads to `{id}`, but its machines are not among `failed_in`",
                    namer.id.value
                );
                self.report(Diagnostic::warning("branch-leaves-out", message, targets.place).hint(format!(
                    "add `{}`, or leave `targets` out: it then means all of them",
                    namer.id.value
                )));
            }
        }
        for step in steps {
            let Some(named) = at.find(&step.value) else { continue };
            let misspelt = at.steps[named].on_failure.iter().any(unknown);
            if named != branch && !misspelt && !at.namers[branch].contains(&named) {
                let message =
                    format!("`{}` does not lead here: its `on_failure` does not name `{id}`", step.value);
                self.report(
                    Diagnostic::warning("branch-not-named", message, step.place)
                        .hint(format!("add `on_failure: [{id}]` to `{}`", step.value)),
                );
            }
        }
    }

    /// A step that is meant for failures, but that no failure leads to.
    fn reached(&mut self, book: &Book<'r>, level: usize, index: usize) {
        let at = &book.levels[level];
        let step = &at.steps[index];
        if at.is_branch(index) || matches!(at.site, Site::Finally) {
            return;
        }
        let why = match step.targets.as_ref().map(|targets| &targets.value) {
            Some(StepTargets::FailedIn(_)) => "works on machines that failed",
            Some(StepTargets::TouchedBy(_)) => "works on machines that a step touched",
            _ if at.docs[index].is_some_and(|doc| doc.restores) || step.restores.is_some() => {
                "restores machines"
            }
            _ => return,
        };
        let message = format!("`{}` {why}, but no `on_failure` leads to it", step.id.value);
        self.report(
            Diagnostic::error("unreachable-step", message, step.id.place)
                .hint(format!("name it where it is meant to help: `on_failure: [{}]`", step.id.value)),
        );
    }

    /// Steps that wait for each other.
    fn cycles(&mut self, at: &Level<'r>) {
        let mut graph = DiGraph::<usize, Place>::new();
        let nodes: Vec<NodeIndex> = (0..at.steps.len()).map(|index| graph.add_node(index)).collect();
        for (index, step) in at.steps.iter().enumerate() {
            for need in &step.needs {
                // That a branch step cannot be needed, nor what leads to this one, was said of the edge itself.
                let wrong = |needed: &usize| at.is_branch(*needed) || at.namers[index].contains(needed);
                if let Some(needed) = at.head(&need.value).filter(|needed| *needed == index || !wrong(needed))
                {
                    graph.add_edge(nodes[needed], nodes[index], need.place);
                }
            }
            for branch in &step.on_failure {
                if let Some(branched) = at.find(&branch.value) {
                    graph.add_edge(nodes[index], nodes[branched], branch.place);
                }
            }
        }
        for (path, place) in cycles_of(&graph) {
            let ids: Vec<&str> = path.iter().map(|node| at.steps[graph[*node]].id.value.as_str()).collect();
            self.report(
                Diagnostic::error("cycle", format!("steps wait for each other: {}", ids.join(" → ")), place)
                    .hint("one of these edges has to go"),
            );
        }
    }

    /// Blocks that run themselves.
    pub(super) fn block_cycles(&mut self, book: &mut Book<'r>) {
        let mut graph = DiGraph::<usize, Place>::new();
        let nodes: Vec<NodeIndex> = (0..book.levels.len()).map(|level| graph.add_node(level)).collect();
        for (at, level) in book.levels.iter().enumerate() {
            for step in level.steps {
                if let (Some(block), What::Block(name)) = (book.block_of(step), &step.what) {
                    graph.add_edge(nodes[at], nodes[block], name.place);
                }
            }
        }
        for (path, place) in cycles_of(&graph) {
            let names: Vec<&str> = path
                .iter()
                .map(|node| match book.levels[graph[*node]].site {
                    Site::Block(block) => block.name.value.as_str(),
                    Site::Root | Site::Finally => "",
                })
                .collect();
            book.recursive = true;
            self.report(Diagnostic::error(
                "block-cycle",
                format!("the block runs itself: {}", names.join(" → ")),
                place,
            ));
        }
    }
}

/// One cycle of each knot of a graph, from a node to the same node, with the first place on it.
pub(super) fn cycles_of(graph: &DiGraph<usize, Place>) -> Vec<(Vec<NodeIndex>, Place)> {
    let mut cycles = Vec::new();
    for knot in tarjan_scc(graph) {
        let Some(&first) = knot.iter().min() else { continue };
        if knot.len() == 1 && graph.find_edge(first, first).is_none() {
            continue;
        }
        let inside: std::collections::BTreeSet<NodeIndex> = knot.into_iter().collect();
        // Any way inside a knot comes back: the first node met twice closes a cycle.
        let mut path = vec![first];
        let closed = loop {
            let last = path[path.len() - 1];
            let Some(next) = graph.neighbors(last).filter(|next| inside.contains(next)).min() else {
                break None;
            };
            if let Some(at) = path.iter().position(|node| *node == next) {
                break Some(at);
            }
            path.push(next);
        };
        let Some(closed) = closed else { continue };
        let mut path = path.split_off(closed);
        path.push(path[0]);
        let places = path.windows(2).filter_map(|pair| {
            let edge = graph.find_edge(pair[0], pair[1])?;
            graph.edge_weight(edge).copied()
        });
        if let Some(place) = places.min() {
            cycles.push((path, place));
        }
    }
    cycles
}
