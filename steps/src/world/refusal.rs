//! Refusals in the services' own words.

use crate::ports::fault::{Fault, FaultKind};

/// A refusal with this code, of the kind that a client takes the code for (facts: Error codes).
pub(super) fn refused(call: &'static str, code: &str, message: impl Into<String>) -> Fault {
    Fault { call, kind: kind(code), code: Some(code.to_owned()), message: message.into() }
}

fn kind(code: &str) -> FaultKind {
    match code {
        "RequestLimitExceeded" | "ThrottlingException" => FaultKind::Throttled,
        "InternalError" | "InternalServerError" | "ServiceUnavailableException" => FaultKind::Ambiguous,
        "ConcurrentSnapshotLimitExceeded"
        | "SnapshotCreationPerVolumeRateExceeded"
        | "IncorrectState"
        | "IncorrectInstanceState"
        | "VolumeInUse" => FaultKind::Busy,
        "InsufficientInstanceCapacity" | "InsufficientVolumeCapacity" => FaultKind::Capacity,
        "SnapshotLimitExceeded"
        | "PendingSnapshotLimitExceeded"
        | "VolumeLimitExceeded"
        | "AttachmentLimitExceeded"
        | "LimitExceededException" => FaultKind::Quota,
        "ExpiredTokenException" | "RequestExpired" => FaultKind::Credentials,
        "AccessDeniedException" | "UnauthorizedOperation" => FaultKind::Denied,
        "InvocationDoesNotExist" | "InvalidCommandId" | "ResourceNotFoundException" | "ResourceNotFound" => {
            FaultKind::NotFound
        }
        "InvalidInstanceId" => FaultKind::Target,
        code if code.ends_with(".NotFound") => FaultKind::NotFound,
        _ => FaultKind::Invalid,
    }
}
