//! What is known not to have been done is told so: nothing has to be restored.

use std::time::Duration;

use runbook_steps::{
    action::Action,
    actions::aws::{command::Command, patch::Patch, reboot::Reboot},
    context::StopReason,
    world::World,
};
use serde_json::{Value, json};

use super::{attempt, reports, world};
use crate::contract::attempt::Attempt;

fn actions() -> [(Box<dyn Action>, Value); 3] {
    [
        (Box::new(Command::default()), json!({ "script": "uptime" })),
        (Box::new(Patch::default()), json!({ "operation": "Install" })),
        (Box::new(Reboot::default()), json!({})),
    ]
}

/// Nothing took effect that changes a machine, and every report says so.
fn is_untouched(world: &World, attempt: &Attempt) -> bool {
    let changes = world.calls().calls.iter().any(|call| call.took_effect && call.operation != Some("Boot"));
    let recorded = attempt.journal.recorded();
    !changes
        && recorded.reports.len() == 3
        && recorded
            .reports
            .values()
            .all(|report| report.class.is_some_and(|class| class.proves_nothing_applied()))
}

#[tokio::test(start_paused = true)]
async fn whose_turn_does_not_come_any_more() {
    for reason in [StopReason::TimedOut, StopReason::Cancelled] {
        for (action, inputs) in actions() {
            let world = world("");
            let attempt = attempt(&world, inputs);
            attempt.stop.send_replace(reason);
            attempt.live_to_the_end(action.as_ref()).await.unwrap();
            let name = action.doc().name;
            assert!(is_untouched(&world, &attempt), "{name}, {reason:?}: {:?}", reports(&world, &attempt));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whose_call_is_never_executed() {
    let own = |name: &str| if name == "aws/reboot" { "ec2:RebootInstances" } else { "ssm:SendCommand" };
    let agents = |_: &str| "ssm:DescribeInstanceInformation";
    for (fault, call) in
        [("throttled", own as fn(&str) -> &str), ("denied", own), ("throttled", agents), ("denied", agents)]
    {
        for (action, inputs) in actions() {
            let name = action.doc().name;
            let call = call(name);
            let world = world(&format!("{{ kind: {fault}, call: \"{call}\", times: 100000 }}"));
            let attempt = attempt(&world, inputs);
            let (stop, ports) = (attempt.stop.clone(), world.ports());
            let over = tokio::spawn(async move {
                ports.clock.sleep(Duration::from_secs(3600)).await;
                stop.send_replace(StopReason::TimedOut);
            });
            attempt.live_to_the_end(action.as_ref()).await.unwrap();
            over.abort();
            assert!(
                is_untouched(&world, &attempt),
                "{name}, {fault} {call}: {:?}",
                reports(&world, &attempt)
            );
        }
    }
}
