//! How an attempt, and a machine, can come out.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an action reports of one target (or of itself, when it has none).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done, and known to be done.
    Succeeded,
    /// The remote side says that it did not work.
    Failed,
    /// The machine could not be spoken to.
    Unreachable,
    /// The deadline passed, and the remote side is known to have ended.
    TimedOut,
    /// Nobody can say whether the effect took place; a person must (`runbook resolve`).
    Unknown,
}

impl Outcome {
    /// The word used in JSON and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why an attempt did not succeed, as far as `retry.errors` distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The service refused for its rate limit: nothing was applied.
    Throttled,
    /// The command never reached the machine: nothing was applied.
    Undeliverable,
    /// A passing fault of the service or the network.
    Transient,
    /// The resource is in use or in a state that passes.
    Busy,
    /// There is no room for it now.
    Capacity,
    /// The deadline of the attempt passed.
    TimedOut,
    /// Everything else.
    Failed,
}

impl ErrorClass {
    /// Every class, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Throttled,
        Self::Undeliverable,
        Self::Transient,
        Self::Busy,
        Self::Capacity,
        Self::TimedOut,
        Self::Failed,
    ];

    /// The word used in `retry.errors`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Undeliverable => "undeliverable",
            Self::Transient => "transient",
            Self::Busy => "busy",
            Self::Capacity => "capacity",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
        }
    }

    /// Whether this class proves that nothing was applied, so that the step did not *start* on the machine.
    pub fn proves_nothing_applied(self) -> bool {
        matches!(self, Self::Throttled | Self::Undeliverable)
    }
}

/// Where a machine stands, in the run as a whole (docs/words.md: outcomes of a target).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetOutcome {
    /// Its first task has not started.
    Pending,
    /// A task works on it.
    InProgress,
    /// Everything planned for it is done.
    Succeeded,
    /// A task failed on it.
    Failed,
    /// It could not be spoken to.
    Unreachable,
    /// A task did not end on it in time.
    TimedOut,
    /// Nobody can say what was applied.
    Unknown,
    /// It failed, was restored, and its checks passed again.
    Restored,
    /// It failed, and the last way back failed too.
    RestoreFailed,
    /// No changing task was entered.
    NotStarted,
    /// A person took it out before anything was changed.
    Excluded,
}

impl TargetOutcome {
    /// The word used in JSON and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InProgress => "in_progress",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Unknown => "unknown",
            Self::Restored => "restored",
            Self::RestoreFailed => "restore_failed",
            Self::NotStarted => "not_started",
            Self::Excluded => "excluded",
        }
    }
}

impl fmt::Display for TargetOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a step does to machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing.
    Reads,
    /// It changes machines and needs a way back.
    Changes,
    /// It may change machines (scripts); the author has not said.
    Unknown,
}

impl Effect {
    /// Whether budgets, windows, pauses and the one-run-per-machine rule treat it as changing.
    pub fn may_change(self) -> bool {
        !matches!(self, Self::Reads)
    }

    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Changes => "changes",
            Self::Unknown => "unknown",
        }
    }
}
