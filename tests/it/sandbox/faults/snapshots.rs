//! Snapshots that are not seen at first, that take long, that end badly, and that AWS refuses.

use serde_json::Value;

use super::ONE;
use crate::sandbox::shown::{BACKED_UP, Shown};

#[test]
fn snapshots_are_not_found_at_first() {
    let fault = r#"  - { kind: slow_listing, call: "ec2:CreateSnapshots", times: 3, after: 30s }"#;
    Shown::with(fault).ends(0, "succeeded", &[]);
}

#[test]
fn the_answer_is_lost_and_snapshots_are_not_found_at_first() {
    let faults = r#"  - { kind: answer_lost, call: "ec2:CreateSnapshots", times: 2 }
  - { kind: slow_listing, call: "ec2:CreateSnapshots", times: 2, after: 30s }"#;
    Shown::with(faults).ends(0, "succeeded", &[]);
}

#[test]
fn snapshots_stay_pending_for_hours() {
    Shown::with_more("", "durations: { snapshot: 3h }").ends(0, "succeeded", &[]);
}

#[test]
fn a_snapshot_does_not_complete_in_time() {
    Shown::with("  - { kind: snapshot_slow, targets: [production/11], after: 9h }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "timed_out", "not completed when the time was over; begun 2026-11-2", &BACKED_UP);
}

#[test]
fn a_snapshot_of_one_volume_ends_in_error() {
    // One volume that fails makes the whole set useless.
    let one = ("production-data", 5);
    Shown::with("  - { kind: snapshot_error, targets: [production-data/5] }")
        .ends(0, "succeeded", &[one])
        .machine(one, "failed", "ended in error: an error occurred while the snapshot was taken", &BACKED_UP);
}

#[test]
fn a_key_may_not_be_used() {
    let why = "Given key ID is not accessible";
    Shown::with(&format!("  - {{ kind: snapshot_error, targets: [production/11], output: '{why}' }}"))
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "failed", &format!("ended in error: {why}"), &BACKED_UP);
}

#[test]
fn too_many_snapshots_are_pending_for_a_while() {
    let fault = "  - { kind: concurrent_snapshots, targets: [production/11], times: 4 }";
    Shown::with(fault).ends(0, "succeeded", &[]);
}

#[test]
fn too_many_snapshots_stay_pending() {
    let shown = Shown::with("  - { kind: concurrent_snapshots, targets: [production/11] }");
    shown.ends(0, "succeeded", &[ONE]).machine(
        ONE,
        "failed",
        "exceeded, again and again until the time was over",
        &[],
    );
    // The last wave comes a week later, with the next window: Systems Manager has forgotten the list of patches.
    let list = |wave, machine, name| shown.output(&format!("production/wave-{wave}/patch"), machine, name);
    let (third, fourth) = (("production", 10), ("production", 20));
    assert_eq!(list(3, third, "renewed"), &Value::Null);
    assert_eq!(list(4, fourth, "renewed"), &Value::Bool(true));
    assert_ne!(list(3, third, "patch_snapshot"), list(4, fourth, "patch_snapshot"));
}

#[test]
fn no_more_snapshots_are_allowed_until_a_person_makes_room() {
    Shown::with(r#"  - { kind: quota_exceeded, call: "ec2:CreateSnapshots", times: 1 }"#)
        .pauses(
            "runbook: ec2:CreateSnapshots: a quota of this account is used up; delete what nobody needs (runbook artifacts gc), \
             or have the quota raised",
        )
        .resumed()
        .ends(0, "succeeded", &[]);
}
