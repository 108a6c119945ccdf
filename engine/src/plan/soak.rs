//! Soaks: a wait after every wave, then the checks again over all machines so far, with a branch of their own.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Gate, Only, Role, Task, Work,
    draft::{Draft, Expansion, RolloutDraft},
    verify::{directory, relative},
    work::{RESOLVE_WITHIN, without_retry},
};
use crate::{
    duration::Span,
    ids::{ScopeName, StepPath, TargetId, TaskName},
    outcome::Effect,
};

/// Adds the tasks of every soak.
pub(super) fn add(expansion: &mut Expansion<'_>) {
    let rollouts = std::mem::take(&mut expansion.rollouts);
    let index: BTreeMap<String, usize> =
        expansion.drafts.iter().enumerate().map(|(at, draft)| (draft.task.name.to_string(), at)).collect();
    for rollout in &rollouts {
        let Some(span) = rollout.soak else { continue };
        let mut machines = Vec::new();
        let mut instances = BTreeSet::new();
        let mut checks: Vec<usize> = Vec::new();
        for wave in &rollout.waves {
            machines.extend(wave.targets.iter().cloned());
            for instance in &wave.instances {
                instances.insert(*instance);
                for check in expansion.checks_in(*instance) {
                    let step = &expansion.drafts[check].task.step;
                    if !checks.iter().any(|known| expansion.drafts[*known].task.step == *step) {
                        checks.push(check);
                    }
                }
            }
            if let Some(scope) = &wave.soak {
                let soak = Soak {
                    rollout,
                    scope,
                    instances: &instances,
                    machines: &machines,
                    checks: &checks,
                    index: &index,
                };
                soak.add(expansion, span);
            }
        }
    }
    expansion.rollouts = rollouts;
}

/// One soak of a rollout.
struct Soak<'s> {
    rollout: &'s RolloutDraft,
    scope: &'s ScopeName,
    /// Those of the waves so far.
    instances: &'s BTreeSet<usize>,
    /// Those of the waves so far.
    machines: &'s [TargetId],
    /// The checks to copy, each step once.
    checks: &'s [usize],
    /// Drafts by name.
    index: &'s BTreeMap<String, usize>,
}

impl Soak<'_> {
    fn add(&self, expansion: &mut Expansion<'_>, span: Span) {
        let Some(instance) = self.instances.first().copied() else { return };
        let Some(step) = expansion.instances[instance].steps.first().copied() else { return };
        let wait = Draft {
            task: wait(self.scope, &self.rollout.path, span),
            instance,
            step,
            deferred: Default::default(),
            check: false,
            narrow: false,
            from: None,
            rank: (expansion.drafts.len(), 0),
        };
        let needs = vec![wait.task.name.to_string()];
        expansion.drafts.push(wait);
        let branches = self.branches(expansion);
        let copied = self.checks.iter().chain(&branches);
        let names: BTreeMap<StepPath, TaskName> = copied
            .map(|task| {
                let from = &expansion.drafts[*task].task;
                (from.step.clone(), self.name(from))
            })
            .collect();
        for check in self.checks {
            let mut copy = self.copy(expansion, *check, &names);
            copy.task.role = Role::SoakCheck;
            copy.task.needs.clone_from(&needs);
            expansion.drafts.push(copy);
        }
        for branch in &branches {
            self.branch(expansion, *branch, &names);
        }
    }

    /// A branch of its own: entered by the machines that its checks found sick.
    fn branch(&self, expansion: &mut Expansion<'_>, branch: usize, names: &BTreeMap<StepPath, TaskName>) {
        let mut copy = self.copy(expansion, branch, names);
        let from = &expansion.drafts[branch].task;
        let Role::Branch { of } = &from.role else { return };
        let of = self.renamed(expansion, of, names);
        copy.task.only = from.only.as_ref().map(|only| {
            let sources = match only {
                Only::FailedIn(list) => self.renamed(expansion, list, names),
                // Whatever it enters in a wave, here it enters what the checks found.
                Only::TouchedBy(_) | Only::ChangedIn(_) => Vec::new(),
            };
            Only::FailedIn(if sources.is_empty() { of.clone() } else { sources })
        });
        copy.task.role = Role::Branch { of };
        let restores = copy.task.restores.is_some();
        expansion.drafts.push(copy);
        if restores {
            let verification = expansion.verification(expansion.drafts.len() - 1, self.checks);
            expansion.drafts.extend(verification);
        }
    }

    /// The branch steps of these waves that the failure of the checks leads to, each once.
    fn branches(&self, expansion: &Expansion<'_>) -> Vec<usize> {
        let mut found: BTreeMap<StepPath, usize> = BTreeMap::new();
        let mut ahead = self.checks.to_vec();
        while let Some(at) = ahead.pop() {
            for name in &expansion.drafts[at].task.on_failure {
                let Some(branch) = self.index.get(name.as_str()).copied() else { continue };
                let draft = &expansion.drafts[branch];
                let here =
                    self.instances.iter().any(|instance| expansion.is_inside(draft.instance, *instance));
                if here && !found.contains_key(&draft.task.step) {
                    found.insert(draft.task.step.clone(), branch);
                    ahead.push(branch);
                }
            }
        }
        let mut list: Vec<usize> = found.into_values().collect();
        list.sort_unstable();
        list
    }

    fn renamed(
        &self,
        expansion: &Expansion<'_>,
        list: &[String],
        names: &BTreeMap<StepPath, TaskName>,
    ) -> Vec<String> {
        let mut renamed: Vec<String> = Vec::new();
        for name in list {
            let step = self.index.get(name).map(|at| &expansion.drafts[*at].task.step);
            if let Some(name) = step.and_then(|step| names.get(step))
                && !renamed.iter().any(|known| known == name.as_str())
            {
                renamed.push(name.to_string());
            }
        }
        renamed
    }

    fn copy<'a>(
        &self,
        expansion: &Expansion<'a>,
        from: usize,
        names: &BTreeMap<StepPath, TaskName>,
    ) -> Draft<'a> {
        let task = &expansion.drafts[from].task;
        let mut copy = expansion.copy(from, names[&task.step].clone(), self.scope.clone());
        copy.rank = (expansion.drafts.len(), 0);
        let on_failure: Vec<String> = task.on_failure.iter().map(ToString::to_string).collect();
        copy.task.on_failure =
            self.renamed(expansion, &on_failure, names).into_iter().map(TaskName::from).collect();
        copy.task.targets =
            task.targets.is_some().then(|| expansion.covered(from, self.machines.iter().cloned()));
        copy
    }

    fn name(&self, task: &Task) -> TaskName {
        let path = task.step.as_str();
        let block = if path == self.rollout.path { directory(path) } else { &self.rollout.path };
        format!("{}/{}", self.scope, relative(path, block)).into()
    }
}

/// The wait itself: it has the name of its scope.
fn wait(scope: &ScopeName, rollout: &str, span: Span) -> Task {
    Task {
        name: scope.as_str().into(),
        step: rollout.into(),
        scope: scope.clone(),
        action: "gate/wait".into(),
        role: Role::SoakWait,
        needs: Vec::new(),
        on_failure: Vec::new(),
        targets: None,
        only: None,
        effect: Effect::Reads,
        work: Work::Gate(Gate::WaitFor { span }),
        timeout: span,
        retry: without_retry(),
        when: None,
        skip: None,
        backs_up: false,
        restores: None,
        ways: Vec::new(),
        patchset: None,
        no_way_back: None,
        restorable: false,
        params: BTreeMap::new(),
        resolve_within: RESOLVE_WITHIN,
    }
}
