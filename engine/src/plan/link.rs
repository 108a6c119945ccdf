//! Drawing the edges: what ids and paths mean where they are written.

use std::collections::BTreeMap;

use super::{
    Only, Role,
    draft::{Expansion, Need, Node},
};
use crate::{
    diagnostic::Diagnostic,
    document::model::{Spanned, Step, StepTargets},
    ids::StepPath,
};

/// Draws all edges of the drafts.
pub(super) fn link(expansion: &mut Expansion<'_>) {
    let mut inherited = BTreeMap::new();
    for at in 0..expansion.instances.len() {
        for step in expansion.instances[at].steps.clone() {
            let node = expansion.instances[at].nodes.get(step.id.value.as_str()).cloned().unwrap_or_default();
            // The edges of a plain step in waves are drawn in its waves.
            if !node.plain_in_waves {
                needs(expansion, at, step, &node, &mut inherited);
                failure(expansion, at, step, &node);
            }
        }
    }
    for (window, list) in std::mem::take(&mut expansion.windows) {
        let names = list.iter().flat_map(|need| expansion.names_of_need(need)).collect();
        expansion.drafts[window].task.needs = without_doubles(names);
    }
    for at in 0..expansion.instances.len() {
        let instance = &expansion.instances[at];
        let steps = instance.steps.clone().into_iter();
        let branches: Vec<_> =
            steps.filter(|step| instance.branches.contains(step.id.value.as_str())).collect();
        for step in branches {
            only(expansion, at, step);
        }
    }
    backups(expansion);
}

fn needs<'a>(
    expansion: &mut Expansion<'a>,
    at: usize,
    step: &'a Step,
    node: &Node,
    inherited: &mut BTreeMap<usize, Vec<String>>,
) {
    if node.tasks.is_empty() {
        // A composite's needs are drawn by the steps in it.
        return;
    }
    let instance = &expansion.instances[at];
    let wave_of_plain =
        instance.continues && instance.steps.first().is_some_and(|first| std::ptr::eq(*first, step));
    let names = if step.needs.is_empty() || wave_of_plain {
        if instance.branches.contains(step.id.value.as_str()) {
            return;
        }
        // The same for every first step of a block, however many there are.
        let list = std::rc::Rc::clone(&instance.inherited);
        match inherited.get(&at) {
            Some(names) => names.clone(),
            None => {
                let names = list.iter().flat_map(|need| expansion.names_of_need(need)).collect();
                inherited.entry(at).or_insert(without_doubles(names)).clone()
            }
        }
    } else {
        let names =
            step.needs.iter().flat_map(|need| expansion.names_of_need(&Need::Step(at, need))).collect();
        without_doubles(names)
    };
    for task in &node.tasks {
        expansion.drafts[*task].task.needs.clone_from(&names);
    }
}

/// The failure edges of one step.
fn failure<'a>(expansion: &mut Expansion<'a>, at: usize, step: &'a Step, node: &Node) {
    if step.on_failure.is_empty() {
        return;
    }
    let tasks = expansion.tasks_of(node);
    let of: Vec<String> = match &node.scope {
        Some(scope) => vec![scope.to_string()],
        None => tasks.iter().map(|task| expansion.drafts[*task].task.name.to_string()).collect(),
    };
    for name in &step.on_failure {
        let branches: Vec<usize> =
            expansion.find_or_complain(at, name).iter().flat_map(|node| expansion.tasks_of(node)).collect();
        for branch in branches {
            let branch_name = expansion.drafts[branch].task.name.clone();
            let role = &mut expansion.drafts[branch].task.role;
            match role {
                Role::Branch { of: known } => known.extend(of.iter().cloned()),
                role => *role = Role::Branch { of: of.clone() },
            }
            if node.scope.is_none() {
                for task in &tasks {
                    expansion.drafts[*task].task.on_failure.push(branch_name.clone());
                }
            }
        }
    }
}

/// Which machines enter a branch step.
fn only<'a>(expansion: &mut Expansion<'a>, at: usize, step: &'a Step) {
    let Some(node) = expansion.instances[at].nodes.get(step.id.value.as_str()).cloned() else { return };
    if node.plain_in_waves {
        return;
    }
    let stated = match step.targets.as_ref().map(|targets| &targets.value) {
        Some(StepTargets::FailedIn(names)) => Some(Only::FailedIn(expansion.sources(at, names))),
        Some(StepTargets::TouchedBy(names)) => Some(Only::TouchedBy(expansion.sources(at, names))),
        Some(StepTargets::Group(_)) | None => None,
    };
    for task in expansion.tasks_of(&node) {
        let task = &mut expansion.drafts[task].task;
        if let Role::Branch { of } = &mut task.role {
            *of = without_doubles(std::mem::take(of));
            if task.targets.is_some() {
                task.only = Some(stated.clone().unwrap_or_else(|| Only::FailedIn(of.clone())));
            }
        }
    }
}

/// Where restoring steps find their backups.
fn backups(expansion: &mut Expansion<'_>) {
    for at in 0..expansion.drafts.len() {
        let Some(from) = expansion.drafts[at].from.clone() else { continue };
        let nodes = expansion.find(expansion.drafts[at].instance, &from.value);
        let backup = nodes.iter().find_map(|node| node.tasks.first().copied());
        match backup {
            Some(backup) => {
                let path: StepPath = expansion.drafts[backup].task.step.clone();
                expansion.drafts[at].task.restores = Some(path);
            }
            None => {
                let message = format!("there is no step `{}` that could have made a backup", from.value);
                expansion.problems.add(Diagnostic::error("unknown-step", message, from.place));
            }
        }
    }
}

impl<'a> Expansion<'a> {
    /// What an id or path means in an instance: the step there, the step of the list that it is cut out of, and then
    /// the path, from the nearest list around it on.
    pub(super) fn find(&self, at: usize, name: &str) -> Vec<Node> {
        let mut list = Some(at);
        while let Some(at) = list {
            let own = self.below(at, name);
            if !own.is_empty() {
                return own;
            }
            list = self.instances[at].parent.filter(|_| self.instances[at].continues);
        }
        let mut around = Some(at);
        while let Some(at) = around {
            let instance = &self.instances[at];
            let below = match instance.path.as_str() {
                "" => Some(name),
                path => name.strip_prefix(path).and_then(|rest| rest.strip_prefix('/')),
            };
            for path in below.into_iter().chain(instance.file.then_some(name)) {
                let found = self.below(at, path);
                if !found.is_empty() {
                    return found;
                }
            }
            around = instance.parent;
        }
        // `finally` is a root of its own, but its steps may speak of the others.
        self.below(0, name)
    }

    /// The steps of this path, in every wave.
    fn below(&self, at: usize, path: &str) -> Vec<Node> {
        let instance = &self.instances[at];
        if let Some(node) = instance.nodes.get(path) {
            return vec![node.clone()];
        }
        let Some((first, rest)) = path.split_once('/') else { return Vec::new() };
        let Some(node) = instance.nodes.get(first).filter(|node| !node.plain_in_waves) else {
            return Vec::new();
        };
        node.children.iter().flat_map(|child| self.below(*child, rest)).collect()
    }

    fn find_or_complain(&mut self, at: usize, name: &Spanned<String>) -> Vec<Node> {
        let nodes = self.find(at, &name.value);
        if nodes.is_empty() {
            let message = format!("there is no step `{}`", name.value);
            self.problems.add(Diagnostic::error("unknown-step", message, name.place));
        }
        nodes
    }

    /// The names that stand for nodes: a rollout's scope, else tasks.
    fn names(&self, nodes: &[Node]) -> Vec<String> {
        let mut names = Vec::new();
        for node in nodes {
            match &node.scope {
                Some(scope) => names.push(scope.to_string()),
                None => names
                    .extend(self.tasks_of(node).iter().map(|task| self.drafts[*task].task.name.to_string())),
            }
        }
        names
    }

    fn names_of_need(&mut self, need: &Need<'a>) -> Vec<String> {
        match need {
            Need::Step(at, name) => {
                let nodes = self.find_or_complain(*at, name);
                self.names(&nodes)
            }
            Need::Task(name) => vec![name.clone()],
        }
    }

    /// The names in `failed_in` and `touched_by`: an id means this wave, a path every wave.
    fn sources(&mut self, at: usize, names: &[Spanned<String>]) -> Vec<String> {
        let mut list = Vec::new();
        for name in names {
            let everywhere = if name.value.contains('/') { self.below(0, &name.value) } else { Vec::new() };
            let nodes = if everywhere.is_empty() { self.find_or_complain(at, name) } else { everywhere };
            list.extend(self.names(&nodes));
        }
        without_doubles(list)
    }
}

/// The same names once each, in the order of their first mention.
fn without_doubles(names: Vec<String>) -> Vec<String> {
    if names.len() < 2 {
        return names;
    }
    let mut seen = std::collections::BTreeSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}
