//! What stands between the document and the plan: block instances and drafts of tasks.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use serde_json::Value;

use super::{Inputs, Scope, Task, making::List, problems::Problems};
use crate::{
    document::model::{Runbook, Spanned, Step},
    duration::Span,
    ids::{ScopeName, StepPath, TargetId},
};

/// A list of steps in one place: the root's, a block's for one wave or part, `finally`.
#[derive(Debug)]
pub(super) struct Instance<'a> {
    pub(super) parent: Option<usize>,
    /// It is one wave of a plain step: other ids are looked for in the parent's list, which it is cut out of.
    pub(super) continues: bool,
    /// It is the list of a file: paths may also begin here.
    pub(super) file: bool,
    /// Where blocks are looked for.
    pub(super) runbook: &'a Runbook,
    /// The steps' path without their ids.
    pub(super) path: String,
    /// The tasks' names without the steps' ids.
    pub(super) prefix: String,
    pub(super) scope: ScopeName,
    pub(super) targets: Option<List>,
    pub(super) steps: Vec<&'a Step>,
    /// Steps that only failure leads to.
    pub(super) branches: BTreeSet<&'a str>,
    pub(super) params: Rc<BTreeMap<String, Value>>,
    /// `target.wave`.
    pub(super) wave: Option<u32>,
    /// A composite around it is skipped.
    pub(super) skip: Option<String>,
    /// Conditions of the composites around it that only a run can decide.
    pub(super) when: Option<String>,
    /// What steps without needs of their own need: the composite's needs, the window.
    pub(super) inherited: Rc<[Need<'a>]>,
    pub(super) finally: bool,
    /// A composite that is a branch step stands around it.
    pub(super) in_branch: bool,
    pub(super) depth: usize,
    /// What each step became.
    pub(super) nodes: BTreeMap<&'a str, Node>,
}

/// A need that comes from outside of a block.
#[derive(Clone, Debug)]
pub(super) enum Need<'a> {
    /// As written, and the instance in which it was.
    Step(usize, &'a Spanned<String>),
    /// A task of the planner's own.
    Task(String),
}

/// What a step became in one instance.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// A plain step's tasks, as indices of drafts.
    pub(super) tasks: Vec<usize>,
    /// The rollout that it is.
    pub(super) scope: Option<ScopeName>,
    /// A composite's instances; of a plain step in waves, one for each.
    pub(super) children: Vec<usize>,
    /// A plain step in waves: its edges are those of its instances.
    pub(super) plain_in_waves: bool,
}

/// A task to be.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) task: Task,
    /// The instance that it stands in.
    pub(super) instance: usize,
    pub(super) step: &'a Step,
    /// Its inputs for copies of it: what reads `target` is left to the run.
    pub(super) deferred: Inputs,
    pub(super) check: bool,
    /// It has fewer machines than its instance: what copies it must not have more.
    pub(super) narrow: bool,
    /// `from:` or `restores:`, as written.
    pub(super) from: Option<Spanned<String>>,
    /// Its place among tasks that do not wait for each other.
    pub(super) rank: (usize, usize),
}

/// A rollout to be soaked and rolled back.
#[derive(Debug)]
pub(super) struct RolloutDraft {
    pub(super) path: String,
    pub(super) soak: Option<Span>,
    pub(super) waves: Vec<WaveDraft>,
}

/// One wave of it.
#[derive(Debug)]
pub(super) struct WaveDraft {
    pub(super) targets: List,
    /// One instance, or one for each part.
    pub(super) instances: Vec<usize>,
    pub(super) soak: Option<ScopeName>,
}

/// The document, laid out over machines: scopes and tasks, edges not yet drawn.
#[derive(Debug)]
pub(super) struct Expansion<'a> {
    pub(super) scopes: Vec<Scope>,
    pub(super) instances: Vec<Instance<'a>>,
    pub(super) drafts: Vec<Draft<'a>>,
    pub(super) rollouts: Vec<RolloutDraft>,
    /// The windows before waves, and what they need.
    pub(super) windows: Vec<(usize, Rc<[Need<'a>]>)>,
    /// The machines of steps that have fewer than their list, over all waves.
    pub(super) coverage: BTreeMap<StepPath, BTreeSet<TargetId>>,
    pub(super) problems: Problems,
}

impl Expansion<'_> {
    /// The tasks of a step: a composite's are those of its steps on the ordinary way.
    pub(super) fn tasks_of(&self, node: &Node) -> Vec<usize> {
        let mut tasks = node.tasks.clone();
        if !node.plain_in_waves {
            for child in &node.children {
                tasks.extend(self.tasks_in(*child));
            }
        }
        tasks
    }

    /// The tasks of an instance's steps on the ordinary way, in the order written.
    pub(super) fn tasks_in(&self, instance: usize) -> Vec<usize> {
        let instance = &self.instances[instance];
        let ordinary =
            instance.steps.iter().filter(|step| !instance.branches.contains(step.id.value.as_str()));
        ordinary
            .filter_map(|step| instance.nodes.get(step.id.value.as_str()))
            .flat_map(|node| self.tasks_of(node))
            .collect()
    }

    /// Whether an instance is another one or stands in it.
    pub(super) fn is_inside(&self, instance: usize, other: usize) -> bool {
        let mut at = Some(instance);
        while let Some(instance) = at {
            if instance == other {
                return true;
            }
            at = self.instances[instance].parent;
        }
        false
    }
}

/// Two parts of a name or path.
pub(super) fn join(prefix: &str, id: &str) -> String {
    if prefix.is_empty() { id.to_owned() } else { format!("{prefix}/{id}") }
}
