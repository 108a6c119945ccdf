//! What a run remembers of its tasks, scopes and machines.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{event::Report, layout::TargetIx};
use crate::{
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
};

/// Where a task stands: its `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
pub enum TaskStatus {
    /// Not started.
    #[default]
    Pending,
    /// An attempt works.
    Running,
    /// An attempt worked when the process ended; it is being looked up.
    Interrupted,
    /// A gate is open, another attempt is due later, or a person must say what became of a machine.
    Waiting,
    /// Done on every machine that entered.
    Succeeded,
    /// Done, and not every machine that entered succeeded.
    Failed,
    /// It did not run.
    Skipped,
    /// The run was cancelled first.
    Cancelled,
}

impl TaskStatus {
    /// Nothing more happens in it.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Skipped | Self::Cancelled)
    }

    /// The word used in JSON and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Waiting => "waiting",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a waiting task waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Wait {
    /// An open gate, until then.
    Gate { until: Timestamp },
    /// The next attempt.
    Backoff { at: Timestamp },
    /// A person, until then.
    Operator { until: Timestamp },
}

/// A machine in a task. It is here because it entered, or was refused at the door.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Default)]
#[serde(default)]
pub(super) struct Record {
    /// The latest report; none while the attempt works on it.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) report: Option<Report>,
    /// The start of the latest attempt that it entered.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) began: Option<Timestamp>,
    /// Something may have been applied to it here, in any attempt.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) started: bool,
    /// It failed here for good.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) settled: bool,
    /// An attempt before this one may have applied something.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) applied_before: bool,
    /// A person said how it came out.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) resolved: bool,
    /// Where nobody can say how it came out: what restores stood before it then.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) remedy: Remedy,
}

/// How far an unknown outcome is made good.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Default)]
#[serde(rename_all = "snake_case")]
pub(super) enum Remedy {
    /// Nothing that restores began since.
    #[default]
    None,
    /// A restore began that brings the machine back behind it.
    Begun,
    /// Such a restore worked, and its checks passed.
    Done,
}

impl Record {
    pub(super) fn entered(at: Timestamp) -> Self {
        Self {
            report: None,
            began: Some(at),
            started: true,
            settled: false,
            applied_before: false,
            resolved: false,
            remedy: Remedy::None,
        }
    }

    pub(super) fn succeeded(&self) -> bool {
        self.report.as_ref().is_some_and(|report| report.outcome == Outcome::Succeeded)
    }

    pub(super) fn failed(&self) -> bool {
        self.report.as_ref().is_some_and(|report| report.outcome != Outcome::Succeeded)
    }

    pub(super) fn unknown(&self) -> bool {
        self.report.as_ref().is_some_and(|report| report.outcome == Outcome::Unknown)
    }

    pub(super) fn cause(&self) -> &str {
        self.report.as_ref().and_then(|report| report.cause.as_deref()).unwrap_or("no cause was given")
    }
}

/// What an attempt journaled: intents and checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The latest checkpoint of each key.
    #[serde(skip_serializing_if = "is_usual")]
    pub checkpoints: BTreeMap<String, Value>,
    /// The latest intent of each key.
    #[serde(skip_serializing_if = "is_usual")]
    pub intents: BTreeMap<String, Intent>,
}

/// A call that was about to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// When it was journaled.
    pub at: Timestamp,
    /// The call.
    pub call: String,
    /// Its token.
    pub token: String,
    /// Its machines.
    pub targets: Vec<TargetId>,
}

/// A task.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[serde(default)]
pub(super) struct TaskState {
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) status: TaskStatus,
    /// Nothing that follows it needs to wait any more: it is terminal, its verification too, and no attempt follows.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) settled: bool,
    /// Its failure branches need not wait any more: it is settled, or only a person is waited for.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) released: bool,
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) wait: Option<Wait>,
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) attempt: u32,
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) attempt_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) resumed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "is_true")]
    pub(super) looked_up: bool,
    /// An intent was journaled before the latest resume, and none after it: the work in flight is old.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) old_intent: bool,
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) timed_out: bool,
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) finished_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) records: BTreeMap<TargetIx, Record>,
    /// Machines of the attempt that are not reported yet.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) open: usize,
    /// Machines that failed and are neither settled nor scheduled again: what to decide about.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) undecided: BTreeSet<TargetIx>,
    /// What was reported of a task without targets.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) whole: Option<Report>,
    /// The machines of the scheduled attempt.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) again: Vec<TargetIx>,
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) memory: Memory,
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) outputs: BTreeMap<TargetId, Arc<Value>>,
    /// What the attempt was given of the patchset.
    #[serde(skip)]
    pub(super) patchset: Option<Arc<Value>>,
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) approvals: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) rejected: Option<String>,
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) satisfies: bool,
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) error: Option<String>,
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) class: Option<ErrorClass>,
}

impl Default for TaskState {
    fn default() -> Self {
        Self::new()
    }
}

impl TaskState {
    pub(super) fn new() -> Self {
        Self {
            status: TaskStatus::Pending,
            settled: false,
            released: false,
            wait: None,
            attempt: 0,
            started_at: None,
            attempt_at: None,
            resumed_at: None,
            looked_up: true,
            old_intent: false,
            timed_out: false,
            finished_at: None,
            records: BTreeMap::new(),
            open: 0,
            undecided: BTreeSet::new(),
            whole: None,
            again: Vec::new(),
            memory: Memory::default(),
            outputs: BTreeMap::new(),
            patchset: None,
            approvals: BTreeMap::new(),
            rejected: None,
            satisfies: false,
            error: None,
            class: None,
        }
    }

    pub(super) fn active(&self) -> bool {
        matches!(self.status, TaskStatus::Running | TaskStatus::Interrupted)
    }
}

/// One machine's way through one rollout.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[serde(default)]
pub(super) struct Passage {
    /// It entered a task that may change it.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) touched: bool,
    /// It failed, and counts: outcome and cause.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) failure: Option<(Outcome, String)>,
    /// It counts although it turned out well: the budget was exceeded by then.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) stays_counted: bool,
    /// Its checks passed again after a restore.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) restored: bool,
    /// A step that may change it began, and no restore has begun since.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) changed_again: bool,
    /// The last way back failed too.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) restore_failed: Option<String>,
    /// A branch that does not restore failed on it.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) branch_failed: Option<String>,
    /// Everything of its wave succeeded on it.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) verified: bool,
    /// Its wave was looked at, or had begun, and is over.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) wave_over: bool,
}

impl Passage {
    /// Restored, and not changed since.
    pub(super) fn is_back(&self) -> bool {
        self.restored && !self.changed_again
    }
}

/// A scope.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[serde(default)]
pub(super) struct ScopeState {
    /// Tasks in it and below that are not settled.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) remaining: u32,
    /// Waves: `WaveStarted`; parts and soaks: a task of it started.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) begun: bool,
    /// Waves: `WaveEnded`.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) over: bool,
    /// Waves: when somebody looked at its machines.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) inspected_at: Option<Timestamp>,
    /// Rollouts: machines that failed.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) failures: u32,
    /// Rollouts: over budget.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) exceeded: bool,
    /// Rollouts: why no further wave starts (its window).
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) closed: Option<String>,
    /// Rollouts: a task without targets failed in it.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) broken: Option<String>,
    /// Rollouts: each machine's way, by its place in the scope's machines.
    #[serde(skip_serializing_if = "is_usual")]
    pub(super) passages: Vec<Passage>,
}

/// A notification to be sent.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub(super) struct Notice {
    pub(super) rule: usize,
    #[serde(deserialize_with = "word")]
    pub(super) event: Word,
    pub(super) subject: String,
}

/// What a notice is about.
type Word = &'static str;

/// The events that notices are about.
const NOTICED: [&str; 7] =
    ["run_started", "gate_opened", "wave_started", "wave_failed", "paused", "stuck", "finished"];

fn word<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Word, D::Error> {
    let text = String::deserialize(from)?;
    let known = NOTICED.iter().find(|word| **word == text);
    known.copied().ok_or_else(|| serde::de::Error::custom(format!("no notice is about `{text}`")))
}

fn is_usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_true(value: &bool) -> bool {
    *value
}
