//! Gates: what the core itself waits for.

use serde::{Deserialize, Serialize};

use super::Window;
use crate::duration::Span;

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
