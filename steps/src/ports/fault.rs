//! What a call to the outside world can answer instead of a result.

use std::{error::Error, fmt};

use runbook_engine::outcome::ErrorClass;

/// A call that gave no result (error classes of AWS and of the network).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The call, in the service's words: `ssm:SendCommand`.
    pub call: &'static str,
    /// What kind of fault.
    pub kind: FaultKind,
    /// The service's code (`ThrottlingException`), if it sent one.
    pub code: Option<String>,
    /// What to tell a person, one lower-case sentence without secrets.
    pub message: String,
}

impl Error for Fault {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, message, .. } = self;
        match self.kind {
            // AWS does not always say which right; a host does.
            FaultKind::Denied if !call.starts_with("ssh:") => {
                write!(f, "{call} is not allowed: {message}; see what is needed: `runbook iam-policy FILE`")
            }
            _ => write!(f, "{call}: {message}"),
        }
    }
}

/// Kinds of fault: what a caller may do next depends on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Rate limit: not executed; try again later.
    Throttled,
    /// The answer is lost, or the service failed: a write may have been executed. Look before repeating.
    Ambiguous,
    /// Never sent (no connection, no name): not executed.
    NotSent,
    /// The resource is in use.
    Busy,
    /// No room now.
    Capacity,
    /// A quota: a person must act.
    Quota,
    /// Expired or wrong credentials: a person must act; remote work goes on.
    Credentials,
    /// A right is missing.
    Denied,
    /// It does not exist (perhaps not yet).
    NotFound,
    /// The machine cannot take it (not registered, agent down).
    Target,
    /// The server does not know this operation.
    Unsupported,
    /// The request is wrong: our bug or a wrong input.
    Invalid,
}

impl FaultKind {
    /// The class that `retry.errors` knows it by.
    pub fn class(self) -> ErrorClass {
        match self {
            Self::Throttled => ErrorClass::Throttled,
            Self::Ambiguous | Self::NotSent => ErrorClass::Transient,
            Self::Busy => ErrorClass::Busy,
            Self::Capacity | Self::Quota => ErrorClass::Capacity,
            Self::Target => ErrorClass::Undeliverable,
            Self::Credentials | Self::Denied | Self::NotFound | Self::Unsupported | Self::Invalid => {
                ErrorClass::Failed
            }
        }
    }
}
