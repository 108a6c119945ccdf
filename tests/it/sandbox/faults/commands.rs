//! What a command can hide, and commands whose end nobody knows.

use super::ONE;
use crate::sandbox::shown::{INSTALLED_AND_REPLACED, NEVER_RAN_TWICE, Shown};

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
