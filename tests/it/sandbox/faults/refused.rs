//! Calls that AWS throttles, breaks or refuses.

use crate::sandbox::shown::Shown;

// Too many calls.

#[test]
fn calls_that_write_are_throttled() {
    Shown::with("  - { kind: throttled, times: 40 }").ends(0, "succeeded", &[]);
}

#[test]
fn every_call_is_throttled_again_and_again() {
    let calls = [
        "ssm:SendCommand",
        "ssm:ListCommands",
        "ssm:ListCommandInvocations",
        "ssm:DescribeInstanceInformation",
        "ssm:DescribeInstancePatchStates",
        "ec2:CreateSnapshots",
        "ec2:DescribeInstances",
        "ec2:DescribeSnapshots",
        "ec2:DescribeVolumes",
    ];
    let faults = calls.map(|call| format!("  - {{ kind: throttled, call: \"{call}\", times: 6 }}"));
    Shown::with(&faults.join("\n")).ends(0, "succeeded", &[]);
}

// A service that fails.

#[test]
fn the_service_fails_after_the_write() {
    let faults = r#"  - { kind: server_error, call: "ssm:SendCommand", times: 2 }
  - { kind: server_error, call: "ec2:CreateSnapshots", times: 2 }"#;
    Shown::with(faults).ends(0, "succeeded", &[]);
}

#[test]
fn the_service_fails_before_the_write() {
    let faults = r#"  - { kind: server_error, call: "ssm:SendCommand", times: 2, ran: false }
  - { kind: server_error, call: "ec2:CreateSnapshots", times: 2, ran: false }"#;
    Shown::with(faults).ends(0, "succeeded", &[]);
}

// Credentials.

#[test]
fn credentials_expire_once_and_are_read_again() {
    let fault = r#"  - { kind: credentials_expired, call: "ssm:ListCommandInvocations", times: 1 }"#;
    Shown::with(fault).ends(0, "succeeded", &[]);
}

#[test]
fn credentials_stay_expired_before_a_command_is_sent() {
    let fault = r#"  - { kind: credentials_expired, call: "ssm:SendCommand", times: 2 }"#;
    Shown::with(fault)
        .pauses(
            "runbook: ssm:SendCommand: the security token included in the request is expired; renew the \
             credentials of this process, for example with `aws sso login`, and check the clock",
        )
        .resumed()
        .ends(0, "succeeded", &[]);
}

#[test]
fn credentials_stay_expired_while_a_command_runs() {
    // What runs there runs on, and is found again.
    let fault = r#"  - { kind: credentials_expired, call: "ssm:ListCommandInvocations", times: 2 }"#;
    Shown::with(fault)
        .pauses(
            "runbook: ssm:ListCommandInvocations: the security token included in the request is expired; \
             renew the credentials of this process, for example with `aws sso login`, and check the clock",
        )
        .resumed()
        .ends(0, "succeeded", &[]);
}

// Rights.

/// Without this right nothing is changed, and the run says at which step, and what it says before the right's name.
#[track_caller]
fn is_needed(call: &str, step: &str, because: &str) {
    let shown = Shown::with(&format!("  - {{ kind: denied, call: \"{call}\" }}"));
    let cause = format!(
        "dev is over its budget: 2 machines failed, 0 may; <dev/2>: dev/wave-1/{step} failed: {because}{call} is not \
         allowed: you are not authorized to perform this operation: {call}; see what is needed: `runbook \
         iam-policy FILE`"
    );
    let dev = [("dev", 1), ("dev", 2)];
    shown.ends(10, "failed", &dev).count("failed", 2).changed_nothing().says(&cause, "runbook retry");
}

#[test]
fn the_right_to_create_snapshots_is_missing() {
    is_needed("ec2:CreateSnapshots", "backup", "");
}

#[test]
fn the_right_to_send_commands_is_missing() {
    is_needed("ssm:SendCommand", "patch", "");
}

const UNSEEN: &str = "not sent, because what becomes of it could not be seen: ";

#[test]
fn the_right_to_list_commands_is_missing() {
    is_needed("ssm:ListCommands", "patch", UNSEEN);
}

#[test]
fn the_right_to_see_how_commands_end_is_missing() {
    is_needed("ssm:ListCommandInvocations", "patch", UNSEEN);
}

#[test]
fn the_right_to_see_patch_states_is_missing() {
    is_needed("ssm:DescribeInstancePatchStates", "patch", UNSEEN);
}

#[test]
fn a_right_of_the_way_back_is_missing() {
    is_needed("ec2:CreateReplaceRootVolumeTask", "patch", "not changed, because it could not be restored: ");
}
