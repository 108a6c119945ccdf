//! An event that does not fit the state: nothing of it was applied.

use thiserror::Error;

/// Why an event cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct IllegalEvent(pub(super) String);

impl IllegalEvent {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}
