//! The readiness gate: what is not ready is named, before anything is changed.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use runbook_engine::{catalog::ActionDoc, ids::TargetId};
use runbook_steps::{
    action::{Action, Failure, Work},
    actions::aws::{
        readiness::{Precaution, check},
        snapshot::{self, Snapshot},
    },
    context::Context,
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
            backup: self.backups[id].clone(),
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

#[tokio::test(start_paused = true)]
async fn a_right_that_is_missing_stops_all_and_is_named() {
    for (call, strategy) in [
        ("ec2:AttachVolume", "swap-volumes"),
        ("ec2:DetachVolume", "swap-volumes"),
        ("ec2:CreateVolume", "swap-volumes"),
        ("ec2:StopInstances", "swap-volumes"),
        ("ec2:StartInstances", "swap-volumes"),
        ("ec2:ModifyInstanceAttribute", "swap-volumes"),
        ("ec2:DescribeInstanceStatus", "swap-volumes"),
        ("ssm:DescribeInstanceInformation", "swap-volumes"),
        ("ec2:CreateReplaceRootVolumeTask", "replace-root-volume"),
        ("ec2:DescribeReplaceRootVolumeTasks", "replace-root-volume"),
        ("ec2:DescribeInstanceStatus", "replace-root-volume"),
        ("ssm:DescribeInstanceInformation", "replace-root-volume"),
        ("ec2:StartInstances", "replace-root-volume"),
        ("ec2:RebootInstances", "replace-root-volume"),
    ] {
        let (world, backups) = backed_up(&format!("{{ kind: denied, call: '{call}' }}")).await;
        for report in pass(&world, backups, strategy).await {
            let named =
                format!("failed: not changed, because it could not be restored: {call} is not allowed: ");
            assert!(report.starts_with(&named), "{call}: {report}");
            assert!(report.ends_with("see what is needed: `runbook iam-policy FILE`"), "{call}: {report}");
        }
    }
}
