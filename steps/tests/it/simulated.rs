//! Programs of this machine in the simulated world: nothing runs, and machines answer by their health.

use std::{sync::Arc, time::Duration};

use runbook_engine::{ids::TaskName, target::Target};
use runbook_steps::{
    action::Action,
    actions::{check::command::Command as Check, local::command::Command as Local},
    world::World,
};
use serde_json::{Value, json};

use crate::contract::attempt::{Attempt, host};

const FLEET: &str = "
fleet: hosts
groups:
  - { name: box, count: 2, kind: host }
faults:
  - { kind: unhealthy_after_patch, step: deploy, targets: [box/2], times: 1 }
  - { kind: command_failed, step: fails, targets: [box/1], exit: 4 }
";

fn boxes() -> [Target; 2] {
    [host("box-1"), host("box-2")]
}

async fn run(world: &Arc<World>, action: &dyn Action, task: &str, inputs: Value) -> Vec<String> {
    let attempt = Attempt::new(world.ports_for(&TaskName::new(task), 1), inputs).on(boxes());
    attempt.live_to_the_end(action).await.expect("an end");
    world.ports().clock.sleep(Duration::from_secs(1)).await;
    attempt.reports().into_values().collect()
}

#[tokio::test(start_paused = true)]
async fn a_bad_deployment_makes_sick_and_the_old_one_mends() {
    let world = World::in_memory(FLEET, 1).expect("a fleet");
    let check = json!({ "script": "curl", "within": "30s", "expect_exit": 3 });
    let script = |text: &str| json!({ "script": text });
    assert_eq!(run(&world, &Check::default(), "healthy", check.clone()).await, ["succeeded"; 2]);
    assert_eq!(run(&world, &Local::default(), "wave-1/deploy", script("new")).await, ["succeeded"; 2]);
    let sick = ["succeeded", "failed: the script exited with 1 for 30s"];
    assert_eq!(run(&world, &Check::default(), "healthy", check.clone()).await, sick);
    assert_eq!(run(&world, &Local::default(), "wave-1/restore", script("old")).await, ["succeeded"; 2]);
    assert_eq!(run(&world, &Check::default(), "healthy", check).await, ["succeeded"; 2]);
    let failed = run(&world, &Local::default(), "fails", script("x")).await;
    assert_eq!(failed, ["failed: the program exited with 4", "succeeded"]);
    // Looks are no effects.
    assert_eq!(world.calls().count("process:start"), 6);
}
