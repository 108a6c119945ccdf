//! `runbooks/patch-linux.yaml` through the SDK on sixty machines: without faults, and with everything that AWS is known
//! to do, one at a time. Exit code, outcomes, budget, the cause that a person reads, and what was called.

use super::shown::{BACKED_UP, INSTALLED_AND_REPLACED, NEVER_RAN_TWICE, REPLACED, SWAPPED, Shown};

/// Production may lose one machine: the eleventh is in its third wave.
const ONE: (&str, usize) = ("production", 11);

#[test]
fn none() {
    let shown = Shown::with("");
    shown.ends(0, "succeeded", &[]).count("succeeded", 60);
}

// Answers and requests that are lost.

#[test]
fn the_answer_to_send_command_is_lost_twice() {
    Shown::with(r#"  - { kind: answer_lost, call: "ssm:SendCommand", times: 2 }"#).ends(0, "succeeded", &[]);
}

#[test]
fn send_command_is_lost_on_its_way() {
    Shown::with(r#"  - { kind: request_lost, call: "ssm:SendCommand", times: 2 }"#).ends(0, "succeeded", &[]);
}

#[test]
fn the_answer_to_create_snapshots_is_lost() {
    Shown::with(r#"  - { kind: answer_lost, call: "ec2:CreateSnapshots", times: 3 }"#).ends(
        0,
        "succeeded",
        &[],
    );
}

#[test]
fn invocations_are_not_visible_at_first() {
    Shown::with_more("", "lag: 20s").ends(0, "succeeded", &[]);
}

// What a command can hide.

#[test]
fn a_machine_is_undeliverable() {
    Shown::with("  - { kind: undeliverable, targets: [production/11], document: AWS-RunPatchBaseline }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "unreachable", "never reached the machine", &NEVER_RAN_TWICE);
}

#[test]
fn a_machine_refuses_us() {
    Shown::with("  - { kind: refused, targets: [production/11], document: AWS-RunPatchBaseline }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "failed", "AccessDenied", &NEVER_RAN_TWICE);
}

// Commands whose end nobody knows.

#[test]
fn machines_boot_slowly() {
    Shown::with_more("", "durations: { boot: 15m }").ends(0, "succeeded", &[]);
}

#[test]
fn a_machine_is_silent_after_its_reboot() {
    let done = [
        ("ec2:CreateSnapshots", 1),
        ("ssm:SendCommand", 1),
        ("ssm:CancelCommand", 1),
        ("ec2:CreateReplaceRootVolumeTask", 1),
    ];
    Shown::with("  - { kind: silent_after_reboot, targets: [production/11] }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "restored", "silent", &done);
}

#[test]
fn a_command_fails() {
    Shown::with("  - { kind: command_failed, targets: [production/11], document: AWS-RunPatchBaseline, exit: 2, output: 'no space left on /var' }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "restored", "no space left on /var", &INSTALLED_AND_REPLACED);
}

#[test]
fn a_command_never_begins_on_a_machine() {
    let fault = "  - { kind: terminated, targets: [production/11], document: AWS-RunPatchBaseline }";
    Shown::with(fault).ends(0, "succeeded", &[ONE]).machine(
        ONE,
        "unreachable",
        "Terminated",
        &NEVER_RAN_TWICE,
    );
}

// Patch states.

#[test]
fn somebody_else_patches_at_the_same_time() {
    // The run reaches production at 22:00 in Berlin, five hours after the world began.
    let shown = Shown::with("  - { kind: foreign_patching, targets: [dev/1], after: 30s }");
    shown.ends(0, "succeeded", &[]);
}

#[test]
fn a_machine_is_sick_after_its_patches() {
    Shown::with("  - { kind: unhealthy_after_patch, targets: [production/11] }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "restored", "", &REPLACED);
}

#[test]
fn a_machine_with_two_volumes_is_sick() {
    let one = ("production-data", 5);
    Shown::with("  - { kind: unhealthy_after_patch, targets: [production-data/5] }")
        .ends(0, "succeeded", &[one])
        .machine(one, "restored", "", &SWAPPED);
}

// Throttled calls.

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

// Snapshots.

#[test]
fn snapshots_stay_pending() {
    Shown::with("  - { kind: snapshot_slow, targets: [production/11], after: 2h }").ends(0, "succeeded", &[]);
}

#[test]
fn a_snapshot_ends_in_error() {
    Shown::with("  - { kind: snapshot_error, targets: [production/11] }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "failed", "snapshot", &BACKED_UP);
}

// Restores.

#[test]
fn a_restore_fails() {
    let faults = "  - { kind: unhealthy_after_patch, targets: [production/11] }
  - { kind: restore_failed, targets: [production/11] }";
    Shown::with(faults).ends(11, "stuck", &[ONE]).machine(ONE, "restore_failed", "", &REPLACED);
}

#[test]
fn the_answers_of_a_restore_are_lost() {
    let one = ("production-data", 5);
    let faults = r#"  - { kind: unhealthy_after_patch, targets: [production-data/5] }
  - { kind: answer_lost, call: "ec2:CreateVolume", times: 1 }
  - { kind: answer_lost, call: "ec2:StopInstances", times: 1 }
  - { kind: answer_lost, call: "ec2:DetachVolume", times: 1 }
  - { kind: answer_lost, call: "ec2:AttachVolume", times: 1 }
  - { kind: answer_lost, call: "ec2:StartInstances", times: 1 }"#;
    Shown::with(faults).ends(0, "succeeded", &[one]).machine(one, "restored", "", &SWAPPED);
}

#[test]
fn the_answer_to_a_replacement_is_lost() {
    let faults = r#"  - { kind: unhealthy_after_patch, targets: [production/11] }
  - { kind: answer_lost, call: "ec2:CreateReplaceRootVolumeTask", times: 1 }"#;
    Shown::with(faults).ends(0, "succeeded", &[ONE]).machine(ONE, "restored", "", &REPLACED);
}
