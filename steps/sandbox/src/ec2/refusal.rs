//! EC2's errors: the HTTP status that goes with each code.

use crate::fault::Refusal;

/// An error with the status that EC2 sends with this code.
pub(super) fn refused(code: &str, message: impl Into<String>) -> Refusal {
    Refusal::new(code, message).status(status(code))
}

/// What is answered to a dry run of an operation that would have been carried out.
pub(super) fn dry_run() -> Refusal {
    refused("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
}

/// What is answered when some of the asked for resources do not exist: `The volume 'vol-1' does not exist.`
pub(super) fn not_found(code: &str, kind: &str, ids: &[&str]) -> Refusal {
    let (number, verb) = if ids.len() == 1 { ("", "does") } else { ("s", "do") };
    refused(code, format!("The {kind}{number} '{}' {verb} not exist.", ids.join(", ")))
}

/// The status of a code: those of the caller's doing are 400, but for a few ("Error codes for the Amazon EC2 API").
fn status(code: &str) -> u16 {
    match code {
        "AuthFailure" => 401,
        "UnauthorizedOperation" => 403,
        "DryRunOperation" => 412,
        "InternalError" | "InternalFailure" => 500,
        "InsufficientInstanceCapacity" | "InsufficientVolumeCapacity" => 500,
        "RequestLimitExceeded" | "EC2ThrottledException" | "Unavailable" | "ServiceUnavailable" => 503,
        _ => 400,
    }
}

#[cfg(test)]
mod tests {
    use super::{not_found, refused};

    #[test]
    fn statuses_go_with_codes() {
        for (code, status) in [
            ("RequestLimitExceeded", 503),
            ("DryRunOperation", 412),
            ("UnauthorizedOperation", 403),
            ("InsufficientInstanceCapacity", 500),
            ("InvalidVolume.NotFound", 400),
        ] {
            assert_eq!(refused(code, "").status, status, "{code}");
        }
    }

    #[test]
    fn missing_resources_are_named() {
        let message = |ids: &[&str]| not_found("InvalidInstanceID.NotFound", "instance ID", ids).message;
        assert_eq!(message(&["i-1"]), "The instance ID 'i-1' does not exist.");
        assert_eq!(message(&["i-1", "i-2"]), "The instance IDs 'i-1, i-2' do not exist.");
    }
}
