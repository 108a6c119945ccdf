//! `aws/snapshot`, `aws/restore` and `aws/reboot`.

use runbook_steps::actions::aws::{reboot::Reboot, restore::Restore, snapshot::Snapshot};
use serde_json::json;

use super::{attempt, reports, survives, world};

#[tokio::test(start_paused = true)]
async fn snapshots_are_taken_once() {
    let make = || {
        let world = world("");
        let attempt = attempt(&world, json!({ "volumes": "all", "keep": "14d" }));
        (world, attempt)
    };
    survives(&Snapshot::default(), make, &["succeeded"; 3], &[("ec2:CreateSnapshots", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn lost_answers_leave_no_second_set_behind() {
    let make = || {
        let world = world("{ kind: answer_lost, times: 2 }, { kind: throttled, times: 2 }");
        let attempt = attempt(&world, json!({ "volumes": "all" }));
        (world, attempt)
    };
    survives(&Snapshot::default(), make, &["succeeded"; 3], &[("ec2:CreateSnapshots", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_in_error_is_no_backup() {
    let world = world("{ kind: snapshot_error, targets: [web/3] }");
    let attempt = attempt(&world, json!({ "volumes": "root" }));
    attempt.live_to_the_end(&Snapshot::default()).await.unwrap();
    let reports = reports(&world, &attempt);
    assert_eq!((reports[0].as_str(), reports[1].as_str()), ("succeeded", "succeeded"));
    assert!(
        reports[2].starts_with("failed: snap-") && reports[2].contains(" ended in error: "),
        "{}",
        reports[2]
    );
    let web1 = world.machine("web-1").unwrap();
    let outputs = attempt.journal.recorded().outputs[&web1].clone();
    assert_eq!(outputs["snapshots"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&outputs["volumes"][0]["root"], outputs["volumes"].as_array().map(Vec::len)),
        (&json!(true), Some(1))
    );
}

#[tokio::test(start_paused = true)]
async fn snapshots_that_may_not_be_looked_at_are_no_backup_and_nobody_waits_for_them() {
    let world = world("{ kind: denied, call: 'ec2:DescribeSnapshots' }");
    let attempt = attempt(&world, json!({ "volumes": "root" }));
    attempt.live_to_the_end(&Snapshot::default()).await.unwrap();
    for report in reports(&world, &attempt) {
        assert!(report.starts_with("failed: ec2:DescribeSnapshots is not allowed"), "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_backup_nothing_is_restored() {
    let world = world("");
    let attempt = attempt(&world, json!({ "from": "backup", "strategy": "auto" }));
    attempt.live_to_the_end(&Restore::default()).await.unwrap();
    assert_eq!(reports(&world, &attempt), ["failed: there is no backup of this machine to restore from"; 3]);
    assert_eq!(world.calls().count("ec2:CreateReplaceRootVolumeTask"), 0);
}

#[tokio::test(start_paused = true)]
async fn reboots_happen_once() {
    let make = || {
        let world = world("");
        let attempt = attempt(&world, json!({}));
        (world, attempt)
    };
    survives(&Reboot::default(), make, &["succeeded"; 3], &[("ec2:RebootInstances", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_reboot_that_ends_nowhere_is_given_up() {
    let world = world("{ kind: silent_after_reboot, targets: [web/1] }");
    let attempt = attempt(&world, json!({}));
    attempt.live_to_the_end(&Reboot::default()).await.unwrap();
    let reports = reports(&world, &attempt);
    assert_eq!(
        reports[0],
        "unreachable: rebooted 2026-01-05 08:01 UTC, agent last heard 2026-01-05 08:00 UTC, EC2 instance check impaired, not back by 2026-01-05 08:31 UTC"
    );
    assert_eq!((reports[1].as_str(), reports[2].as_str()), ("succeeded", "succeeded"));
}
