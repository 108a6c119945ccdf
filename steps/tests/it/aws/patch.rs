//! `aws/patch` and `aws/compliance`.

use std::time::Duration;

use runbook_steps::actions::aws::{compliance::Compliance, patch::Patch};
use serde_json::json;

use super::{attempt, reports, survives, world};

#[tokio::test(start_paused = true)]
async fn an_installation_and_its_scan_happen_once() {
    let make = || {
        let world = world("");
        let attempt = attempt(&world, json!({ "operation": "Install", "reboot": "RebootIfNeeded" }));
        (world, attempt)
    };
    // Two commands on each machine: Install and Scan.
    survives(&Patch::default(), make, &["succeeded"; 3], &[("patch", 2)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_hangs_does_not_cost_the_others_their_time() {
    let world = world("{ kind: silent_after_reboot, targets: [web/1] }");
    let mut patch = attempt(&world, json!({ "operation": "Install", "reboot": "RebootIfNeeded" }));
    patch.timeout = Duration::from_secs(16 * 60);
    patch.live_to_the_end(&Patch::default()).await.unwrap();
    let reports = reports(&world, &patch);
    assert_ne!(reports[0], "succeeded");
    assert_eq!(reports[1..], ["succeeded", "succeeded"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_said_and_judged() {
    let world = world("{ kind: incomplete, targets: [web/2], patches: 3 }");
    let patch = attempt(&world, json!({ "operation": "Install", "reboot": "RebootIfNeeded" }));
    patch.live_to_the_end(&Patch::default()).await.unwrap();
    assert_eq!(reports(&world, &patch), ["succeeded"; 3]);
    let (web1, web2) = (world.machine("web-1").unwrap(), world.machine("web-2").unwrap());
    let outputs = patch.journal.recorded().outputs.clone();
    assert_eq!(
        (&outputs[&web1]["missing"], &outputs[&web1]["failed"], &outputs[&web1]["pending_reboot"]),
        (&json!(0), &json!(0), &json!(0))
    );
    assert_eq!(outputs[&web1]["patch_snapshot"], outputs[&web2]["patch_snapshot"]);
    assert_eq!(outputs[&web2]["missing"], json!(3));

    let judged =
        attempt(&world, json!({ "max_missing": 0, "max_other": 9, "max_security": 9, "max_critical": 1 }));
    judged.live_to_the_end(&Compliance::default()).await.unwrap();
    assert_eq!(
        reports(&world, &judged),
        ["succeeded", "failed: patches: 3 missing (at most 0)", "succeeded"]
    );
}

#[tokio::test(start_paused = true)]
async fn pending_reboots_are_not_judged_where_none_was_wanted() {
    let world = world("");
    let never = attempt(&world, json!({}));
    never.live_to_the_end(&Compliance::default()).await.unwrap();
    // It was never scanned, so it is scanned now.
    assert_eq!(
        reports(&world, &never),
        ["failed: patches: 12 missing (at most 0), 1 critical (at most 0), 4 security (at most 0), 7 other (at most 0)";
            3]
    );

    let patch = attempt(&world, json!({ "operation": "Install", "reboot": "NoReboot" }));
    patch.live_to_the_end(&Patch::default()).await.unwrap();
    let web1 = world.machine("web-1").unwrap();
    assert_eq!(patch.journal.recorded().outputs[&web1]["pending_reboot"], json!(12));
    for (inputs, expected) in [
        (json!({}), "succeeded"),
        (json!({ "max_pending_reboot": 0 }), "failed: patches: 12 pending a reboot (at most 0)"),
    ] {
        let judged = attempt(&world, inputs);
        judged.live_to_the_end(&Compliance::default()).await.unwrap();
        assert_eq!(reports(&world, &judged), [expected; 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_does_not_come_back_has_a_name() {
    let world = world("{ kind: silent_after_reboot, targets: [web/2] }");
    let began = world.now();
    let attempt = attempt(&world, json!({ "operation": "Install", "reboot": "RebootIfNeeded" }));
    attempt.live_to_the_end(&Patch::default()).await.unwrap();
    let reports = reports(&world, &attempt);
    assert_eq!((reports[0].as_str(), reports[2].as_str()), ("succeeded", "succeeded"));
    assert!(
        reports[1].starts_with("unreachable: the machine is silent, agent last heard 2026-01-05 08:")
            && reports[1].contains(", not back by 2026-01-05 08:"),
        "{}",
        reports[1]
    );
    assert!(world.now().duration_since(began).as_secs() < 3600);
}

#[tokio::test(start_paused = true)]
async fn a_scan_changes_nothing() {
    let world = world("");
    let attempt = attempt(&world, json!({ "operation": "Scan" }));
    attempt.live_to_the_end(&Patch::default()).await.unwrap();
    assert_eq!(reports(&world, &attempt), ["succeeded"; 3]);
    let web1 = world.machine("web-1").unwrap();
    assert_eq!(attempt.journal.recorded().outputs[&web1]["missing"], json!(12));
}

#[tokio::test(start_paused = true)]
async fn patches_that_fail_are_a_failure_of_the_machine() {
    let world = world("{ kind: command_failed, targets: [web/1] }");
    let attempt = attempt(&world, json!({ "operation": "Install", "reboot": "RebootIfNeeded" }));
    attempt.live_to_the_end(&Patch::default()).await.unwrap();
    assert_eq!(
        reports(&world, &attempt),
        ["failed: exited with 1: simulated failure", "succeeded", "succeeded"]
    );
}
