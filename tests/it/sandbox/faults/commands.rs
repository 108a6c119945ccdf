//! What a command can hide, and commands whose end nobody knows.

use super::ONE;
use crate::sandbox::shown::{
    BACKED_UP, CANCELLED_AND_REPLACED, HEALTHY, INSTALLED_AND_REPLACED, NEVER_RAN_TWICE, Shown,
};

// `Success` that hides machines on which nothing ran.

#[test]
fn a_machine_is_undeliverable_once() {
    // The installation never reached it, so it is sent again.
    let fault =
        "  - { kind: undeliverable, targets: [production/11], document: AWS-RunPatchBaseline, times: 1 }";
    let done = [("ec2:CreateSnapshots", 1), ("ssm:SendCommand", 3)];
    Shown::with(fault).ends(0, "succeeded", &[ONE]).machine(ONE, "succeeded", "", &done);
}

#[test]
fn a_machine_is_undeliverable() {
    Shown::with("  - { kind: undeliverable, targets: [production/11], document: AWS-RunPatchBaseline }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "unreachable", "never reached the machine", &NEVER_RAN_TWICE);
}

#[test]
fn three_machines_are_undeliverable_and_the_budget_knows() {
    let three = [("production", 7), ("production", 8), ONE];
    let fault = "  - { kind: undeliverable, targets: [production/7, production/8, production/11], document: AWS-RunPatchBaseline }";
    let shown = Shown::with(fault);
    shown.ends(10, "failed", &three).count("unreachable", 3).count("not_started", 39).says(
        "production is over its budget: 3 machines failed, 1 may; <production/8>: production/wave-3/patch \
         failed: the command never reached the machine (Undeliverable)",
        "runbook retry",
    );
    for machine in three {
        shown.machine(machine, "unreachable", "never reached the machine", &NEVER_RAN_TWICE);
    }
}

#[test]
fn a_machine_refuses_us() {
    Shown::with("  - { kind: refused, targets: [production/11], document: AWS-RunPatchBaseline }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "failed", "AccessDenied", &NEVER_RAN_TWICE);
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

#[test]
fn one_machine_is_not_registered() {
    // One such machine would fail the call for all of its batch.
    Shown::with("  - { kind: unmanaged, targets: [production/11] }").ends(0, "succeeded", &[ONE]).machine(
        ONE,
        "unreachable",
        "Systems Manager does not know the machine",
        &BACKED_UP,
    );
}

#[test]
fn an_agent_is_lost() {
    Shown::with("  - { kind: agent_lost, targets: [production/11] }").ends(0, "succeeded", &[ONE]).machine(
        ONE,
        "unreachable",
        "the agent is not heard, last heard 2026-11-21 16:00 UTC",
        &BACKED_UP,
    );
}

// Commands that fail.

#[test]
fn a_command_fails() {
    Shown::with("  - { kind: command_failed, targets: [production/11], document: AWS-RunPatchBaseline, exit: 2, output: 'no space left on /var' }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "restored", "exited with 2: no space left on /var", &INSTALLED_AND_REPLACED);
}

#[test]
fn a_reboot_does_not_take_effect() {
    Shown::with("  - { kind: command_failed, targets: [production/11], document: AWS-RunPatchBaseline, exit: 3, output: 'attempt 4' }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "restored", "the reboot did not take effect: exited with 3", &INSTALLED_AND_REPLACED);
}

#[test]
fn a_command_runs_into_its_time_limit() {
    let fault = "  - { kind: command_timed_out, targets: [production/11], document: AWS-RunPatchBaseline }";
    Shown::with(fault).ends(0, "succeeded", &[ONE]).machine(
        ONE,
        "restored",
        "(ExecutionTimedOut)",
        &CANCELLED_AND_REPLACED,
    );
}

// Commands whose end nobody knows.

#[test]
fn a_command_is_not_over_in_time() {
    let fault = "  - { kind: delivery_timed_out, targets: [production/11], document: AWS-RunPatchBaseline, ran: false }";
    Shown::with(fault).ends(0, "succeeded", &[ONE]).machine(
        ONE,
        "restored",
        "UTC, when its time was, and was cancelled",
        &CANCELLED_AND_REPLACED,
    );
}

#[test]
fn a_command_is_given_up_and_never_ran() {
    let fault = "  - { kind: delivery_timed_out, targets: [production/11], document: AWS-RunPatchBaseline, ran: false, times: 1 }";
    Shown::with_patience(fault).ends(0, "succeeded", &[ONE]).machine(
        ONE,
        "restored",
        "nobody can say whether it was installed",
        &INSTALLED_AND_REPLACED,
    );
}

#[test]
fn a_command_is_given_up_and_ran() {
    // Its patch state says so, and then it is scanned as every other.
    let fault = "  - { kind: delivery_timed_out, targets: [production/11], document: AWS-RunPatchBaseline, ran: true, times: 1 }";
    Shown::with_patience(fault).ends(0, "succeeded", &[]);
}

#[test]
fn results_come_late() {
    let fault =
        "  - { kind: late_result, targets: [production/11], document: AWS-RunPatchBaseline, after: 20m }";
    Shown::with(fault).ends(0, "succeeded", &[]);
}

#[test]
fn results_come_too_late() {
    let fault =
        "  - { kind: late_result, targets: [production/11], document: AWS-RunPatchBaseline, after: 9h }";
    Shown::with(fault).ends(0, "succeeded", &[ONE]).machine(
        ONE,
        "restored",
        "UTC: it is still InProgress",
        &CANCELLED_AND_REPLACED,
    );
}

#[test]
fn a_status_is_unknown_for_a_while() {
    // A word that nobody knows is no end.
    let fault = "  - { kind: strange_status, targets: [production/11], document: AWS-RunPatchBaseline }";
    Shown::with(fault).ends(0, "succeeded", &[]);
}

#[test]
fn a_status_stays_unknown() {
    let fault =
        "  - { kind: strange_status, targets: [production/11], document: AWS-RunPatchBaseline, after: 9h }";
    Shown::with(fault).ends(0, "succeeded", &[ONE]).machine(
        ONE,
        "restored",
        "UTC: it is still Suspended",
        &CANCELLED_AND_REPLACED,
    );
}

// Reboots.

#[test]
fn machines_boot_slowly() {
    Shown::with_more("", "durations: { boot: 15m }").ends(0, "succeeded", &[]);
}

#[test]
fn a_machine_is_silent_after_its_reboot() {
    Shown::with("  - { kind: silent_after_reboot, targets: [production/11] }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "restored", "the machine is silent, agent last heard", &CANCELLED_AND_REPLACED);
}

#[test]
fn a_command_asks_for_a_reboot_and_runs_again() {
    // A scan never does: of both operations, the installation is meant.
    let fault = "  - { kind: reboots_and_repeats, targets: [production/11], document: AWS-RunPatchBaseline }";
    Shown::with(fault).ends(0, "succeeded", &[]).machine(ONE, "succeeded", "", &HEALTHY);
}
