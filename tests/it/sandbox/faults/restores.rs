//! The way back, with everything that can go wrong on it.

use super::ONE;
use crate::sandbox::shown::{REPLACED, SWAPPED, Shown};

/// A machine with two volumes, whose way back is a swap.
const TWO: (&str, usize) = ("production-data", 5);

/// What is done to a machine whose swap ends before it is stopped.
const DONE_BEFORE_THE_STOP: [&str; 3] = ["ec2:CreateSnapshots", "ec2:CreateVolume", "ssm:SendCommand"];

fn one(faults: &str) -> Shown {
    Shown::with(&format!("  - {{ kind: unhealthy_after_patch, targets: [production/11] }}\n{faults}"))
}

fn two(faults: &str) -> Shown {
    Shown::with(&format!("  - {{ kind: unhealthy_after_patch, targets: [production-data/5] }}\n{faults}"))
}

// The root volume is replaced.

#[test]
fn a_restore_fails_and_the_old_root_is_back() {
    one("  - { kind: restore_failed, targets: [production/11] }").ends(11, "stuck", &[ONE]).machine(
        ONE,
        "restore_failed",
        "failed; the machine has its old root volume back",
        &REPLACED,
    );
}

#[test]
fn a_replaced_root_is_lost_and_a_rollback_puts_one_on() {
    // On its way there the task is `failing-detached`, a word that no SDK knows.
    let shown = one("  - { kind: restore_detached, targets: [production/11] }");
    shown.ends(11, "stuck", &[ONE]).machine(
        ONE,
        "restore_failed",
        "left the machine without a root volume",
        &REPLACED,
    );
    let rollback = shown.rolled_back(ONE);
    rollback.outcome(ONE, "restored");
}

#[test]
fn a_restored_machine_is_sick_all_the_same() {
    one("  - { kind: sick_after_restore, targets: [production/11] }").ends(11, "stuck", &[ONE]).machine(
        ONE,
        "restore_failed",
        "503",
        &REPLACED,
    );
}

#[test]
fn the_answer_to_a_replacement_is_lost() {
    one(r#"  - { kind: answer_lost, call: "ec2:CreateReplaceRootVolumeTask", times: 1 }"#)
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "restored", "", &REPLACED);
}

#[test]
fn a_replacement_is_not_found_at_first() {
    one(r#"  - { kind: slow_listing, call: "ec2:CreateReplaceRootVolumeTask", after: 50s }"#)
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "restored", "", &REPLACED);
}

// Volumes are swapped.

#[test]
fn the_answers_of_a_swap_are_lost() {
    two(r#"  - { kind: answer_lost, call: "ec2:CreateVolume", times: 1 }
  - { kind: answer_lost, call: "ec2:StopInstances", times: 1 }
  - { kind: answer_lost, call: "ec2:DetachVolume", times: 1 }
  - { kind: answer_lost, call: "ec2:AttachVolume", times: 1 }
  - { kind: answer_lost, call: "ec2:StartInstances", times: 1 }"#)
    .ends(0, "succeeded", &[TWO])
    .machine(TWO, "restored", "", &SWAPPED);
}

#[test]
fn new_volumes_are_not_found_at_first() {
    two(r#"  - { kind: slow_listing, call: "ec2:CreateVolume", times: 2, after: 50s }"#)
        .ends(0, "succeeded", &[TWO])
        .machine(TWO, "restored", "", &SWAPPED);
}

#[test]
fn there_is_no_capacity_for_a_while() {
    two("  - { kind: no_capacity, targets: [production-data/5], times: 2 }")
        .ends(0, "succeeded", &[TWO])
        .machine(TWO, "restored", "", &SWAPPED);
}

#[test]
fn there_is_no_capacity() {
    let done: Vec<_> = SWAPPED.into_iter().filter(|(call, _)| *call != "ec2:StartInstances").collect();
    two("  - { kind: no_capacity, targets: [production-data/5] }").ends(11, "stuck", &[TWO]).machine(
        TWO,
        "restore_failed",
        "insufficient capacity",
        &done,
    );
}

#[test]
fn a_swapped_machine_is_sick_all_the_same() {
    two("  - { kind: sick_after_restore, targets: [production-data/5] }").ends(11, "stuck", &[TWO]).machine(
        TWO,
        "restore_failed",
        "503",
        &SWAPPED,
    );
}

#[test]
fn new_volumes_end_in_error_and_are_collected() {
    let done: Vec<_> = SWAPPED.into_iter().filter(|(call, _)| DONE_BEFORE_THE_STOP.contains(call)).collect();
    let shown = two("  - { kind: restore_failed, targets: [production-data/5] }");
    shown.ends(11, "stuck", &[TWO]).machine(TWO, "restore_failed", "the machine is as it was", &done);
    // Nobody needs them, so they are gone when their time is over.
    let states = |shown: &Shown| -> Vec<_> {
        let volumes = shown.artifacts(TWO, "volume");
        assert!(volumes.iter().all(|volume| !volume["expires"].is_null()), "{volumes:#?}");
        volumes.iter().map(|volume| volume["state"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(states(&shown), ["made", "made"]);
    shown.seen_to(TWO).later("360h").ask(&["artifacts", "gc"]).exits(0);
    assert_eq!(states(&shown), ["deleted", "deleted"]);
}

#[test]
fn a_snapshot_is_not_of_the_machines_own_root() {
    let done: Vec<_> =
        REPLACED.into_iter().filter(|(call, _)| *call != "ec2:CreateReplaceRootVolumeTask").collect();
    one("  - { kind: foreign_lineage, targets: [production/11] }").ends(11, "stuck", &[ONE]).machine(
        ONE,
        "restore_failed",
        "was not taken directly of a current or former root volume",
        &done,
    );
}

#[test]
fn a_swapped_machine_is_what_it_was_but_for_its_public_address() {
    let like = "public_ip: auto, disks: { type: io2, iops: 4000, encrypted: true, delete_data: true, \
                delete_root: false, tags: { Owner: shop } }";
    let shown =
        Shown::with_machines("  - { kind: unhealthy_after_patch, targets: [production-data/5] }", like);
    shown.ends(0, "succeeded", &[TWO]).machine(TWO, "restored", "", &SWAPPED);
    let plan = shown.ask(&["plan", "runbooks/patch-linux.yaml"]).exits(0).stdout;
    assert!(plan.contains("its public IPv4 address"), "{plan}");
    let different = &shown.output("production/wave-4/restore", TWO, "differences")[0];
    assert!(
        different.as_str().is_some_and(|told| told.starts_with("public IPv4 address 198.1")),
        "{different}"
    );
    let volumes = shown.volumes(TWO);
    for (told, times) in [
        ("<volumeType>io2<", 2),
        ("<iops>4000<", 2),
        ("<encrypted>true<", 2),
        ("<value>shop<", 2),
        // It is not set on what was just attached.
        ("<deleteOnTermination>true<", 1),
        ("<deleteOnTermination>false<", 1),
    ] {
        assert_eq!(volumes.matches(told).count(), times, "{told}: {volumes}");
    }
}

#[test]
fn a_replaced_root_is_slower_than_the_old_one_and_a_person_reads_how_to_put_that_back() {
    // What becomes of IOPS and throughput is stated nowhere: the sandbox loses them.
    let like = "disks: { iops: 6000, throughput: 500, tags: { Owner: shop } }";
    let shown = Shown::with_machines("  - { kind: unhealthy_after_patch, targets: [production/11] }", like);
    shown
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "restored", "503", &REPLACED)
        .tells("not as it was: 3000 IOPS instead of 6000, 125 MiB/s instead of 500, to put it back: aws ec2 modify-volume --volume-id vol-")
        .tells(" --iops 6000 --throughput 500");
    let volumes = shown.volumes(ONE);
    assert!(volumes.contains("<value>shop<") && volumes.contains("<deleteOnTermination>true<"), "{volumes}");
}
