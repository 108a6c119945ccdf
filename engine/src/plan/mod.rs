//! The plan: every task for every machine, frozen, with a digest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    duration::Span,
    ids::{ActionName, GroupName, RunId, ScopeName, StepPath, TargetId, TaskName},
    outcome::{Effect, ErrorClass},
    target::Target,
};

/// The format of plans that this version writes.
pub const PLAN_FORMAT: u32 = 1;

/// A frozen plan: runbook × parameters × resolved targets. It holds no time, run id or secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// The runbook's name.
    pub runbook: String,
    /// Its description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Every file that it was read from, by name; the first key of `entry` is the runbook itself.
    pub sources: BTreeMap<String, String>,
    /// The name of the runbook's own file in `sources`.
    pub entry: String,
    /// Parameter values.
    pub params: BTreeMap<String, Value>,
    /// Allow-listed environment variables that were set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Machines of each used group, in wave order.
    pub groups: BTreeMap<GroupName, Vec<TargetId>>,
    /// Every machine that takes part.
    pub targets: BTreeMap<TargetId, Target>,
    /// What starts and ends as a whole, parents before children, in order of execution.
    pub scopes: Vec<Scope>,
    /// Every task, in an order in which each stands behind what it needs.
    pub tasks: Vec<Task>,
    /// Tasks that only `cancel --restore` and `on_reject: rollback` bring to life, newest wave first; their scopes
    /// are of the kind [`ScopeKind::Rollback`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rollback: Vec<Task>,
    /// Who is told what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<NotifyRule>,
    /// The finished run that this one rolls back or retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
    /// Outputs of that run's steps, by step and machine: where its backups are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub carried: BTreeMap<StepPath, BTreeMap<TargetId, Value>>,
}

/// Why a run was planned from another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The other run.
    pub run: RunId,
    /// What this one does for it.
    pub kind: LinkKind,
}

/// What a linked run does for the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// Restores what it changed.
    Rollback,
    /// Runs it for its failed and not-started machines.
    Retry,
}

/// A part of the plan that starts and ends as a whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    /// Its name; the root's is empty.
    pub name: ScopeName,
    /// What it stands in; absent for the root only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ScopeName>,
    /// What it is.
    pub kind: ScopeKind,
    /// The sibling that must have ended before anything in here starts (waves, parts, soak, finally, rollback).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ScopeName>,
}

/// What a scope is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeKind {
    /// The whole plan.
    Root,
    /// One step of the author's with its machines: a composite, or a plain step with targets. Its budget counts here.
    Rollout {
        /// The step.
        step: StepPath,
        /// Its machines, in wave order; empty for a composite without targets.
        targets: Vec<TargetId>,
        /// How many of them may fail.
        max_failures: u32,
    },
    /// One wave of a rollout.
    Wave {
        /// From 1.
        number: u32,
        /// How many there are.
        of: u32,
        /// Its machines.
        targets: Vec<TargetId>,
    },
    /// A consecutive part of a wave (`max_in_flight`).
    Part {
        /// From 1.
        number: u32,
        /// Its machines.
        targets: Vec<TargetId>,
    },
    /// The soak after a wave (a child of the rollout, `after` the wave): its wait, its checks, its branch.
    Soak {
        /// The wave.
        wave: u32,
    },
    /// `finally:`.
    Finally,
    /// What undoes one wave or part (a child of the root).
    Rollback {
        /// The wave's or part's scope that it undoes.
        undoes: ScopeName,
    },
}

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
    /// `way_back: none`, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_way_back: Option<String>,
    /// A failure branch that restores covers it: its unknown machines do not hold it open.
    #[serde(default, skip_serializing_if = "is_false")]
    pub restorable: bool,
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

/// The rendered `with:` of an action. What needs `steps`, `run` or `secret()` is still an expression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// A wait for a person, a time or a condition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Gate {
    /// `gate/approval`.
    Approval {
        /// Unix users, and groups as `group:NAME`.
        approvers: Vec<String>,
        /// How many different people.
        quorum: u32,
        /// How long it stays open.
        expires: Span,
        /// What expiry does.
        on_expiry: OnExpiry,
        /// What a rejection does.
        on_reject: OnReject,
    },
    /// `gate/wait` for a time, and every soak.
    WaitFor {
        /// How long.
        span: Span,
    },
    /// `gate/wait` until a moment.
    WaitUntil {
        /// RFC 3339.
        until: jiff::Timestamp,
    },
    /// `gate/window`.
    Window(Window),
    /// `gate/manual`.
    Manual {
        /// What to do.
        instructions: String,
        /// What to write down; absent: nothing is asked for.
        evidence: Option<String>,
    },
}

/// `on_expiry:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExpiry {
    /// The gate fails.
    Fail,
    /// The run pauses.
    Pause,
}

/// `on_reject:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnReject {
    /// The gate fails.
    Fail,
    /// The gate fails, and what was changed is restored, newest wave first.
    Rollback,
}

/// When something may start. The computations are in `plan/window.rs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Openings: five cron fields.
    pub cron: String,
    /// How long each stays open.
    pub duration: Span,
    /// IANA name.
    pub timezone: String,
    /// Nothing starts in the last part of it; shorter than `duration`.
    pub cutoff: Span,
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

/// One rule of `notify:`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotifyRule {
    /// Event words.
    pub events: Vec<String>,
    /// Inputs of `notify/webhook`.
    pub inputs: Inputs,
}
