//! The actions on hosts of our own, in the simulated world: straight on, with faults, and crashed at every point.

mod backup;
mod between;
mod compliance;
mod late;
mod patch;
mod patch_broken_off;
mod patchset;
mod reboot;
mod restore;
mod resumed;
mod script;
mod service;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use runbook_engine::target::Target;
use runbook_steps::{action::Action, world::World};
use serde_json::Value;

use crate::contract::{
    attempt::{Attempt, host},
    crash_world_everywhere,
};

/// Three hosts, with these faults.
fn world(faults: &str) -> Arc<World> {
    world_of("pending: { missing: 4, security: 2, critical: 1 }", faults)
}

/// Three hosts of which this is said besides, with these faults.
fn world_of(said: &str, faults: &str) -> Arc<World> {
    let fleet = format!(
        "
fleet: hosts
settle: 20s
durations: {{ patch: 5m..9m, boot: 1m, snapshot: 2m..4m, scan: 30s, restore: 4m, command: 10s..60s }}
groups:
  - {{ name: box, count: 3, kind: host, services: [shop], {said} }}
faults: [{faults}]
"
    );
    World::in_memory(&fleet, 7).expect("a fleet")
}

const NAMES: [&str; 3] = ["box-1", "box-2", "box-3"];

fn hosts() -> [Target; 3] {
    NAMES.map(host)
}

/// An attempt on all of them.
fn attempt(world: &Arc<World>, inputs: Value) -> Attempt {
    let mut attempt = Attempt::new(world.ports(), inputs).on(hosts());
    attempt.settings.settle = world.settle();
    attempt.timeout = Duration::from_secs(3 * 3600);
    attempt
}

/// Outcomes in the order of the hosts' names.
fn reports(attempt: &Attempt) -> Vec<String> {
    let reports = attempt.reports();
    NAMES.iter().map(|name| reports.get(*name).cloned().unwrap_or_else(|| "not reported".into())).collect()
}

/// One life to the end.
async fn run(action: &dyn Action, attempt: &Attempt) -> Vec<String> {
    attempt.live_to_the_end(action).await.expect("an end");
    reports(attempt)
}

/// How often each kind of job was started on each host: the same everywhere.
fn jobs(world: &World) -> BTreeMap<String, usize> {
    let calls = world.calls();
    assert_eq!(calls.doubled(), Vec::<String>::new());
    let mut by_host: BTreeMap<_, BTreeMap<String, usize>> = BTreeMap::new();
    for call in calls.effects("ssh:start") {
        let deed = call.resource.clone().expect("a deed");
        *by_host.entry(call.machines[0].clone()).or_default().entry(deed).or_default() += 1;
    }
    let mut kinds = by_host.into_values();
    let first = kinds.next().unwrap_or_default();
    assert!(kinds.all(|other| other == first), "the hosts differ");
    first
}

/// Crashes the attempt at every point of its journal, and before and after every call that writes. However it died,
/// each host must come out well, and exactly these jobs must have been started on each.
async fn survives(action: &dyn Action, make: impl Fn() -> (Arc<World>, Attempt), expected: &[(&str, usize)]) {
    let expected: BTreeMap<_, _> =
        expected.iter().map(|(deed, times)| ((*deed).to_owned(), *times)).collect();
    crash_world_everywhere(action, make, |world, attempt| {
        assert_eq!(reports(attempt), ["succeeded"; 3]);
        assert_eq!(jobs(world), expected);
    })
    .await;
}
