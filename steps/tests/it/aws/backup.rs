//! `aws/backup`.

use std::{sync::Arc, time::Duration};

use runbook_steps::{
    actions::aws::backup::Backup,
    world::{Moment, World},
};
use serde_json::{Value, json};

use super::{attempt, reports, survives, world};
use crate::contract::attempt::Attempt;

const ROLE: &str = "arn:aws:iam::123456789012:role/backup";

fn backup(world: &Arc<World>, more: &Value) -> Attempt {
    let mut inputs =
        json!({ "vault": "Default", "role": ROLE, "keep": "14d", "start_within": "1h", "vss": false });
    let (Value::Object(all), Value::Object(more)) = (&mut inputs, more) else { panic!("inputs are objects") };
    all.extend(more.clone());
    attempt(world, inputs)
}

#[tokio::test(start_paused = true)]
async fn a_recovery_point_is_made_once() {
    let make = || {
        let world = world("");
        let attempt = backup(&world, &json!({}));
        (world, attempt)
    };
    survives(&Backup::default(), make, &["succeeded"; 3], &[("backup:StartBackupJob", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_job_whose_answer_was_lost_is_found_again() {
    let make = || {
        let world = world(
            "{ kind: answer_lost, call: 'backup:StartBackupJob', times: 2 }, { kind: throttled, times: 2 }",
        );
        let attempt = backup(&world, &json!({}));
        (world, attempt)
    };
    survives(&Backup::default(), make, &["succeeded"; 3], &[("backup:StartBackupJob", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_of_hours_ago_is_looked_for_before_its_token_is_trusted() {
    // Lives end right after the call, with nobody having heard the answer.
    for (asleep, calls) in [(Duration::from_secs(600), 4), (Duration::from_secs(5 * 3600), 3)] {
        let world = world("");
        let mut attempt = backup(&world, &json!({}));
        attempt.timeout = Duration::from_secs(48 * 3600);
        let action = Backup::default();
        world.crash_at(0, Moment::After);
        tokio::select! {
            biased;
            () = world.crashed() => {}
            _ = attempt.live(&action, None) => panic!("a dead process was answered"),
        }
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        world.revive();
        world.ports().clock.sleep(asleep).await;
        attempt.live_to_the_end(&action).await.unwrap();
        assert_eq!(reports(&world, &attempt), ["succeeded"; 3]);
        assert_eq!(world.calls().count("backup:StartBackupJob"), 3, "one recovery point for each machine");
        let started = world.calls().calls.iter().filter(|call| call.call == "backup:StartBackupJob").count();
        assert_eq!(started, calls, "after {asleep:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn outputs_say_what_a_restore_starts_from() {
    let world = world("");
    let attempt = backup(&world, &json!({}));
    attempt.live_to_the_end(&Backup::default()).await.unwrap();
    assert_eq!(reports(&world, &attempt), ["succeeded"; 3]);
    let recorded = attempt.journal.recorded();
    let web1 = world.machine("web-1").unwrap();
    let outputs = &recorded.outputs[&web1];
    assert_eq!((&outputs["vault"], &outputs["role"]), (&json!("Default"), &json!(ROLE)));
    let arn = outputs["recovery_point"].as_str().unwrap();
    let made: Vec<_> = recorded.artifacts.iter().filter(|made| made.target == web1).collect();
    assert_eq!((made.len(), made[0].id.as_str(), made[0].vault.as_deref()), (1, arn, Some("Default")));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_never_started_has_a_cause_of_its_own() {
    let world = world("{ kind: backup_late, targets: [web/2], after: 3h }");
    let attempt = backup(&world, &json!({}));
    attempt.live_to_the_end(&Backup::default()).await.unwrap();
    let reports = reports(&world, &attempt);
    assert_eq!((reports[0].as_str(), reports[2].as_str()), ("succeeded", "succeeded"));
    assert!(
        reports[1].starts_with("failed: AWS Backup did not start the job ")
            && reports[1].contains(" within its start window, which ended "),
        "{}",
        reports[1]
    );
}

#[tokio::test(start_paused = true)]
async fn a_backup_with_issues_is_no_backup() {
    let world = world(
        "{ kind: backup_issues, targets: [web/1], output: VSS failed }, { kind: backup_failed, targets: [web/3] }",
    );
    let attempt = backup(&world, &json!({}));
    attempt.live_to_the_end(&Backup::default()).await.unwrap();
    let reports = reports(&world, &attempt);
    assert!(reports[0].starts_with("failed: the backup completed with issues ("), "{}", reports[0]);
    assert!(reports[0].ends_with("VSS failed"), "{}", reports[0]);
    assert_eq!(reports[1], "succeeded");
    assert!(
        reports[2].starts_with("failed: the backup job ") && reports[2].contains(" is failed"),
        "{}",
        reports[2]
    );
}

#[tokio::test(start_paused = true)]
async fn what_aws_backup_would_refuse_is_not_asked_for() {
    for (inputs, cause) in [
        (json!({ "vault": "nowhere" }), "there is no vault `nowhere` in this account and Region"),
        (json!({ "role": "backup" }), "the input `role` is not the ARN of a role"),
        (
            json!({ "start_within": "30m" }),
            "`start_within` is shorter than an hour, the shortest start window of AWS Backup",
        ),
        (json!({ "vss": true }), "`vss` is for Windows, and this machine is not"),
    ] {
        let world = world("");
        let attempt = backup(&world, &inputs);
        attempt.live_to_the_end(&Backup::default()).await.unwrap();
        assert_eq!(reports(&world, &attempt), vec![format!("failed: {cause}"); 3]);
        assert_eq!(world.calls().count("backup:StartBackupJob"), 0);
    }
}
