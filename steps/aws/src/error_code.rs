//! The codes of AWS's errors, and what each means to a caller.
//!
//! Sources: the service models and the developer guides' lists of errors (EC2: "Error codes for the Amazon EC2 API").

use runbook_steps::ports::fault::FaultKind;

/// The kind by the service's code, its message and the HTTP status.
pub(crate) fn kind(code: &str, message: &str, status: u16) -> FaultKind {
    match code {
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "EC2ThrottledException"
        | "TooManyRequests"
        | "TooManyRequestsException"
        | "ProvisionedThroughputExceededException"
        | "BandwidthLimitExceeded"
        | "SlowDown"
        | "PriorRequestNotComplete"
        | "RateExceeded" => FaultKind::Throttled,
        "ConcurrentSnapshotLimitExceeded"
        | "SnapshotCreationPerVolumeRateExceeded"
        | "IncorrectState"
        | "IncorrectInstanceState"
        | "VolumeInUse"
        | "ResourceContentionFault"
        | "ConcurrentTagAccess"
        | "TooManyUpdates" => FaultKind::Busy,
        "InsufficientInstanceCapacity"
        | "InsufficientVolumeCapacity"
        | "InsufficientFreeAddressesInSubnet" => FaultKind::Capacity,
        "SnapshotLimitExceeded"
        | "PendingSnapshotLimitExceeded"
        | "VolumeLimitExceeded"
        | "VcpuLimitExceeded"
        | "ResourceLimitExceeded"
        | "AttachmentLimitExceeded"
        | "TagLimitExceeded"
        | "AutomationExecutionLimitExceededException"
        | "LimitExceededException"
        | "OpsItemLimitExceededException" => FaultKind::Quota,
        // `RequestExpired` also means a clock that is off by more than 15 minutes.
        "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "AuthFailure"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "IncompleteSignature" => FaultKind::Credentials,
        "AccessDenied"
        | "AccessDeniedException"
        | "UnauthorizedOperation"
        | "OptInRequired"
        | "RegionDisabledException" => FaultKind::Denied,
        // AWS Backup has no code of its own for a resource that is being backed up.
        "InvalidRequestException" if message.contains("already running") => FaultKind::Busy,
        "InvocationDoesNotExist" | "NotFoundException" | "ResourceNotFoundException" | "InvalidCommandId" => {
            FaultKind::NotFound
        }
        "InvalidInstanceId" => FaultKind::Target,
        "InvalidAction" | "UnknownOperation" | "UnknownOperationException" | "NotImplemented" => {
            FaultKind::Unsupported
        }
        "InternalServerError"
        | "InternalServerException"
        | "InternalError"
        | "InternalFailure"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "Unavailable"
        | "ServerInternal"
        | "HealthUnavailableException"
        | "DependencyFailureException"
        | "RequestTimeout"
        | "RequestTimeoutException" => FaultKind::Ambiguous,
        code if code.ends_with(".NotFound") => FaultKind::NotFound,
        _ if message.contains("Rate exceeded") || message.contains("RateExceeded") || status == 429 => {
            FaultKind::Throttled
        }
        _ if status == 501 => FaultKind::Unsupported,
        _ if status >= 500 => FaultKind::Ambiguous,
        _ if status == 401 || status == 403 => FaultKind::Denied,
        _ => FaultKind::Invalid,
    }
}

#[cfg(test)]
mod tests {
    use runbook_steps::ports::fault::FaultKind::{
        self, Ambiguous, Busy, Capacity, Credentials, Denied, Invalid, NotFound, Quota, Target, Throttled,
        Unsupported,
    };

    use super::kind;

    const CODES: &[(FaultKind, u16, &[&str])] = &[
        (
            Throttled,
            400,
            &[
                "ThrottlingException",
                "Throttling",
                "ThrottledException",
                "RequestThrottled",
                "RequestThrottledException",
                "TooManyRequestsException",
                "ProvisionedThroughputExceededException",
                "BandwidthLimitExceeded",
                "SlowDown",
                "PriorRequestNotComplete",
                "RateExceeded",
            ],
        ),
        // EC2 says it with the status of a failure.
        (Throttled, 503, &["RequestLimitExceeded", "EC2ThrottledException"]),
        (Throttled, 429, &[""]),
        (
            Ambiguous,
            500,
            &[
                "",
                "InternalServerError",
                "InternalError",
                "InternalFailure",
                "ServerInternal",
                "HealthUnavailableException",
                "DependencyFailureException",
            ],
        ),
        (Ambiguous, 502, &[""]),
        (Ambiguous, 503, &["", "ServiceUnavailable", "ServiceUnavailableException", "Unavailable"]),
        (Ambiguous, 504, &[""]),
        (
            NotFound,
            400,
            &[
                "InvocationDoesNotExist",
                "InvalidInstanceID.NotFound",
                "InvalidVolume.NotFound",
                "InvalidSnapshot.NotFound",
                "InvalidAMIID.NotFound",
                "ResourceNotFoundException",
            ],
        ),
        (
            Busy,
            400,
            &[
                "ConcurrentSnapshotLimitExceeded",
                "SnapshotCreationPerVolumeRateExceeded",
                "IncorrectState",
                "IncorrectInstanceState",
                "VolumeInUse",
                "ResourceContentionFault",
                "ConcurrentTagAccess",
                "TooManyUpdates",
            ],
        ),
        // A full data centre is no failure whose outcome nobody knows.
        (
            Capacity,
            500,
            &[
                "InsufficientInstanceCapacity",
                "InsufficientVolumeCapacity",
                "InsufficientFreeAddressesInSubnet",
            ],
        ),
        (
            Quota,
            400,
            &[
                "SnapshotLimitExceeded",
                "PendingSnapshotLimitExceeded",
                "VolumeLimitExceeded",
                "VcpuLimitExceeded",
                "ResourceLimitExceeded",
                "AttachmentLimitExceeded",
                "TagLimitExceeded",
                "AutomationExecutionLimitExceededException",
                // Of AWS Backup. The SDK takes it for a rate.
                "LimitExceededException",
                "OpsItemLimitExceededException",
            ],
        ),
        (
            Credentials,
            403,
            &[
                "ExpiredToken",
                "ExpiredTokenException",
                "RequestExpired",
                "InvalidClientTokenId",
                "UnrecognizedClientException",
                "AuthFailure",
                "SignatureDoesNotMatch",
            ],
        ),
        (Denied, 403, &["", "AccessDenied", "AccessDeniedException", "UnauthorizedOperation"]),
        // Systems Manager's own spelling, without a suffix.
        (Target, 400, &["InvalidInstanceId"]),
        (
            Invalid,
            400,
            &[
                "InvalidParameters",
                "InvalidParameterValue",
                "InvalidDocument",
                "ValidationException",
                "MissingParameter",
                "UnsupportedOperation",
                "IdempotentParameterMismatch",
                "InvalidInstanceID.Malformed",
                "InvalidRequestException",
                "SomethingNew",
            ],
        ),
        (Unsupported, 400, &["InvalidAction", "UnknownOperationException"]),
        (Unsupported, 501, &[""]),
    ];

    #[test]
    fn every_code_has_its_kind_whatever_the_status() {
        for (expected, status, codes) in CODES {
            for code in *codes {
                assert_eq!(kind(code, "", *status), *expected, "{code} {status}");
            }
        }
    }

    #[test]
    fn a_message_decides_where_the_code_says_too_little() {
        assert_eq!(kind("ValidationException", "Rate exceeded", 400), Throttled);
        let running = "A backup job is already running for this resource";
        assert_eq!(kind("InvalidRequestException", running, 400), Busy);
    }
}
