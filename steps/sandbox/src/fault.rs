//! Why a call has no result, before a service puts it into its own format.

use runbook_steps::ports::fault::{Fault, FaultKind};

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The service says no.
    Refused(Refusal),
    /// The request or its answer is lost on the way: nothing is sent back.
    Lost,
}

/// An error of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The service's code: `ThrottlingException`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

impl Refusal {
    /// A wrong request: HTTP 400.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: 400, code: code.into(), message: message.into() }
    }

    /// The same with another HTTP status.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        let service = fault.call.split(':').next().unwrap_or_default();
        let Some(code) = fault.code else {
            return match fault.kind {
                FaultKind::Ambiguous | FaultKind::NotSent => Self::Lost,
                FaultKind::Unsupported => Refusal::new("UnknownOperationException", fault.message).into(),
                // The world says a code with every refusal of a service; what has none is our own failure.
                _ => Refusal::new("InternalFailure", fault.message).status(500).into(),
            };
        };
        // EC2 throttles with 503, SSM and AWS Backup with 400 (facts: Error codes).
        let status = match (fault.kind, service) {
            (FaultKind::Ambiguous, _) => 500,
            (FaultKind::Throttled, "ec2") => 503,
            (FaultKind::Denied, "ssm") => 400,
            (FaultKind::Denied, _) => 403,
            (FaultKind::Credentials, "ssm") => 400,
            (FaultKind::Credentials, _) => 401,
            (FaultKind::Capacity, "ec2") => 500,
            (FaultKind::NotFound, "cloudwatch") => 404,
            _ => 400,
        };
        Self::Refused(Refusal { status, code, message: fault.message })
    }
}
