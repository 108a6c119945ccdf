//! Answers and requests that are lost, and reads that come late.

use crate::sandbox::shown::Shown;

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
