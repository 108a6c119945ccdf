//! What AWS does when things go wrong (docs/sandbox.md), one after the other, to the actions that patch, back
//! up and reboot.

use std::time::Duration;

use runbook_steps::{
    actions::aws::{
        command::Command, compliance::Compliance, patch::Patch, reboot::Reboot, snapshot::Snapshot,
    },
    context::StopReason,
};
use serde_json::{Value, json};

use super::{attempt, reports, survives, world};

fn install() -> Value {
    json!({ "operation": "Install", "reboot": "RebootIfNeeded" })
}

async fn patched(
    faults: &str,
) -> (std::sync::Arc<runbook_steps::world::World>, crate::contract::attempt::Attempt) {
    let world = world(faults);
    let attempt = attempt(&world, install());
    attempt.live_to_the_end(&Patch::default()).await.unwrap();
    (world, attempt)
}

#[tokio::test(start_paused = true)]
async fn a_command_that_lists_show_late_is_found_by_its_comment() {
    let make = || {
        let world =
            world("{ kind: slow_listing, after: 10s }, { kind: answer_lost, call: 'ssm:SendCommand' }");
        let attempt = attempt(&world, install());
        (world, attempt)
    };
    survives(&Patch::default(), make, &["succeeded"; 3], &[("patch", 2)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_missing_in_lists_is_waited_for() {
    let (world, attempt) = patched("{ kind: late_part, targets: [web/1] }").await;
    assert_eq!(reports(&world, &attempt), ["succeeded"; 3]);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_may_see_the_end_of_is_not_sent() {
    for call in ["ssm:ListCommands", "ssm:ListCommandInvocations", "ssm:DescribeInstancePatchStates"] {
        let (world, attempt) = patched(&format!("{{ kind: denied, call: '{call}' }}")).await;
        let not_sent =
            format!("failed: not sent, because what becomes of it could not be seen: {call} is not");
        for report in reports(&world, &attempt) {
            assert!(report.starts_with(&not_sent), "{report}");
        }
        assert_eq!(world.calls().count("ssm:SendCommand"), 0, "{call}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_never_ran_hides_behind_no_success() {
    let (world, attempt) = patched(
        "{ kind: terminated, targets: [web/1], document: AWS-RunPatchBaseline },
         { kind: refused, targets: [web/2], document: AWS-RunPatchBaseline }",
    )
    .await;
    assert_eq!(
        reports(&world, &attempt),
        [
            "unreachable: the command never reached the machine (Terminated)",
            "failed: the service refused the command for this machine (AccessDenied)",
            "succeeded",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_installation_of_which_nobody_can_say_how_it_ended_is_looked_for_on_the_machine() {
    // It ran: its patch state says so, and the scan closes it.
    let (world, attempt) = patched(
        "{ kind: delivery_timed_out, targets: [web/1], times: 1, document: AWS-RunPatchBaseline, ran: true }",
    )
    .await;
    assert_eq!(reports(&world, &attempt), ["succeeded"; 3]);
    // It did not run: the agent is heard, and no state tells of it.
    let (world, attempt) = patched(
        "{ kind: delivery_timed_out, targets: [web/1], times: 1, document: AWS-RunPatchBaseline, ran: false }",
    )
    .await;
    let reports = reports(&world, &attempt);
    assert!(
        reports[0].starts_with(
            "unknown: nobody can say whether it was installed (DeliveryTimedOut; the agent is heard"
        ),
        "{}",
        reports[0]
    );
    assert_eq!((reports[1].as_str(), reports[2].as_str()), ("succeeded", "succeeded"));
}

#[tokio::test(start_paused = true)]
async fn a_report_that_comes_late_is_waited_for() {
    let (world, attempt) = patched("{ kind: late_report, targets: [web/1], after: 3m }").await;
    assert_eq!(reports(&world, &attempt), ["succeeded"; 3]);
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_scan_is_not_ours() {
    let (world, attempt) = patched("{ kind: foreign_scan, targets: [web/1], after: 1s, times: 2 }").await;
    assert_eq!(reports(&world, &attempt), ["succeeded"; 3]);
    // Install, scan, and the scan once more.
    let web1 = world.machine("web-1").unwrap();
    let calls = world.calls();
    let patch = calls.calls.iter().filter(|call| {
        call.call == "ssm:SendCommand" && call.operation != Some("Boot") && call.machines.contains(&web1)
    });
    assert_eq!(patch.count(), 3);
}

#[tokio::test(start_paused = true)]
async fn compliance_scans_where_somebody_else_scanned_last() {
    let (world, attempt) = patched("{ kind: foreign_scan, targets: [web/1], after: 1m, times: 2 }").await;
    assert_eq!(reports(&world, &attempt), ["succeeded"; 3]);
    world.ports().clock.sleep(Duration::from_secs(600)).await;
    let before = world.calls().count("ssm:SendCommand");
    let judged = super::attempt(&world, json!({}));
    judged.live_to_the_end(&Compliance::default()).await.unwrap();
    assert_eq!(reports(&world, &judged), ["succeeded"; 3]);
    assert!(world.calls().count("ssm:SendCommand") <= before + 3);
}

#[tokio::test(start_paused = true)]
async fn whoever_patches_first_is_waited_for() {
    let (world, attempt) = patched("{ kind: foreign_patching, targets: [web/2], after: 0s }").await;
    assert_eq!(reports(&world, &attempt), ["succeeded"; 3]);

    // Until the time is over; nothing was sent to the machine then.
    let world = super::world("{ kind: foreign_patching, targets: [web/2], after: 0s }");
    let attempt = super::attempt(&world, install());
    let (stop, ports) = (attempt.stop.clone(), world.ports());
    tokio::spawn(async move {
        ports.clock.sleep(Duration::from_secs(120)).await;
        stop.send_replace(StopReason::TimedOut);
    });
    attempt.live_to_the_end(&Patch::default()).await.unwrap();
    let reports = reports(&world, &attempt);
    assert!(
        reports[1]
            .starts_with("failed: another patch operation has been running on it since 2026-01-05 08:00 UTC"),
        "{}",
        reports[1]
    );
    let web2 = world.machine("web-2").unwrap();
    assert!(
        world.calls().calls.iter().all(|call| call.operation.is_none() || !call.machines.contains(&web2))
    );
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_no_command_can_name_does_not_hold_the_others_up() {
    let (world, attempt) = patched("{ kind: unmanaged, targets: [web/2] }").await;
    let reports = reports(&world, &attempt);
    assert_eq!((reports[0].as_str(), reports[2].as_str()), ("succeeded", "succeeded"));
    assert!(reports[1].starts_with("unreachable: "), "{}", reports[1]);
}

#[tokio::test(start_paused = true)]
async fn half_of_all_answers_lost_doubles_nothing() {
    let make = || {
        let world = world("{ kind: server_error, times: 3 }, { kind: throttled, times: 3 }");
        let attempt = attempt(&world, install());
        (world, attempt)
    };
    survives(&Patch::default(), make, &["succeeded"; 3], &[("patch", 2)]).await;
}

#[tokio::test(start_paused = true)]
async fn snapshots_that_are_seen_late_or_stay_pending_are_waited_for() {
    let make = || {
        let world = world(
            "{ kind: slow_listing, call: 'ec2:CreateSnapshots', times: 3 }, { kind: snapshot_slow, targets: [web/1], after: 1h }",
        );
        let attempt = attempt(&world, json!({ "volumes": "all" }));
        (world, attempt)
    };
    survives(&Snapshot::default(), make, &["succeeded"; 3], &[("ec2:CreateSnapshots", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn too_many_pending_snapshots_are_waited_for() {
    let world = world("{ kind: concurrent_snapshots, targets: [web/1] }");
    let attempt = attempt(&world, json!({ "volumes": "all", "keep": "14d" }));
    let (stop, ports) = (attempt.stop.clone(), world.ports());
    tokio::spawn(async move {
        ports.clock.sleep(Duration::from_secs(1800)).await;
        stop.send_replace(StopReason::TimedOut);
    });
    attempt.live_to_the_end(&Snapshot::default()).await.unwrap();
    let reports = reports(&world, &attempt);
    assert!(reports[0].starts_with("failed: ec2:CreateSnapshots: "), "{}", reports[0]);
    assert_eq!((reports[1].as_str(), reports[2].as_str()), ("succeeded", "succeeded"));
    let recorded = attempt.journal.recorded();
    assert_eq!(recorded.artifacts.len(), 4, "two volumes of each of the others are in the ledger");
    assert!(recorded.artifacts.iter().all(|made| made.expires.is_some() && !made.token.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_reboot_whose_answer_was_lost_is_told_by_the_boot_id() {
    let make = || {
        let world = world("{ kind: answer_lost, call: 'ec2:RebootInstances' }");
        let attempt = attempt(&world, json!({}));
        (world, attempt)
    };
    survives(&Reboot::default(), make, &["succeeded"; 3], &[("ec2:RebootInstances", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_reboot_that_was_never_asked_for_is_asked_for_again() {
    let world = world("{ kind: request_lost, call: 'ec2:RebootInstances' }");
    let attempt = attempt(&world, json!({}));
    attempt.live_to_the_end(&Reboot::default()).await.unwrap();
    assert_eq!(reports(&world, &attempt), ["succeeded"; 3]);
    assert_eq!(world.calls().count("ec2:RebootInstances"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_script_that_asks_for_a_reboot_runs_to_its_end() {
    let world = world("{ kind: reboots_and_repeats, targets: [web/1] }");
    let attempt = attempt(&world, json!({ "script": "uptime" }));
    attempt.live_to_the_end(&Command::default()).await.unwrap();
    assert_eq!(reports(&world, &attempt), ["succeeded"; 3]);
}
