//! What undoes each wave: its restoring branch, on whatever was changed, newest wave first.

use std::collections::{BTreeMap, BTreeSet};

use super::{Only, Plan, Role, Scope, ScopeKind, Task, draft::Expansion, verify::relative};
use crate::ids::{ScopeName, StepPath, TaskName};

/// What undoes (a part of) what was done in one wave or part.
#[derive(Debug)]
pub(super) struct Undo {
    undoes: ScopeName,
    scope: ScopeName,
    tasks: Vec<Task>,
}

/// What undoes each wave and part that changes machines and has a way back.
pub(super) fn undos(expansion: &Expansion<'_>) -> Vec<Undo> {
    let mut book = Book {
        expansion,
        index: BTreeMap::new(),
        steps: BTreeMap::new(),
        parents: BTreeMap::new(),
        around: BTreeMap::new(),
    };
    for scope in &expansion.scopes {
        book.parents.insert(&scope.name, scope.parent.as_ref());
    }
    for (at, draft) in expansion.drafts.iter().enumerate() {
        book.index.insert(draft.task.name.clone(), at);
        if draft.task.role == Role::Step && draft.task.skip.is_none() {
            book.steps.entry(draft.task.scope.clone()).or_default().push(at);
        }
        if let Role::Branch { of } = &draft.task.role
            && draft.task.restores.is_some()
        {
            for scope in of.iter().filter(|name| book.parents.contains_key(&ScopeName::from(name.as_str()))) {
                book.around.entry(scope.as_str().into()).or_default().insert(at);
            }
        }
    }
    let rollouts = expansion.rollouts.iter();
    rollouts
        .flat_map(|rollout| {
            rollout.waves.iter().flat_map(|wave| &wave.instances).map(|leaf| (&rollout.path, *leaf))
        })
        .flat_map(|(path, leaf)| book.undo(path, leaf))
        .collect()
}

/// Adds them to a plan whose scopes are in the order of execution.
pub(super) fn add(plan: &mut Plan, undos: Vec<Undo>) {
    let mut by_scope: BTreeMap<ScopeName, Vec<Undo>> = BTreeMap::new();
    for undo in undos {
        by_scope.entry(undo.undoes.clone()).or_default().push(undo);
    }
    let newest_first: Vec<ScopeName> = plan.scopes.iter().rev().map(|scope| scope.name.clone()).collect();
    let mut before: Option<ScopeName> = None;
    for undo in newest_first.iter().flat_map(|name| by_scope.remove(name).unwrap_or_default()) {
        plan.scopes.push(Scope {
            name: undo.scope.clone(),
            parent: Some("".into()),
            kind: ScopeKind::Rollback { undoes: undo.undoes },
            after: before.replace(undo.scope),
        });
        plan.rollback.extend(undo.tasks);
    }
}

struct Book<'b, 'a> {
    expansion: &'b Expansion<'a>,
    index: BTreeMap<TaskName, usize>,
    /// Ordinary tasks by the scope that they stand in.
    steps: BTreeMap<ScopeName, Vec<usize>>,
    parents: BTreeMap<&'b ScopeName, Option<&'b ScopeName>>,
    /// Restoring branches of composites, by the composite's scope.
    around: BTreeMap<ScopeName, BTreeSet<usize>>,
}

impl Book<'_, '_> {
    /// One for each restoring branch of the leaf, the last written first.
    fn undo(&self, path: &str, leaf: usize) -> Vec<Undo> {
        let drafts = &self.expansion.drafts;
        let scope = &self.expansion.instances[leaf].scope;
        let steps = self.steps.get(scope).map_or(&[][..], Vec::as_slice);
        let changing: Vec<usize> =
            steps.iter().copied().filter(|at| drafts[*at].task.effect.may_change()).collect();
        if changing.is_empty() {
            return Vec::new();
        }
        let mut restoring = self.restoring(steps);
        if restoring.is_empty() {
            restoring = self.restoring_around(scope);
        }
        let alone = restoring.len() == 1;
        let mut list = Vec::new();
        for branch in restoring.into_iter().rev() {
            let covers = |at: &usize| {
                let leads = self.restoring(&[*at]).contains(&branch);
                leads || alone && drafts[*at].task.no_way_back.is_none()
            };
            let changed: Vec<usize> = changing.iter().copied().filter(covers).collect();
            if changed.is_empty() {
                continue;
            }
            let number = list.len() + 1;
            let name =
                if number == 1 { format!("{scope}/rollback") } else { format!("{scope}/rollback-{number}") };
            let naming = Naming { path, scope: name.into() };
            let tasks = self.tasks(&naming, leaf, branch, &changed);
            list.push(Undo { undoes: scope.clone(), scope: naming.scope, tasks });
        }
        list
    }

    /// The first restoring branches that the failure of these tasks leads to.
    fn restoring(&self, tasks: &[usize]) -> BTreeSet<usize> {
        let drafts = &self.expansion.drafts;
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut ahead = tasks.to_vec();
        while let Some(at) = ahead.pop() {
            for branch in drafts[at].task.on_failure.iter().filter_map(|name| self.index.get(name)) {
                if drafts[*branch].task.restores.is_some() {
                    found.insert(*branch);
                } else if seen.insert(*branch) {
                    ahead.push(*branch);
                }
            }
        }
        found
    }

    /// The restoring branches of the composites around a wave.
    fn restoring_around(&self, leaf: &ScopeName) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut at = Some(leaf);
        while let Some(name) = at {
            found.extend(self.around.get(name).into_iter().flatten().copied());
            at = self.parents.get(name).copied().flatten();
        }
        found
    }

    /// The restoring task, its rungs, and their verification.
    fn tasks(&self, naming: &Naming<'_>, leaf: usize, branch: usize, changed: &[usize]) -> Vec<Task> {
        let drafts = &self.expansion.drafts;
        let rungs = self.rungs(branch);
        let names: BTreeMap<&StepPath, TaskName> =
            rungs.iter().map(|at| (&drafts[*at].task.step, naming.name(&drafts[*at].task.step))).collect();
        let renamed = |list: &[TaskName]| -> Vec<TaskName> {
            let steps = list.iter().filter_map(|name| self.index.get(name)).map(|at| &drafts[*at].task.step);
            steps.filter_map(|step| names.get(step)).cloned().collect()
        };
        let machines = self.expansion.instances[leaf].targets.clone();
        let mut tasks = Vec::new();
        for at in rungs {
            let from = &drafts[at].task;
            let mut copy = self.expansion.copy(at, names[&from.step].clone(), naming.scope.clone());
            copy.instance = drafts[at].instance;
            copy.task.on_failure = renamed(&from.on_failure);
            copy.task.targets = from
                .targets
                .is_some()
                .then(|| self.expansion.covered(at, machines.iter().flat_map(|list| list.iter().cloned())));
            if at == branch {
                copy.task.role = Role::Branch { of: Vec::new() };
                let changed = changed.iter().map(|at| drafts[*at].task.name.to_string()).collect();
                copy.task.only = Some(Only::ChangedIn(changed));
            } else {
                let Role::Branch { of } = &from.role else { continue };
                let of: Vec<TaskName> = of.iter().map(|name| TaskName::from(name.as_str())).collect();
                let of: Vec<String> = renamed(&of).iter().map(ToString::to_string).collect();
                copy.task.only = copy.task.targets.is_some().then(|| Only::FailedIn(of.clone()));
                copy.task.role = Role::Branch { of };
            }
            let checks = self.expansion.checks_around(drafts[at].instance, drafts[at].step);
            let restores = copy.task.restores.is_some();
            let verification =
                if restores { self.expansion.verification_of(&copy, &checks) } else { Vec::new() };
            tasks.push(copy.task);
            tasks.extend(verification.into_iter().map(|draft| draft.task));
        }
        tasks
    }

    /// A branch and what its failure leads to, each step once, in the order written.
    fn rungs(&self, branch: usize) -> Vec<usize> {
        let drafts = &self.expansion.drafts;
        let mut list = vec![branch];
        let mut next = 0;
        while let Some(at) = list.get(next).copied() {
            next += 1;
            for rung in drafts[at].task.on_failure.iter().filter_map(|name| self.index.get(name)) {
                if !list.contains(rung) {
                    list.push(*rung);
                }
            }
        }
        list
    }
}

/// How the tasks that undo are called.
struct Naming<'n> {
    /// The rollout's.
    path: &'n str,
    scope: ScopeName,
}

impl Naming<'_> {
    fn name(&self, step: &StepPath) -> TaskName {
        format!("{}/{}", self.scope, relative(step.as_str(), self.path)).into()
    }
}
