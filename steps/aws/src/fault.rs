//! SDK errors as the port's faults. Many codes are not modelled by the SDK, and EC2 models none, so the code decides.

use std::{error::Error, time::Duration};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ssm::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_smithy_runtime_api::client::result::ConnectorError;
use runbook_steps::ports::fault::{Fault, FaultKind};

use crate::error_code::kind;

/// What an SDK error means to a caller.
pub(crate) fn fault<E>(call: &'static str, error: &SdkError<E, HttpResponse>) -> Fault
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let SdkError::ServiceError(answer) = error {
        let code = answer.err().code();
        let message = answer.err().message().unwrap_or_default();
        let kind = kind(code.unwrap_or_default(), message, answer.raw().status().as_u16());
        return Fault { call, kind, code: code.map(str::to_owned), message: sentence(code, message) };
    }
    let (kind, message) = if let Some(cause) = in_chain::<CredentialsError>(error) {
        (unsigned(cause), sentence(None, &chain(cause)))
    } else {
        match error {
            SdkError::ConstructionFailure(_) => {
                (FaultKind::Invalid, format!("not sent: {}", innermost(error)))
            }
            _ if never_connected(error) => {
                (FaultKind::NotSent, format!("no connection: {}", innermost(error)))
            }
            SdkError::TimeoutError(_) => (FaultKind::Ambiguous, "no answer in time".into()),
            SdkError::ResponseError(answer) => {
                let status = answer.raw().status().as_u16();
                let message = format!("the answer ({status}) cannot be read: {}", innermost(error));
                // A proxy on the way has a language of its own, but refuses like everybody else.
                let refused = matches!(status, 401 | 403 | 429 | 501);
                (if refused { kind("", "", status) } else { FaultKind::Ambiguous }, message)
            }
            _ => (FaultKind::Ambiguous, format!("the answer is lost: {}", innermost(error))),
        }
    };
    Fault { call, kind, code: None, message }
}

/// There were no credentials to sign the call with, so it was not sent. Who hands them out may be busy or out of reach
/// for a moment, which is no person's matter; a refusal is.
fn unsigned(cause: &CredentialsError) -> FaultKind {
    let assumed = in_chain::<SdkError<AssumeRoleError, HttpResponse>>(cause);
    match (assumed.map(|error| fault("sts:AssumeRole", error).kind), cause) {
        (Some(FaultKind::Throttled), _) => FaultKind::Throttled,
        (Some(FaultKind::Ambiguous | FaultKind::NotSent), _) | (_, CredentialsError::ProviderTimedOut(_)) => {
            FaultKind::NotSent
        }
        // Where nobody was found who has credentials, a metadata service that is not there is in the chain as well.
        (None, CredentialsError::ProviderError(_)) if in_chain::<ConnectorError>(cause).is_some() => {
            FaultKind::NotSent
        }
        _ => FaultKind::Credentials,
    }
}

/// How long the service wants to be left alone, if it says so (in milliseconds, like the SDK's own retries read it).
/// More than a minute is taken as a minute: nobody would know why nothing happens.
pub(crate) fn retry_after<E>(error: &SdkError<E, HttpResponse>) -> Option<Duration> {
    let SdkError::ServiceError(answer) = error else { return None };
    let milliseconds = answer.raw().headers().get("x-amz-retry-after")?.trim().parse().ok()?;
    Some(Duration::from_millis(milliseconds).min(Duration::from_secs(60)))
}

/// A fault of our own: the request is wrong.
pub(crate) fn invalid(call: &'static str, message: impl Into<String>) -> Fault {
    Fault { call, kind: FaultKind::Invalid, code: None, message: message.into() }
}

/// One lower-case sentence for a person.
fn sentence(code: Option<&str>, message: &str) -> String {
    // EC2 hangs some kilobytes of encoded detail on a refusal.
    let message = message.split("Encoded authorization failure message").next().unwrap_or_default();
    let message = message.trim().trim_end_matches('.');
    let mut text: String = message.chars().take(500).collect();
    if text.is_empty() {
        text = code.unwrap_or("the service gave no reason").to_owned();
    } else if text.chars().nth(1).is_some_and(|second| second.is_lowercase() || second == ' ') {
        text = text.chars().take(1).flat_map(char::to_lowercase).chain(text.chars().skip(1)).collect();
    }
    text
}

/// The answer of a call that writes does not name what it made: it may have been carried out.
pub(crate) fn incomplete(call: &'static str, what: &str) -> Fault {
    let message = format!("the answer names no {what}");
    Fault { call, kind: FaultKind::Ambiguous, code: None, message }
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
    use super::sentence;

    #[test]
    fn a_message_is_one_lower_case_sentence() {
        assert_eq!(sentence(Some("ThrottlingException"), "Rate exceeded."), "rate exceeded");
        assert_eq!(sentence(Some("ValidationException"), ""), "ValidationException");
        assert_eq!(
            sentence(
                Some("UnauthorizedOperation"),
                "You are not authorized to perform this operation. Encoded authorization failure message: abc"
            ),
            "you are not authorized to perform this operation"
        );
    }
}
