//! The way back, with everything that can go wrong on it.

use super::ONE;
use crate::sandbox::shown::{REPLACED, SWAPPED, Shown};

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
