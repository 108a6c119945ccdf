//! Verification: after a branch step that restores, the block's checks run again on the restored machines.

use std::collections::BTreeSet;

use super::{
    Role, Task, Work,
    draft::{Draft, Expansion},
    work::without_retry,
};
use crate::{
    document::model::Step,
    ids::{ScopeName, TargetId, TaskName},
};

/// Adds the verification of every restoring branch task.
pub(super) fn add(expansion: &mut Expansion<'_>) {
    for draft in expansion.drafts.iter().filter(|draft| draft.narrow) {
        let all = expansion.coverage.entry(draft.task.step.clone()).or_default();
        all.extend(draft.task.targets.iter().flatten().cloned());
    }
    for at in 0..expansion.drafts.len() {
        let draft = &expansion.drafts[at];
        if draft.task.restores.is_some() && matches!(draft.task.role, Role::Branch { .. }) {
            let checks = expansion.checks_around(draft.instance, draft.step);
            let new = expansion.verification(at, &checks);
            expansion.drafts.extend(new);
        }
    }
}

impl<'a> Expansion<'a> {
    /// The checks of an instance on its ordinary way, each step once: drafts to copy. Those of the root do not include
    /// what its composites check: each is a stage of its own.
    pub(super) fn checks_in(&self, instance: usize) -> Vec<usize> {
        let mut seen = BTreeSet::new();
        let list = &self.instances[instance];
        let mut tasks = Vec::new();
        for step in list.steps.iter().filter(|step| !list.branches.contains(step.id.value.as_str())) {
            let Some(node) = list.nodes.get(step.id.value.as_str()) else { continue };
            if list.parent.is_some() || node.scope.is_none() || node.plain_in_waves {
                tasks.extend(self.tasks_of(node));
            }
        }
        tasks.retain(|task| {
            let draft = &self.drafts[*task];
            // One that `when:` took out is not asked at any other time either.
            draft.check && draft.task.skip.is_none() && seen.insert(draft.task.step.clone())
        });
        tasks
    }

    /// The checks of the block that a branch step stands in, else of the next one around it that has any, else of the
    /// composites that lead to it.
    pub(super) fn checks_around(&self, instance: usize, branch: &Step) -> Vec<usize> {
        let mut at = Some(instance);
        while let Some(instance) = at {
            let list = &self.instances[instance];
            let checks = if list.continues { Vec::new() } else { self.checks_in(instance) };
            if !checks.is_empty() {
                return checks;
            }
            at = list.parent;
        }
        let list = &self.instances[instance];
        let namers =
            list.steps.iter().filter(|step| step.on_failure.iter().any(|id| id.value == branch.id.value));
        let children = namers.filter_map(|step| list.nodes.get(step.id.value.as_str())?.children.first());
        children.flat_map(|child| self.checks_in(*child)).collect()
    }

    /// The tasks that verify a restoring task.
    pub(super) fn verification(&self, restoring: usize, checks: &[usize]) -> Vec<Draft<'a>> {
        self.verification_of(&self.drafts[restoring], checks)
    }

    /// The same for a draft that stands elsewhere.
    pub(super) fn verification_of(&self, restoring: &Draft<'a>, checks: &[usize]) -> Vec<Draft<'a>> {
        let name = &restoring.task.name;
        let mut list = Vec::new();
        for check in checks {
            let block = directory(restoring.task.step.as_str());
            let path = relative(self.drafts[*check].task.step.as_str(), block);
            let mut copy =
                self.copy(*check, format!("{name}/verify/{path}").into(), restoring.task.scope.clone());
            copy.instance = restoring.instance;
            copy.rank = (restoring.rank.0, restoring.rank.1 + 1 + list.len());
            copy.task.role = Role::Verify { of: name.clone() };
            copy.task.needs = vec![name.to_string()];
            copy.task.retry = without_retry();
            copy.task.targets =
                restoring.task.targets.as_ref().map(|targets| self.covered(*check, targets.iter().cloned()));
            list.push(copy);
        }
        list
    }

    /// Those of `machines` that a step works on, in any wave.
    pub(super) fn covered(&self, draft: usize, machines: impl Iterator<Item = TargetId>) -> Vec<TargetId> {
        match self.coverage.get(&self.drafts[draft].task.step) {
            Some(all) => machines.filter(|id| all.contains(id)).collect(),
            None => machines.collect(),
        }
    }

    /// A copy of a task for another place: no edges, no machines, and what reads `target` is left to the run.
    pub(super) fn copy(&self, draft: usize, name: TaskName, scope: ScopeName) -> Draft<'a> {
        let from = &self.drafts[draft];
        let task = Task {
            name,
            scope,
            step: from.task.step.clone(),
            action: from.task.action.clone(),
            role: from.task.role.clone(),
            needs: Vec::new(),
            on_failure: Vec::new(),
            targets: None,
            only: None,
            effect: from.task.effect,
            work: match &from.task.work {
                Work::Action(_) => Work::Action(from.deferred.clone()),
                Work::Gate(gate) => Work::Gate(gate.clone()),
            },
            timeout: from.task.timeout,
            retry: from.task.retry.clone(),
            when: from.task.when.clone(),
            skip: from.task.skip.clone(),
            backs_up: from.task.backs_up,
            restores: from.task.restores.clone(),
            ways: Vec::new(),
            patchset: from.task.patchset,
            no_way_back: from.task.no_way_back.clone(),
            restorable: false,
            params: from.task.params.clone(),
            resolve_within: from.task.resolve_within,
        };
        Draft {
            task,
            instance: from.instance,
            step: from.step,
            deferred: from.deferred.clone(),
            check: from.check,
            narrow: from.narrow,
            from: None,
            rank: from.rank,
        }
    }
}

/// A path without its last part.
pub(super) fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// A step's path as seen from another one's list: without the parts that both have in common.
pub(super) fn relative<'p>(path: &'p str, directory: &str) -> &'p str {
    let mut rest = path;
    for part in directory.split('/').filter(|part| !part.is_empty()) {
        match rest.split_once('/') {
            Some((first, more)) if first == part => rest = more,
            _ => break,
        }
    }
    rest
}
