//! The readiness gate: what is not ready is named, before anything is changed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use runbook_engine::{catalog::ActionDoc, ids::TargetId};
use runbook_steps::{
    action::{Action, Failure, Work},
    actions::aws::{
        readiness::{Precaution, check},
        snapshot::{self, Snapshot},
    },
    context::{Context, StopReason},
    fanout::Done,
    world::World,
};
use serde_json::{Value, json};

use super::{attempt, machines, reports, world};
use crate::contract::attempt::Attempt;

/// An action that does nothing but pass the gate.
struct Gate {
    doc: ActionDoc,
    backups: BTreeMap<TargetId, Value>,
    strategy: &'static str,
}

#[async_trait]
impl Action for Gate {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        let precaution = |target: &Arc<_>, id: &TargetId| Precaution {
            target: Arc::clone(target),
            backup: self.backups[id].clone().into(),
            strategy: self.strategy.to_owned(),
        };
        let all: Vec<_> = work.targets.iter().map(|(target, _)| precaution(target, &target.id)).collect();
        let refused = check(ctx, &all, true).await?;
        for (target, _) in &work.targets {
            let done = match refused.get(&target.id) {
                Some(report) => {
                    assert!(report.class.is_some_and(|class| class.proves_nothing_applied()));
                    report.clone()
                }
                None => Done::of(runbook_engine::run::event::Report::succeeded()).report,
            };
            ctx.ledger.report(vec![target.id.clone()], done).await?;
        }
        Ok(Value::Null)
    }
}

/// A world whose machines are backed up, with these faults.
async fn backed_up(faults: &str) -> (Arc<World>, BTreeMap<TargetId, Value>) {
    let world = world(faults);
    let taking = attempt(&world, json!({ "volumes": "all", "keep": "14d" }));
    taking.live_to_the_end(&Snapshot::default()).await.expect("backups");
    let backups = taking.journal.recorded().outputs.clone();
    (world, backups)
}

async fn pass(world: &Arc<World>, backups: BTreeMap<TargetId, Value>, strategy: &'static str) -> Vec<String> {
    let gate: Attempt = attempt(world, json!({}));
    gate.live_to_the_end(&Gate { doc: snapshot::doc(), backups, strategy }).await.expect("an end");
    reports(world, &gate)
}

#[tokio::test(start_paused = true)]
async fn what_is_ready_passes_and_nothing_is_done() {
    let (world, backups) = backed_up("").await;
    let before = world.calls().calls.len();
    for strategy in ["auto", "swap-volumes", "replace-root-volume"] {
        assert_eq!(pass(&world, backups.clone(), strategy).await, ["succeeded"; 3]);
    }
    assert_eq!(world.calls().calls[before..].iter().filter(|call| call.took_effect).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_is_gone_is_no_way_back() {
    let (world, backups) = backed_up("").await;
    let machine =
        machines(&world.ports()).into_iter().find(|machine| machine.name == "web-2").expect("web-2");
    let gone = backups[&machine.id]["snapshots"][0].as_str().expect("a snapshot").to_owned();
    let ec2 = world.ports().aws.expect("AWS").ec2(&machine.home);
    ec2.delete_snapshot(&gone).await.expect("deleted");
    let reports = pass(&world, backups, "auto").await;
    assert_eq!(reports[1], format!("failed: {gone} of its backup is gone, so it was not changed"));
    assert_eq!((reports[0].as_str(), reports[2].as_str()), ("succeeded", "succeeded"));
}

/// The backups of a world with these faults by `aws/backup`.
async fn recovery_points(faults: &str) -> (Arc<World>, BTreeMap<TargetId, Value>) {
    let (world, attempt) = super::restore::recovery_points(faults);
    let backup = |id: &TargetId| (**attempt.inputs_of(id).backup.as_ref().expect("a backup")).clone();
    let backups =
        machines(&world.ports()).into_iter().map(|machine| (machine.id.clone(), backup(&machine.id)));
    let backups = backups.collect();
    (world, backups)
}

#[tokio::test(start_paused = true)]
async fn a_backup_that_cannot_be_read_is_no_way_back() {
    let (world, backups) = backed_up("").await;
    let unread = "its backup names neither snapshots nor a recovery point to restore from";
    let cases = [
        (json!({ "stdout": "dumped", "exit_code": 0 }), "auto", unread),
        (json!({ "snapshots": ["snap-1"] }), "auto", "the backup does not say which volumes it holds"),
        (
            json!({ "snapshots": ["snap-1"] }),
            "swap-volumes",
            "the backup does not say which volumes it holds",
        ),
        (
            json!({ "snapshots": ["snap-1"] }),
            "replace-root-volume",
            "the backup does not say which of its snapshots is of the root volume",
        ),
        (json!({ "recovery_point": "arn:1" }), "auto", "the backup does not say its vault"),
        (json!({ "recovery_point": "arn:1", "vault": "v" }), "auto", "the backup does not say its role"),
    ];
    for (backup, strategy, why) in cases {
        let all = backups.keys().map(|id| (id.clone(), backup.clone())).collect();
        assert_eq!(
            pass(&world, all, strategy).await,
            vec![format!("failed: {why}, so it was not changed"); 3],
            "{backup} {strategy}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_backup_of_another_kind_is_no_way_back() {
    let (world, backups) = backed_up("").await;
    for report in pass(&world, backups, "backup-restore").await {
        assert!(report.starts_with("failed: the backup does not say its recovery point"), "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn recovery_points_that_are_ready_pass_and_nothing_is_done() {
    let (world, backups) = recovery_points("").await;
    let before = world.calls().calls.len();
    assert_eq!(pass(&world, backups, "auto").await, ["succeeded"; 3]);
    assert_eq!(world.calls().calls[before..].iter().filter(|call| call.took_effect).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_missing_stops_all_and_is_named() {
    for (call, strategy) in [
        ("ec2:AttachVolume", "swap-volumes"),
        ("ec2:DetachVolume", "swap-volumes"),
        ("ec2:CreateVolume", "swap-volumes"),
        ("ec2:StopInstances", "swap-volumes"),
        ("ec2:StartInstances", "swap-volumes"),
        ("ec2:ModifyInstanceAttribute", "swap-volumes"),
        ("ec2:CreateTags", "swap-volumes"),
        ("ec2:DescribeInstanceStatus", "swap-volumes"),
        ("ssm:DescribeInstanceInformation", "swap-volumes"),
        ("ec2:CreateReplaceRootVolumeTask", "replace-root-volume"),
        ("ec2:DescribeInstanceStatus", "replace-root-volume"),
        ("ec2:DescribeReplaceRootVolumeTasks", "replace-root-volume"),
        ("ec2:StartInstances", "replace-root-volume"),
        ("ec2:RebootInstances", "replace-root-volume"),
        ("ssm:DescribeInstanceInformation", "replace-root-volume"),
        ("backup:GetRecoveryPointRestoreMetadata", "backup-restore"),
        ("backup:ListRestoreJobs", "backup-restore"),
        ("ec2:DescribeInstanceStatus", "backup-restore"),
        ("ec2:DescribeVolumes", "backup-restore"),
        ("ssm:DescribeInstanceInformation", "backup-restore"),
    ] {
        let faults = format!("{{ kind: denied, call: '{call}' }}");
        let (world, backups) = match strategy {
            "backup-restore" => recovery_points(&faults).await,
            _ => backed_up(&faults).await,
        };
        for report in pass(&world, backups, strategy).await {
            let named =
                format!("failed: not changed, because it could not be restored: {call} is not allowed: ");
            assert!(report.starts_with(&named), "{call}: {report}");
            assert!(report.ends_with("see what is needed: `runbook iam-policy FILE`"), "{call}: {report}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_strategy_does_not_need_may_be_missing() {
    for (call, strategy) in [
        ("ec2:DescribeReplaceRootVolumeTasks", "swap-volumes"),
        ("ec2:StopInstances", "replace-root-volume"),
        ("backup:ListRestoreJobs", "replace-root-volume"),
    ] {
        let (world, backups) = backed_up(&format!("{{ kind: denied, call: '{call}' }}")).await;
        assert_eq!(pass(&world, backups, strategy).await, ["succeeded"; 3], "{call} {strategy}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_right_that_one_machine_lacks_stops_that_machine_only() {
    for (call, strategy) in [
        ("ec2:StopInstances", "swap-volumes"),
        ("ec2:StartInstances", "replace-root-volume"),
        ("ec2:RebootInstances", "swap-volumes"),
        ("ec2:AttachVolume", "swap-volumes"),
        ("ec2:CreateReplaceRootVolumeTask", "replace-root-volume"),
    ] {
        let faults = format!("{{ kind: denied, call: '{call}', targets: [web/1] }}");
        let (world, backups) = backed_up(&faults).await;
        let reports = pass(&world, backups, strategy).await;
        let named = format!("failed: not changed, because it could not be restored: {call} is not allowed: ");
        assert!(reports[0].starts_with(&named), "{call}: {}", reports[0]);
        assert_eq!(reports[1..], ["succeeded"; 2], "{call}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_says_nothing_of_rights() {
    let faults =
        "{ kind: server_error, ran: false, call: 'ssm:DescribeInstanceInformation', times: 1000000 }";
    let (world, backups) = backed_up(faults).await;
    assert_eq!(pass(&world, backups, "auto").await, ["succeeded"; 3]);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_looked_at_in_time_is_not_changed() {
    for (reason, why) in [
        (StopReason::TimedOut, "its way back could not be looked at in time"),
        (StopReason::Cancelled, "the run was cancelled while its way back was looked at"),
    ] {
        let faults = "{ kind: throttled, call: 'ec2:DryRun', times: 1000000 }";
        let (world, backups) = backed_up(faults).await;
        let gate = attempt(&world, json!({}));
        let stop = async {
            tokio::time::sleep(Duration::from_secs(600)).await;
            gate.stop.send_replace(reason);
        };
        let action = Gate { doc: snapshot::doc(), backups, strategy: "auto" };
        tokio::join!(gate.live_to_the_end(&action), stop).0.expect("an end");
        assert_eq!(reports(&world, &gate), vec![format!("failed: {why}, so it was not changed"); 3]);
    }
}
