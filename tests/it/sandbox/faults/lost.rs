//! Answers and requests that are lost, and reads that come late.

use super::ONE;
use crate::sandbox::shown::{CANCELLED_AND_REPLACED, Shown};

#[test]
fn the_answer_to_send_command_is_lost_twice() {
    Shown::with(r#"  - { kind: answer_lost, call: "ssm:SendCommand", times: 2 }"#).ends(0, "succeeded", &[]);
}

#[test]
fn send_command_is_lost_on_its_way() {
    Shown::with(r#"  - { kind: request_lost, call: "ssm:SendCommand", times: 2 }"#).ends(0, "succeeded", &[]);
}

#[test]
fn a_command_whose_answer_is_lost_is_found_late() {
    // Longer than the two searches are apart: the second one may not find it either, and a second sending is harmless
    // for a document that is repeatable.
    let faults = r#"  - { kind: answer_lost, call: "ssm:SendCommand", times: 1 }
  - { kind: slow_listing, call: "ssm:SendCommand", times: 1, after: 50s }"#;
    Shown::with(faults).ends(0, "succeeded", &[]);
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

#[test]
fn invocations_of_one_machine_are_not_visible_for_longer() {
    Shown::with("  - { kind: late_part, targets: [production/11], after: 50s }").ends(0, "succeeded", &[]);
}

#[test]
fn a_command_has_no_machines() {
    // Its list stays empty.
    let dev = [("dev", 1), ("dev", 2)];
    let fault = "  - { kind: late_part, targets: [dev], document: AWS-RunPatchBaseline, after: 30h }";
    let shown = Shown::with(fault);
    shown.ends(10, "restored", &dev).count("not_started", 58);
    for machine in dev {
        shown.machine(machine, "restored", "UTC: the machine is not in its list", &CANCELLED_AND_REPLACED);
    }
}

#[test]
fn the_invocation_of_one_machine_is_never_visible() {
    // Neither that it was not sent, nor that it succeeded: nobody knows, so it counts, and it goes back.
    let fault =
        "  - { kind: late_part, targets: [production/11], document: AWS-RunPatchBaseline, after: 30h }";
    Shown::with(fault).ends(0, "succeeded", &[ONE]).machine(
        ONE,
        "restored",
        "UTC: the machine is not in its list",
        &CANCELLED_AND_REPLACED,
    );
}
