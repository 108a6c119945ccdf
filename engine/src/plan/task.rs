//! Tasks: one step for one wave.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Gate, Way};
use crate::{
    duration::Span,
    ids::{ActionName, ScopeName, StepPath, TargetId, TaskName},
    outcome::{Effect, ErrorClass},
    patchset::Part,
};

/// One step for one wave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its name: scope name, then step id.
    pub name: TaskName,
    /// The step that it comes from. A soak check and a verification carry the path of the check that they repeat.
    pub step: StepPath,
    /// The innermost scope that it stands in.
    pub scope: ScopeName,
    /// What it uses.
    pub action: ActionName,
    /// Why it is there.
    pub role: Role,
    /// What must be terminal, and have succeeded for a machine, before it starts. Names of tasks, or of scopes
    /// (which mean everything below them).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// The branch tasks that its failure leads to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on_failure: Vec<TaskName>,
    /// The machines that may enter; absent for a task without targets. Sorted as in the wave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<TargetId>>,
    /// Only those of `targets` that … (branch steps).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Only>,
    /// What it does to machines.
    pub effect: Effect,
    /// Its work.
    pub work: Work,
    /// How long one attempt may take.
    pub timeout: Span,
    /// Attempts and errors.
    pub retry: RetryPolicy,
    /// `when:` over `steps`, to be decided at run time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Skipped at plan time, with the reason: it satisfies `needs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<String>,
    /// A completed one is a backup of its machines.
    #[serde(default, skip_serializing_if = "is_false")]
    pub backs_up: bool,
    /// It restores its machines from the backup that this step made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<StepPath>,
    /// How each of its machines is brought back, if it restores and its action chooses among strategies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<Way>,
    /// What it has to do with the runbook's patchset, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patchset: Option<Part>,
    /// `way_back: none`, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_way_back: Option<String>,
    /// A failure branch that restores covers it: its unknown machines do not hold it open.
    #[serde(default, skip_serializing_if = "is_false")]
    pub restorable: bool,
    /// The parameters that its late expressions and its `when` read, where it stands in a file with parameters of its
    /// own; empty: the plan's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Value>,
    /// How long an unknown machine waits for `runbook resolve`.
    pub resolve_within: Span,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Why a task is in the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A step of the ordinary way.
    Step,
    /// Reached only through `on_failure` of these tasks (or scopes, for a composite's branch).
    Branch {
        /// Tasks or scopes that name it.
        of: Vec<String>,
    },
    /// Verifies what this branch task restored; part of it.
    Verify {
        /// The restoring task.
        of: TaskName,
    },
    /// The wait of a soak.
    SoakWait,
    /// A check repeated after a soak, over every machine of the rollout so far.
    SoakCheck,
    /// The window asked again before a wave.
    Window,
    /// A step of `finally:`.
    Finally,
}

/// Which machines enter a branch task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Only {
    /// On which one of these started and did not succeed (names of tasks or scopes).
    FailedIn(Vec<String>),
    /// On which one of these started (names of tasks or scopes).
    TouchedBy(Vec<String>),
    /// Rollback: every machine that entered a changing task of these and is not restored yet.
    ChangedIn(Vec<String>),
}

/// What a task does when it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// An action.
    Action(Inputs),
    /// The core itself waits.
    Gate(Gate),
}

impl Role {
    /// The names that it mentions.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Branch { of } => of.iter().map(String::as_str).collect(),
            Self::Verify { of } => vec![of.as_str()],
            _ => Vec::new(),
        }
    }
}

impl Only {
    /// The names of tasks or scopes in it.
    pub fn names(&self) -> &[String] {
        let (Self::FailedIn(names) | Self::TouchedBy(names) | Self::ChangedIn(names)) = self;
        names
    }
}

/// The rendered `with:` of an action. What needs `steps`, `run` or `secret()` is still an expression.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// For every machine that is not in `per_target`; defaults of the action are filled in.
    pub shared: BTreeMap<String, Value>,
    /// Where an expression read `target`: the whole map, by machine.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub per_target: BTreeMap<TargetId, BTreeMap<String, Value>>,
    /// The keys whose values still hold expressions for run time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub late: Vec<String>,
}

/// Attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// In all, at least 1.
    pub attempts: u32,
    /// Which errors are tried again; empty: all.
    pub errors: Vec<ErrorClass>,
    /// Before the second attempt; doubled for each further one.
    pub delay: Span,
}
