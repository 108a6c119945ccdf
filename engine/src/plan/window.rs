//! Windows: when something may start.

use serde::{Deserialize, Serialize};

use crate::duration::Span;

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
