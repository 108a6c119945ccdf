//! `check/*` from the host's side, and `check/log`, on simulated hosts.

use std::{sync::Arc, time::Duration};

use runbook_engine::{ids::TaskName, target::Target};
use runbook_steps::{
    action::Action,
    actions::{
        check::{command::Command, http::Http, log::Log, tcp::Tcp},
        local::command::Command as Local,
    },
    ports::clock::SystemClock,
    world::World,
};
use serde_json::{Value, json};

use crate::contract::{
    attempt::{Attempt, host},
    nowhere::ports,
};

const FLEET: &str = "
fleet: hosts
groups:
  - { name: box, count: 3, kind: host }
faults:
  - { kind: unhealthy_after_patch, step: deploy, targets: [box/2], times: 1 }
  - { kind: unreachable, targets: [box/3] }
";

fn boxes() -> [Target; 3] {
    ["box-1", "box-2", "box-3"].map(host)
}

async fn run(world: &Arc<World>, action: &dyn Action, task: &str, inputs: Value) -> Vec<String> {
    let attempt = Attempt::new(world.ports_for(&TaskName::new(task), 1), inputs).on(boxes());
    attempt.live_to_the_end(action).await.expect("an end");
    world.ports().clock.sleep(Duration::from_secs(1)).await;
    attempt.reports().into_values().collect()
}

/// One host is well, one is sick, one is not there.
async fn spoiled() -> Arc<World> {
    let world = World::in_memory(FLEET, 1).expect("a fleet");
    run(&world, &Local::default(), "wave-1/deploy", json!({ "script": "new" })).await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_host_looks_by_itself_and_one_that_cannot_be_spoken_to_is_unreachable() {
    let world = spoiled().await;
    let url = json!({ "url": "http://u:p@127.0.0.1:8080/healthz?key=x", "from": "host", "within": "30s" });
    let port = json!({ "host": "127.0.0.1", "port": 5432, "from": "host", "within": "30s" });
    let script = json!({ "script": "is-it-well", "expect_exit": 3, "from": "host", "within": "30s" });
    for (action, inputs, subject, saw) in [
        (&Http::default() as &dyn Action, url, "http://127.0.0.1:8080/healthz", "did not pass"),
        (&Tcp::default(), port, "127.0.0.1:5432", "did not pass"),
        (&Command::default(), script, "the script", "exited with 1"),
    ] {
        let reports = run(&world, action, "healthy", inputs).await;
        assert_eq!(reports[0], "succeeded");
        assert_eq!(reports[1], format!("failed: {subject} (from box-2) {saw} for 30s"));
        let away = format!("unreachable: {subject} (from box-3) could not be looked at (");
        assert!(reports[2].starts_with(&away), "{reports:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_offending_line_is_told_at_once_and_an_expected_one_is_waited_for() {
    let world = spoiled().await;
    let unit =
        json!({ "unit": "shop", "patterns": ["ERROR"], "within": "30s", "since": "2026-11-22T10:00:00Z" });
    let reports = run(&world, &Log::default(), "quiet", unit).await;
    assert_eq!(reports[0], "succeeded");
    assert_eq!(
        reports[1],
        "failed: the journal of shop of box-2 has since 2026-11-22T10:00:00Z the line `simulated: the service failed`"
    );
    assert!(reports[2].starts_with("unreachable: the journal of shop of box-3 could not be looked at ("));

    let file = json!({ "file": "/var/log/shop.log", "patterns": [], "expect": ["ready"], "within": "30s" });
    let reports = run(&world, &Log::default(), "ready", file).await;
    assert_eq!(reports[0], "succeeded");
    assert!(reports[1].starts_with("failed: /var/log/shop.log of box-2 has no line since "), "{reports:?}");
    assert!(reports[1].ends_with(" that matches `ready` for 30s"), "{reports:?}");
}

#[tokio::test]
async fn what_can_never_be_looked_at_fails_at_once() {
    let inputs = json!({ "url": "http://127.0.0.1/", "from": "host", "within": "1h" });
    let attempt = Attempt::new(ports(SystemClock), inputs.clone()).on([host("box-1")]);
    attempt.live_to_the_end(&Http::default()).await.expect("it is reported");
    let report = &attempt.reports()["box-1"];
    assert!(report.starts_with("failed: http://127.0.0.1/ (from box-1) cannot be looked at: "), "{report}");

    let failed = Attempt::new(ports(SystemClock), inputs).live_to_the_end(&Http::default()).await;
    let failed = failed.expect_err("there is no host").to_string();
    assert_eq!(failed, "`from: host` needs a step with targets: there is no host to look from");

    let inputs = json!({ "unit": "shop", "patterns": ["x"], "since": "patch" });
    let attempt = Attempt::new(ports(SystemClock), inputs).on([host("box-1")]);
    attempt.live_to_the_end(&Log::default()).await.expect("it is reported");
    assert_eq!(
        attempt.reports()["box-1"],
        "failed: the step `patch`, which `since` names, did not begin on box-1"
    );
}
