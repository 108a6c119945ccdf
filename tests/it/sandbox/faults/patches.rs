//! Patch states, and machines that are sick with their patches.

use super::ONE;
use crate::sandbox::shown::{
    HEALTHY, INSTALLED_AND_REPLACED, REPLACED, SCANNED_TWICE_AND_REPLACED, SWAPPED, Shown,
};

// Reports.

#[test]
fn reports_come_late() {
    Shown::with("  - { kind: late_report, targets: [production/11], after: 4m }").ends(0, "succeeded", &[]);
}

#[test]
fn a_machine_is_missing_from_patch_states() {
    Shown::with("  - { kind: late_report, targets: [production/11], after: 30h }")
        .ends(0, "succeeded", &[ONE])
        .machine(
            ONE,
            "restored",
            "the patch state did not arrive within 5m: Systems Manager has none of this machine",
            &SCANNED_TWICE_AND_REPLACED,
        );
}

#[test]
fn somebody_else_scans_after_our_installation() {
    let fault = "  - { kind: foreign_scan, targets: [production/11], after: 0s, times: 1 }";
    Shown::with(fault).ends(0, "succeeded", &[]);
}

#[test]
fn somebody_else_scans_before_our_scan_is_judged() {
    // The state that is found then is not the one of our scan: it is made once more.
    let done = [("ec2:CreateSnapshots", 1), ("ssm:SendCommand", 3)];
    Shown::with("  - { kind: foreign_scan, targets: [production/11], after: 0s, times: 2 }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "succeeded", "", &done);
}

#[test]
fn somebody_else_scans_after_each_of_our_scans() {
    Shown::with("  - { kind: foreign_scan, targets: [production/11], after: 0s }")
        .ends(0, "succeeded", &[ONE])
        .machine(
            ONE,
            "restored",
            "the last patch operation is not ours: a Scan",
            &SCANNED_TWICE_AND_REPLACED,
        );
}

#[test]
fn somebody_else_patches_at_the_same_time() {
    // Two at a time disturb each other: ours waits.
    let shown = Shown::with("  - { kind: foreign_patching, targets: [dev/1], after: 30s }");
    shown.ends(0, "succeeded", &[]);
}

#[test]
fn somebody_else_begins_to_patch_when_we_do() {
    // After we looked, and before ours arrives: the second one fails.
    let one = ("dev", 1);
    Shown::with("  - { kind: foreign_patching, targets: [dev/1], after: 245s }")
        .ends(10, "restored", &[one])
        .machine(
            one,
            "restored",
            "exited with 1: another patch operation is running",
            &INSTALLED_AND_REPLACED,
        )
        .count("not_started", 58);
}

#[test]
fn patches_stay_missing() {
    // The installation reports none: only the closing scan finds them.
    Shown::with("  - { kind: incomplete, targets: [production/11], patches: 2 }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "restored", "production/wave-3/compliant failed: patches: 2 missing", &REPLACED);
}

// Health.

#[test]
fn a_machine_is_sick_after_its_patches() {
    Shown::with("  - { kind: unhealthy_after_patch, targets: [production/11] }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "restored", "/healthz answered 503 for 10m", &REPLACED);
}

#[test]
fn a_machine_with_two_volumes_is_sick() {
    let one = ("production-data", 5);
    Shown::with("  - { kind: unhealthy_after_patch, targets: [production-data/5] }")
        .ends(0, "succeeded", &[one])
        .machine(one, "restored", "/healthz answered 503 for 10m", &SWAPPED);
}

#[test]
fn two_machines_are_sick_and_the_rollout_stops() {
    let two = [("production", 7), ("production", 9)];
    Shown::with("  - { kind: unhealthy_after_patch, targets: [production/7, production/9] }")
        .ends(10, "restored", &two)
        .machine(two[0], "restored", "/healthz answered 503 for 10m", &REPLACED)
        .machine(two[1], "restored", "/healthz answered 503 for 10m", &REPLACED)
        .count("not_started", 39)
        .says(
            "production is over its budget: 2 machines failed, 1 may; <production/7>: production/wave-3/healthy \
             failed: http://10.64.0.15:8080/healthz answered 503 for 10m",
            "runbook retry",
        );
}

#[test]
fn the_first_stage_is_sick_and_nothing_else_is_started() {
    let one = ("dev", 2);
    Shown::with("  - { kind: unhealthy_after_patch, targets: [dev/2] }")
        .ends(10, "restored", &[one, ("dev", 1)])
        .machine(one, "restored", "/healthz answered 503 for 10m", &REPLACED)
        .machine(("dev", 1), "succeeded", "", &HEALTHY)
        .count("not_started", 58);
}
