//! Calls that AWS throttles, breaks or refuses.

use crate::sandbox::shown::Shown;

#[test]
fn calls_that_write_are_throttled() {
    Shown::with("  - { kind: throttled, times: 40 }").ends(0, "succeeded", &[]);
}

#[test]
fn the_service_fails_after_the_write() {
    let faults = r#"  - { kind: server_error, call: "ssm:SendCommand", times: 2 }
  - { kind: server_error, call: "ec2:CreateSnapshots", times: 2 }"#;
    Shown::with(faults).ends(0, "succeeded", &[]);
}

#[test]
fn credentials_expire_once_and_are_read_again() {
    let fault = r#"  - { kind: credentials_expired, call: "ssm:ListCommandInvocations", times: 1 }"#;
    Shown::with(fault).ends(0, "succeeded", &[]);
}
