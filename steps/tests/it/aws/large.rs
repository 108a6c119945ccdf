//! Many machines: few calls, few entries.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use runbook_engine::{ids::GroupName, target::TargetQuery};
use runbook_steps::{
    action::Action,
    actions::aws::{command::Command, compliance::Compliance, patch::Patch, snapshot::Snapshot},
    world::World,
};
use serde_json::{Value, json};

use crate::contract::attempt::Attempt;

const FLEET: &str = "
fleet: large
groups:
  - { name: all, count: 2000 }
faults:
  - { kind: command_failed, count: 20 }
  - { kind: throttled, times: 20 }
";

async fn attempt(world: &Arc<World>, inputs: Value) -> Attempt {
    let query = TargetQuery::Aws {
        tags: BTreeMap::new(),
        ids: vec![],
        resource_group: None,
        region: None,
        role: None,
        external_id: None,
    };
    let ports = world.ports();
    let machines = ports.inventory.resolve(&GroupName::from("all"), &query).await.expect("machines");
    let mut attempt = Attempt::new(ports, inputs).on(machines);
    attempt.settings.settle = world.settle();
    attempt.timeout = Duration::from_secs(6 * 3600);
    attempt
}

async fn goes_through(world: &Arc<World>, action: &dyn Action, inputs: Value) -> Attempt {
    let attempt = attempt(world, inputs).await;
    assert_eq!(attempt.live_to_the_end(action).await, Ok(Value::Null));
    attempt
}

fn failed(attempt: &Attempt) -> usize {
    attempt.reports().values().filter(|report| *report != "succeeded").count()
}

#[tokio::test(start_paused = true)]
async fn many_machines_are_spoken_to_in_batches() {
    let world = World::in_memory(FLEET, 1).expect("a fleet");
    assert_eq!(failed(&goes_through(&world, &Snapshot::default(), json!({ "volumes": "all" })).await), 0);
    let install = json!({ "operation": "Install", "reboot": "RebootIfNeeded" });
    let patch = goes_through(&world, &Patch::default(), install).await;
    assert_eq!(failed(&patch), 20);
    // Forty each for the boots before, the installation, the boots after and the scans; some machines are out.
    let sent = world.calls().count("ssm:SendCommand");
    assert!((160..=168).contains(&sent), "{sent} commands");
    let reads = world.reads();
    // Each command's machines are listed once, and once more for each that failed.
    assert!(reads["ssm:ListCommandInvocations"] <= 220, "{reads:?}");
    assert!(reads["ssm:DescribeInstancePatchStates"] <= 48, "{reads:?}");
    assert_eq!(reads["ec2:DescribeVolumes"], 1, "one that the port cuts into pages: {reads:?}");
    assert!(patch.journal.recorded().entries < 1500, "{} entries", patch.journal.recorded().entries);
    goes_through(&world, &Compliance::default(), json!({})).await;
    assert_eq!(failed(&goes_through(&world, &Command::default(), json!({ "script": "true" })).await), 20);
    assert_eq!(world.calls().count("ec2:CreateSnapshots"), 2000);
}

const ONE_FAILS: &str = "
fleet: large
groups:
  - { name: quick, count: 1, durations: { command: 60s } }
  - { name: slow, count: 249, durations: { command: 20m..30m } }
faults:
  - { kind: command_failed, targets: [quick] }
";

#[tokio::test(start_paused = true)]
async fn a_failure_among_many_commands_is_told_at_once() {
    let world = World::in_memory(ONE_FAILS, 1).expect("a fleet");
    let attempt = attempt(&world, json!({ "script": "true" })).await;
    let began = world.now();
    let told = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if failed(&attempt) > 0 {
                return world.now().duration_since(began).as_secs();
            }
        }
    };
    let command = Command::default();
    let (ended, told) = tokio::join!(attempt.live_to_the_end(&command), told);
    assert_eq!(ended, Ok(Value::Null));
    assert!((60..=90).contains(&told), "told after {told} s");
    // The others were looked at together: three looks a minute in the worst case, and one listing of each command.
    let reads = world.reads();
    assert!(reads["ssm:ListCommandInvocations"] <= 20 && reads["ssm:ListCommands"] <= 110, "{reads:?}");
}
