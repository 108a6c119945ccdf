//! What a person may tell a run.

use runbook_engine::ids::{RunId, TargetId, TaskName};
use serde::{Deserialize, Serialize};

/// One thing that a person tells a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// Approve a gate (or confirm a manual one).
    Approve {
        /// The gate; absent: the only open one.
        task: Option<TaskName>,
        /// Comment or evidence.
        note: Option<String>,
    },
    /// Reject a gate.
    Reject {
        /// The gate; absent: the only open one.
        task: Option<TaskName>,
        /// Why.
        note: Option<String>,
    },
    /// Start nothing more, but branches.
    Pause {
        /// Why.
        cause: Option<String>,
    },
    /// Go on.
    Unpause,
    /// Take machines out, before their first changing task.
    Exclude {
        /// Which.
        targets: Vec<TargetId>,
        /// Why.
        because: Option<String>,
    },
    /// End the run.
    Cancel {
        /// Restore what was changed, else leave it.
        restore: bool,
        /// Why.
        cause: Option<String>,
    },
    /// Say what became of an unknown machine, or what a stuck run left.
    Resolve {
        /// The task whose outcome is unknown; absent: the only one, or the state after a stuck run.
        task: Option<TaskName>,
        /// The machine; absent for a task without targets.
        target: Option<TargetId>,
        /// Whether the effect was applied; needed while the run is unfinished.
        applied: Option<bool>,
        /// What was seen.
        note: Option<String>,
    },
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The run.
    pub run: RunId,
    /// One sentence for a person.
    pub message: String,
    /// The next command to type.
    pub next: Option<String>,
}
