//! `aws/restore` where a right is missing, for all machines or for one.

use std::{sync::Arc, time::Duration};

use runbook_steps::{context::StopReason, world::World};

use super::restore::{SUCCEEDED, backed_up_world, ends, recovery_points};
use crate::contract::attempt::Attempt;

/// Lives on after its time is over.
async fn timed_out(world: &Arc<World>, attempt: &Attempt) -> Vec<String> {
    let stop = async {
        tokio::time::sleep(attempt.timeout).await;
        attempt.stop.send_replace(StopReason::TimedOut);
    };
    tokio::join!(ends(world, attempt), stop).0
}

/// Readings that begin only when something was asked for.
const READINGS: [(&str, &str); 4] = [
    ("ec2:DescribeReplaceRootVolumeTasks", "replace-root-volume"),
    ("ec2:DescribeInstanceStatus", "replace-root-volume"),
    ("ec2:DescribeInstanceStatus", "swap-volumes"),
    ("ssm:DescribeInstanceInformation", "swap-volumes"),
];

#[tokio::test(start_paused = true)]
async fn a_restore_that_may_not_be_looked_at_has_an_unknown_end() {
    let of_jobs =
        ["backup:ListRestoreJobs", "ec2:DescribeInstanceStatus"].map(|call| (call, "backup-restore"));
    for (call, strategy) in READINGS.into_iter().chain(of_jobs) {
        let faults = format!("{{ kind: denied, call: '{call}' }}");
        let (world, mut attempt) = match strategy {
            "backup-restore" => recovery_points(&faults),
            _ => backed_up_world(&faults, strategy),
        };
        attempt.timeout = Duration::from_secs(1800);
        for report in timed_out(&world, &attempt).await {
            let said = format!("unknown: the end of the restore was not seen: {call} is not allowed: ");
            assert!(report.starts_with(&said), "{call} {strategy}: {report}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_given_back_lets_the_restore_go_on() {
    for (call, strategy) in READINGS {
        let faults = format!("{{ kind: denied, call: '{call}', times: 3 }}");
        let (world, attempt) = backed_up_world(&faults, strategy);
        assert_eq!(ends(&world, &attempt).await, SUCCEEDED, "{call} {strategy}");
        assert_eq!(world.calls().doubled(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_looked_at_is_not_begun() {
    let (world, attempt) = recovery_points("{ kind: denied, call: 'ec2:DescribeVolumes' }");
    for report in ends(&world, &attempt).await {
        assert!(report.starts_with("failed: ec2:DescribeVolumes is not allowed: "), "{report}");
    }
    assert_eq!(world.calls().effects("backup:StartRestoreJob").count(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_machine_without_a_right_does_not_spoil_a_shared_call() {
    for call in ["ec2:StopInstances", "ec2:StartInstances"] {
        let faults = format!("{{ kind: denied, call: '{call}', targets: [web/2] }}");
        let (world, attempt) = backed_up_world(&faults, "swap-volumes");
        let reports = ends(&world, &attempt).await;
        assert_eq!((reports[0].as_str(), reports[2].as_str()), ("succeeded", "succeeded"), "{call}");
        assert!(
            reports[1].starts_with(&format!("failed: {call} is not allowed: ")),
            "{call}: {}",
            reports[1]
        );
        assert_eq!(world.calls().doubled(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_that_could_not_begin_in_time_was_not_cancelled() {
    let faults = "{ kind: throttled, call: 'backup:GetRecoveryPointRestoreMetadata', times: 1000000 }";
    let (world, mut attempt) = recovery_points(faults);
    attempt.timeout = Duration::from_secs(600);
    assert_eq!(timed_out(&world, &attempt).await, ["timed_out: its turn did not come in time"; 3]);
}
