//! `linux/patch` on machines that take what was tested.

use std::sync::Arc;

use runbook_engine::outcome::ErrorClass;
use runbook_steps::{action::Inputs, actions::linux::patch::Patch, world::World};
use serde_json::{Value, json};

use super::{hosts, jobs, reports, world_of};
use crate::contract::attempt::{Attempt, inputs_of};

const PACKAGES: &str = "packages: [
    { name: app, version: '1', next: '2', brings: [lib] },
    { name: lib, next: '5' },
    { name: tool, version: '1', next: '2' }]";

async fn take(world: &Arc<World>, patchset: Value) -> Attempt {
    let inputs = json!({ "operation": "Install", "select": "all", "held": "keep", "config_files": "keep",
                         "reboot": "NoReboot", "lock_wait": "10m" });
    let patchset = Some(Arc::new(patchset));
    let mut attempt = Attempt::new(world.ports(), json!({}));
    for host in hosts() {
        attempt = attempt.and(host, Inputs { patchset: patchset.clone(), ..inputs_of(inputs.clone()) });
    }
    attempt.live_to_the_end(&Patch::default()).await.expect("an end");
    attempt
}

fn of(attempt: &Attempt, part: &str) -> Value {
    attempt.journal.recorded().outputs["box-1"][part].clone()
}

#[tokio::test(start_paused = true)]
async fn exactly_what_was_tested_is_installed() {
    let world = world_of(PACKAGES, "");
    let tested = json!({ "platforms": { "debian-12-amd64": { "app": "2", "lib": "5" } } });
    let attempt = take(&world, tested).await;
    assert_eq!(reports(&attempt), ["succeeded"; 3]);
    assert_eq!(of(&attempt, "changed").as_array().map(Vec::len), Some(2));
    let why = "not tested on debian-12-amd64";
    assert_eq!(of(&attempt, "kept_back"), json!([{ "name": "tool", "version": "2", "why": why }]));
}

#[tokio::test(start_paused = true)]
async fn something_untested_that_would_come_along_is_refused() {
    let world = world_of(PACKAGES, "");
    let tested = json!({ "platforms": { "debian-12-amd64": { "app": "2" } } });
    let attempt = take(&world, tested).await;
    let cause = "failed: nothing was installed: lib 5 (new) would come along: not tested on debian-12-amd64";
    assert_eq!(reports(&attempt), [cause; 3]);
    let class = attempt.journal.recorded().reports["box-1"].class;
    assert_eq!(class, Some(ErrorClass::Undeliverable));
    assert!(!jobs(&world).contains_key("install"));
}

#[tokio::test(start_paused = true)]
async fn a_tested_version_that_is_gone_is_refused() {
    let world = world_of(PACKAGES, "{ kind: republished }");
    let tested = json!({ "platforms": { "debian-12-amd64": { "tool": "2" } } });
    let attempt = take(&world, tested).await;
    assert_eq!(
        reports(&attempt),
        ["failed: the package manager refuses: version 2 of tool was not found"; 3]
    );
}

#[tokio::test(start_paused = true)]
async fn what_broke_another_host_is_left_out() {
    let world = world_of(PACKAGES, "");
    let barred =
        json!({ "barred": { "debian-12-amd64": [{ "name": "tool", "version": "2", "broke": "dev-1" }] } });
    let attempt = take(&world, barred).await;
    assert_eq!(reports(&attempt), ["succeeded"; 3]);
    assert_eq!(
        of(&attempt, "kept_back"),
        json!([{ "name": "tool", "version": "2", "why": "barred: it broke dev-1" }])
    );
    assert_eq!(of(&attempt, "changed").as_array().map(Vec::len), Some(2));
}

#[tokio::test(start_paused = true)]
async fn what_is_newer_than_what_was_tested_stays() {
    for os in ["debian-12", "rocky-9.4"] {
        let packages = "packages: [{ name: app, version: 1.10-1, next: 1.11-1 }, { name: tool, version: '1', next: '2' }]";
        let world = world_of(&format!("os: {os}, {packages}"), "");
        let platform = if os == "debian-12" { "debian-12-amd64" } else { "rocky-9-x86_64" };
        let attempt =
            take(&world, json!({ "platforms": { platform: { "app": "1.9-1", "tool": "2" } } })).await;
        assert_eq!(reports(&attempt), ["succeeded"; 3]);
        let why = "1.10-1 is newer than 1.9-1, which was tested";
        assert_eq!(of(&attempt, "kept_back"), json!([{ "name": "app", "version": "1.11-1", "why": why }]));
        assert_eq!(of(&attempt, "changed").as_array().map(Vec::len), Some(1));
    }
}

#[tokio::test(start_paused = true)]
async fn on_another_platform_nothing_was_tested() {
    let world = world_of(&format!("os: rocky-9.4, {PACKAGES}"), "");
    let tested = json!({ "platforms": { "debian-12-amd64": { "app": "2", "lib": "5", "tool": "2" } } });
    let attempt = take(&world, tested).await;
    assert_eq!(reports(&attempt), ["succeeded"; 3]);
    assert_eq!((of(&attempt, "changed"), of(&attempt, "platform")), (json!([]), json!("rocky-9-x86_64")));
}
