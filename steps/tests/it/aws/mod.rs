//! The actions on EC2 machines, in the simulated world: straight on, with faults, and crashed at every point.

mod backup;
mod command;
mod faults;
mod large;
mod not_begun;
mod patch;
mod per_machine;
mod readiness;
mod restore;
mod restore_rights;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use runbook_engine::{
    ids::GroupName,
    target::{Target, TargetQuery},
};
use runbook_steps::{action::Action, ports::Ports, world::World};
use serde_json::Value;

use crate::contract::{
    attempt::{Attempt, inputs_of},
    crash_world_everywhere,
};

/// A small fleet, with these faults.
fn world(faults: &str) -> Arc<World> {
    let fleet = format!(
        "
fleet: small
settle: 20s
durations: {{ patch: 5m..9m, boot: 1m, snapshot: 2m..4m, scan: 30s, restore: 4m, command: 10s..60s }}
groups:
  - {{ name: web, count: 3, tags: {{ Environment: production }}, volumes: 2 }}
faults: [{faults}]
"
    );
    World::in_memory(&fleet, 7).expect("a fleet")
}

/// Its machines. Reading them must need no runtime of their own.
fn machines(ports: &Ports) -> Vec<Target> {
    let query = TargetQuery::Aws {
        tags: BTreeMap::from([("Environment".into(), vec!["production".into()])]),
        ids: vec![],
        resource_group: None,
        region: None,
        role: None,
        external_id: None,
    };
    let group = GroupName::from("production");
    let mut asked = Box::pin(ports.inventory.resolve(&group, &query));
    match asked.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(found) => found.expect("machines"),
        std::task::Poll::Pending => panic!("the world answers at once"),
    }
}

/// An attempt on the whole fleet.
fn attempt(world: &Arc<World>, inputs: Value) -> Attempt {
    let ports = world.ports();
    let mut attempt = Attempt::new(ports.clone(), inputs).on(machines(&ports));
    attempt.settings.settle = world.settle();
    attempt.timeout = Duration::from_secs(3 * 3600);
    attempt
}

/// Outcomes in the order of the machines' names.
fn reports(world: &World, attempt: &Attempt) -> Vec<String> {
    let reports = attempt.reports();
    ["web-1", "web-2", "web-3"]
        .iter()
        .map(|name| {
            let id = world.machine(name).expect("a machine");
            reports.get(id.as_str()).cloned().unwrap_or_else(|| "not reported".into())
        })
        .collect()
}

/// Crashes the attempt at every point of its journal, and before and after every call that writes. However it died,
/// each machine must come out as `expected`, and nothing may have been done twice.
async fn survives(
    action: &dyn Action,
    make: impl Fn() -> (Arc<World>, Attempt),
    expected: &[&str],
    effects: &[(&str, usize)],
) {
    crash_world_everywhere(action, make, |world, attempt| {
        assert_eq!(reports(world, attempt), expected);
        judge_effects(world, effects);
    })
    .await;
}

fn judge_effects(world: &World, effects: &[(&str, usize)]) {
    let calls = world.calls();
    assert_eq!(calls.doubled(), Vec::<String>::new());
    for (call, times) in effects {
        let mut machines: BTreeMap<_, usize> = BTreeMap::new();
        // `patch`: commands that scan or install; those that only read a boot are asked anew by each life.
        let name = if *call == "patch" { "ssm:SendCommand" } else { call };
        for effect in
            calls.effects(name).filter(|effect| *call != "patch" || effect.operation != Some("Boot"))
        {
            for machine in &effect.machines {
                *machines.entry(machine.clone()).or_default() += 1;
            }
        }
        assert!(machines.len() == 3 && machines.values().all(|n| n == times), "{call}: {machines:?}");
    }
}

/// Inputs of a restore from these snapshots.
fn backed_up(inputs: Value, backup: impl Into<Arc<Value>>) -> runbook_steps::action::Inputs {
    runbook_steps::action::Inputs { backup: Some(backup.into()), ..inputs_of(inputs) }
}
