//! SDK errors as the port's faults. Many codes are not modelled by the SDK, and EC2 models none, so the code decides.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ssm::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use runbook_steps::ports::fault::{Fault, FaultKind};

/// What an SDK error means to a caller.
pub(crate) fn fault<E>(call: &'static str, error: &SdkError<E, HttpResponse>) -> Fault
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let SdkError::ServiceError(answer) = error {
        let code = answer.err().code();
        let message = answer.err().message().unwrap_or_default();
        let kind = kind(code.unwrap_or_default(), message, answer.raw().status().as_u16());
        return Fault { call, kind, code: code.map(str::to_owned), message: sentence(kind, code, message) };
    }
    let (kind, message) = if let Some(cause) = in_chain::<CredentialsError>(error) {
        (FaultKind::Credentials, sentence(FaultKind::Credentials, None, &chain(cause)))
    } else {
        match error {
            SdkError::ConstructionFailure(_) => {
                (FaultKind::Invalid, format!("not sent: {}", innermost(error)))
            }
            _ if never_connected(error) => {
                (FaultKind::NotSent, format!("no connection: {}", innermost(error)))
            }
            SdkError::TimeoutError(_) => (FaultKind::Ambiguous, "no answer in time".into()),
            SdkError::ResponseError(_) => {
                (FaultKind::Ambiguous, format!("the answer cannot be read: {}", innermost(error)))
            }
            _ => (FaultKind::Ambiguous, format!("the answer is lost: {}", innermost(error))),
        }
    };
    Fault { call, kind, code: None, message }
}

/// A fault of our own: the request is wrong.
pub(crate) fn invalid(call: &'static str, message: impl Into<String>) -> Fault {
    Fault { call, kind: FaultKind::Invalid, code: None, message: message.into() }
}

/// The kind by the service's code, its message and the HTTP status.
fn kind(code: &str, message: &str, status: u16) -> FaultKind {
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
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "OptInRequired" => {
            FaultKind::Denied
        }
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

/// One lower-case sentence for a person, with the next thing to do where there is one.
fn sentence(kind: FaultKind, code: Option<&str>, message: &str) -> String {
    // EC2 hangs some kilobytes of encoded detail on a refusal.
    let message = message.split("Encoded authorization failure message").next().unwrap_or_default();
    let message = message.trim().trim_end_matches('.');
    let mut text: String = message.chars().take(500).collect();
    if text.is_empty() {
        text = code.unwrap_or("the service gave no reason").to_owned();
    } else if text.chars().nth(1).is_some_and(|second| second.is_lowercase() || second == ' ') {
        text = text.chars().take(1).flat_map(char::to_lowercase).chain(text.chars().skip(1)).collect();
    }
    if kind == FaultKind::Credentials {
        text.push_str("; renew the credentials (`aws sso login`, AWS_PROFILE) and check the clock");
    }
    text
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn in_chain<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    sources(error).find_map(|error| error.downcast_ref::<E>())
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    sources(error).last().map(ToString::to_string).unwrap_or_default()
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = sources(error).map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}

/// No connection was made, so nothing was sent. Only hyper can tell this from a connection that broke.
fn never_connected(error: &(dyn Error + 'static)) -> bool {
    in_chain::<hyper_util::client::legacy::Error>(error)
        .is_some_and(hyper_util::client::legacy::Error::is_connect)
}

#[cfg(test)]
mod tests {
    use runbook_steps::ports::fault::FaultKind;

    use super::{kind, sentence};

    #[test]
    fn a_code_decides_before_the_status_does() {
        for (code, status, expected) in [
            ("ThrottlingException", 400, FaultKind::Throttled),
            ("RequestLimitExceeded", 503, FaultKind::Throttled),
            ("", 429, FaultKind::Throttled),
            ("InternalServerError", 500, FaultKind::Ambiguous),
            ("", 500, FaultKind::Ambiguous),
            ("", 503, FaultKind::Ambiguous),
            ("InvalidAction", 400, FaultKind::Unsupported),
            ("UnknownOperationException", 400, FaultKind::Unsupported),
            ("InvalidInstanceId", 400, FaultKind::Target),
            ("InvalidInstanceID.NotFound", 400, FaultKind::NotFound),
            ("InvalidInstanceID.Malformed", 400, FaultKind::Invalid),
            ("InvocationDoesNotExist", 400, FaultKind::NotFound),
            ("UnauthorizedOperation", 403, FaultKind::Denied),
            ("AccessDeniedException", 400, FaultKind::Denied),
            ("ExpiredTokenException", 400, FaultKind::Credentials),
            ("IncorrectInstanceState", 400, FaultKind::Busy),
            ("SnapshotLimitExceeded", 400, FaultKind::Quota),
            ("InsufficientInstanceCapacity", 500, FaultKind::Capacity),
            ("ValidationException", 400, FaultKind::Invalid),
            ("SomethingNew", 400, FaultKind::Invalid),
        ] {
            assert_eq!(kind(code, "", status), expected, "{code} {status}");
        }
        assert_eq!(kind("ValidationException", "Rate exceeded", 400), FaultKind::Throttled);
    }

    #[test]
    fn a_message_is_one_lower_case_sentence() {
        assert_eq!(
            sentence(FaultKind::Throttled, Some("ThrottlingException"), "Rate exceeded."),
            "rate exceeded"
        );
        assert_eq!(sentence(FaultKind::Invalid, Some("ValidationException"), ""), "ValidationException");
        assert_eq!(
            sentence(
                FaultKind::Denied,
                Some("UnauthorizedOperation"),
                "You are not authorized to perform this operation. Encoded authorization failure message: abc"
            ),
            "you are not authorized to perform this operation"
        );
        assert_eq!(
            sentence(FaultKind::Credentials, Some("ExpiredToken"), "The security token is expired"),
            "the security token is expired; renew the credentials (`aws sso login`, AWS_PROFILE) and check the clock"
        );
    }
}
