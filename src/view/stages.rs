//! How the stages of a run stand: the steps and gates at the root of its plan.

use std::collections::BTreeMap;

use runbook_engine::{
    ids::{ScopeName, TargetId, TaskName},
    outcome::TargetOutcome,
    plan::{Plan, Role, ScopeKind},
    run::{Run, TaskStatus},
};

/// The stages of a plan.
#[derive(Clone, Debug)]
pub struct Stages {
    list: Vec<Outline>,
    /// The stage of each task, by its position in [`Stages::list`].
    of_task: BTreeMap<TaskName, usize>,
}

#[derive(Clone, Debug)]
struct Outline {
    name: String,
    /// It undoes a wave: its branch is what it is about.
    undoes: bool,
    targets: Vec<TargetId>,
    waves: Vec<Vec<TargetId>>,
}

/// How one stage stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage<'a> {
    /// Its name.
    pub name: &'a str,
    /// `pending`, `running`, `waiting`, `interrupted`; `succeeded`, `contained`, `failed`, `skipped`, `cancelled`.
    pub status: &'static str,
    /// How many tasks it has, without those that only a failure brings to life.
    pub tasks: usize,
    /// How many of them are over.
    pub done: usize,
    /// How many machines it has.
    pub machines: usize,
    /// How many waves it has.
    pub waves: usize,
    /// The latest wave that began, from 1; 0 where there are no waves.
    pub wave: usize,
    /// Outcomes of its machines, without those still to come, with how many have each.
    pub counts: Vec<(&'static str, usize)>,
    /// The steps that work now.
    pub running: Vec<String>,
    /// For each wave: outcomes of its machines.
    pub by_wave: Vec<Vec<(&'static str, usize)>>,
}

impl Stages {
    /// The stages of this plan, in its order.
    pub fn of(plan: &Plan) -> Self {
        let scopes: BTreeMap<_, _> = plan.scopes.iter().map(|scope| (&scope.name, scope)).collect();
        let mut list: Vec<Outline> = Vec::new();
        let mut known: BTreeMap<&str, usize> = BTreeMap::new();
        let mut of_task = BTreeMap::new();
        for task in &plan.tasks {
            // The outermost scope below the root, else the task itself.
            let mut scope = scopes.get(&task.scope).copied();
            while let Some(inner) = scope {
                match &inner.parent {
                    Some(parent) if !parent.as_str().is_empty() => scope = scopes.get(parent).copied(),
                    _ => break,
                }
            }
            let scope = scope.filter(|scope| scope.parent.is_some());
            let name = scope.map_or(task.name.as_str(), |scope| scope.name.as_str());
            let at = *known.entry(name).or_insert_with(|| {
                list.push(Outline::new(plan, name, scope.map(|scope| (&scope.name, &scope.kind))));
                list.len() - 1
            });
            of_task.insert(task.name.clone(), at);
        }
        Self { list, of_task }
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|stage| stage.name.as_str())
    }

    /// How they stand in this run of the plan.
    pub fn read<'a>(&'a self, run: &Run) -> Vec<Stage<'a>> {
        let outcomes: BTreeMap<TargetId, TargetOutcome> =
            run.targets().into_iter().map(|target| (target.id.clone(), target.outcome)).collect();
        let mut tallies = vec![Tally::default(); self.list.len()];
        for task in run.tasks() {
            let Some(at) = self.of_task.get(&task.task.name) else { continue };
            let branch = matches!(task.task.role, Role::Branch { .. } | Role::Verify { .. });
            let branch = branch && !self.list[*at].undoes;
            tallies[*at].add(task.task.step.as_str(), task.status, branch);
        }
        self.list
            .iter()
            .zip(tallies)
            .map(|(outline, tally)| {
                let by_wave: Vec<_> = outline.waves.iter().map(|wave| counts(wave, &outcomes)).collect();
                // A soak takes up the machines of earlier waves again: the latest wave that began is the one meant.
                let wave = by_wave.iter().rposition(|wave| !wave.is_empty()).unwrap_or(0);
                Stage {
                    name: &outline.name,
                    status: match run.verdict_of(&outline.name) {
                        // The core judges the ordinary way, which a rollback has none of.
                        Some(_) if outline.undoes && tally.failed => "failed",
                        verdict => tally.status(verdict),
                    },
                    tasks: tally.tasks,
                    done: tally.done,
                    machines: outline.targets.len(),
                    waves: outline.waves.len(),
                    wave: if outline.waves.is_empty() { 0 } else { wave + 1 },
                    counts: counts(&outline.targets, &outcomes),
                    running: tally.running,
                    by_wave,
                }
            })
            .collect()
    }
}

impl Outline {
    fn new(plan: &Plan, name: &str, scope: Option<(&ScopeName, &ScopeKind)>) -> Self {
        let (mut targets, mut waves) = (Vec::new(), Vec::new());
        if let Some((scope, kind)) = scope {
            if let ScopeKind::Rollout { targets: all, .. } = kind {
                targets.clone_from(all);
            }
            for inner in plan.scopes.iter().filter(|inner| inner.parent.as_ref() == Some(scope)) {
                if let ScopeKind::Wave { targets, .. } = &inner.kind {
                    waves.push(targets.clone());
                }
            }
        }
        let undoes = matches!(scope, Some((_, ScopeKind::Rollback { .. })));
        Self { name: name.to_owned(), undoes, targets, waves }
    }
}

fn counts(ids: &[TargetId], outcomes: &BTreeMap<TargetId, TargetOutcome>) -> Vec<(&'static str, usize)> {
    let mut counts: BTreeMap<TargetOutcome, usize> = BTreeMap::new();
    for id in ids {
        if let Some(outcome) = outcomes.get(id)
            && *outcome != TargetOutcome::Pending
        {
            *counts.entry(*outcome).or_default() += 1;
        }
    }
    counts.into_iter().map(|(outcome, n)| (outcome.as_str(), n)).collect()
}

#[derive(Clone, Default)]
struct Tally {
    tasks: usize,
    done: usize,
    failed: bool,
    started: bool,
    waiting: bool,
    interrupted: bool,
    running: Vec<String>,
}

impl Tally {
    fn add(&mut self, step: &str, status: TaskStatus, branch: bool) {
        // A branch that never ran says nothing of its stage.
        if !branch {
            self.tasks += 1;
            self.done += usize::from(status.is_terminal());
        }
        self.failed |= status == TaskStatus::Failed;
        match status {
            TaskStatus::Running => {
                let step = step.rsplit('/').next().unwrap_or_default();
                if !self.running.iter().any(|known| known == step) {
                    self.running.push(step.to_owned());
                }
            }
            TaskStatus::Waiting => self.waiting = true,
            TaskStatus::Interrupted => self.interrupted = true,
            _ => {}
        }
        self.started |= !matches!(status, TaskStatus::Pending | TaskStatus::Skipped | TaskStatus::Cancelled);
    }

    /// `verdict`: how it came out, once it is over.
    fn status(&self, verdict: Option<&'static str>) -> &'static str {
        if !self.running.is_empty() {
            "running"
        } else if self.interrupted {
            "interrupted"
        } else if self.waiting {
            "waiting"
        } else if let Some(verdict) = verdict {
            verdict
        } else if self.started {
            "running"
        } else {
            "pending"
        }
    }
}
