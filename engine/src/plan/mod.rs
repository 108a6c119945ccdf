//! The plan: every task for every machine, frozen, with a digest.

mod canonical;
mod draft;
mod drawing;
mod drift;
mod expand;
mod expected;
mod fitting;
mod gate;
mod graph;
mod link;
mod linked;
mod machines;
mod making;
mod problems;
mod reading;
mod render;
mod roll;
mod rollback;
mod room;
mod scope;
mod selection;
mod share;
mod soak;
mod summary;
mod task;
mod verify;
mod waves;
mod way_back;
mod window;
mod work;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::{
    canonical::PlanError,
    expected::{Estimate, Expected, Timetable},
    gate::{Gate, OnExpiry, OnReject},
    graph::{Edge, Graph, Point},
    linked::rollback_of,
    making::{Making, Refusal, make},
    render::TargetWords,
    room::Room,
    scope::{Scope, ScopeKind},
    selection::queries,
    task::{Inputs, Only, RetryPolicy, Role, Task, Work},
    way_back::Way,
    window::{Opening, Window, WindowError},
};
use crate::{
    experience::Experience,
    ids::{GroupName, RunId, StepPath, TargetId},
    patchset::Patchset,
    target::{Target, TargetQuery},
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
    /// How long its actions took in earlier runs, as far as it was known when it was made.
    #[serde(default, skip_serializing_if = "Experience::is_empty")]
    pub experience: Experience,
    /// Machines of each used group, in wave order.
    pub groups: BTreeMap<GroupName, Vec<TargetId>>,
    /// How the machines were chosen: what to ask again to see whether the fleet is still the planned one.
    #[serde(default)]
    pub selection: Selection,
    /// Every machine that takes part.
    pub targets: BTreeMap<TargetId, Arc<Target>>,
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
    /// Which step tests the patches that the others install.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patchset: Option<Patchset>,
    /// The finished run that this one rolls back or retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Link>,
    /// Outputs of that run's steps, by step and machine: where its backups are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub carried: BTreeMap<StepPath, BTreeMap<TargetId, Value>>,
}

/// How a plan's machines were chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// What the inventories were asked, by group.
    pub queries: BTreeMap<GroupName, TargetQuery>,
    /// Groups computed from others. One that stands in `queries` too starts from that answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub combined: BTreeMap<GroupName, Combination>,
    /// `--limit`: groups and ids; empty: no limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limit: Vec<String>,
}

/// A group computed from others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Combination {
    /// Machines that are in each of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub all_of: Vec<GroupName>,
    /// And in none of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub minus: Vec<GroupName>,
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

/// One rule of `notify:`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotifyRule {
    /// Event words.
    pub events: Vec<String>,
    /// Inputs of `notify/webhook`.
    pub inputs: Inputs,
}
