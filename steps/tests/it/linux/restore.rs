//! `linux/restore`, of hosts that were backed up and patched.

use std::sync::Arc;

use runbook_steps::{
    actions::linux::{backup::Backup, patch::Patch, restore::Restore, script::Script},
    ports::linux::{Deed, Job},
    world::World,
};
use serde_json::{Value, json};

use super::{NAMES, attempt, hosts, jobs, reports, run, survives, world_of};
use crate::contract::attempt::{Attempt, host, inputs_of};

const BAD: &str = "packages: [
    { name: lib, next: '5' },
    { name: shop, version: '1', next: '2', bad: true, reboot: true, brings: [lib] }]";

fn patching() -> Value {
    json!({ "operation": "Install", "select": "all", "held": "keep", "config_files": "keep",
            "reboot": "NoReboot", "lock_wait": "10m" })
}

/// Hosts that were backed up by this method and then patched; their backups.
async fn patched(said: &str, faults: &str, method: &str) -> (Arc<World>, Vec<Value>) {
    let world = world_of(said, faults);
    let backup = attempt(&world, json!({ "method": method }));
    assert_eq!(run(&Backup::default(), &backup).await, ["succeeded"; 3]);
    let backups: Vec<_> = NAMES.iter().map(|name| backup.journal.recorded().outputs[*name].clone()).collect();
    let mut patch = attempt(&world, patching());
    patch.number = 2;
    run(&Patch::default(), &patch).await;
    (world, backups)
}

/// The way back of these hosts, as another attempt.
fn back(world: &Arc<World>, backups: &[Value], strategy: &str) -> Attempt {
    let mut back = Attempt::new(world.ports(), json!({}));
    for (target, backup) in hosts().into_iter().zip(backups) {
        let inputs = inputs_of(json!({ "from": "backup", "strategy": strategy, "reboot": "RebootIfNeeded" }));
        let inputs = runbook_steps::action::Inputs { backup: Some(backup.clone().into()), ..inputs };
        back = back.and(target, inputs);
    }
    back.settings.settle = world.settle();
    back.timeout = std::time::Duration::from_secs(2 * 3600);
    back.number = 3;
    back
}

async fn installed(world: &Arc<World>, name: &str) -> Vec<String> {
    let packages = world.ports().linux.packages(&host(name)).await.expect("packages");
    packages.iter().map(|package| format!("{}={}", package.name, package.version)).collect()
}

#[tokio::test(start_paused = true)]
async fn packages_go_back_to_their_exact_versions_and_the_host_is_well() {
    let (world, backups) = patched(BAD, "", "packages").await;
    assert_eq!(installed(&world, "box-1").await, ["lib=5", "shop=2"]);
    assert_eq!(world.is_healthy("box-1"), Some(false));
    let back = back(&world, &backups, "auto");
    assert_eq!(run(&Restore::default(), &back).await, ["succeeded"; 3]);
    assert_eq!(installed(&world, "box-1").await, ["shop=1"]);
    assert_eq!(world.is_healthy("box-1"), Some(true));
    assert_eq!(jobs(&world)["install-back"], 1);
    let recorded = back.journal.recorded();
    assert_eq!(recorded.outputs["box-1"]["strategy"], "packages");
    assert_eq!(recorded.outputs["box-1"]["changed"].as_array().map(Vec::len), Some(2));
}

/// Patched hosts without a future of their own: they are made anew for each crash.
fn made(said: &str, method: &str) -> (Arc<World>, Attempt) {
    let (said, method) = (said.to_owned(), method.to_owned());
    // A runtime of its own: tests that crash make worlds outside of any future.
    let made = std::thread::spawn(move || {
        let runtime = runbook_steps::world::runtime().expect("a runtime");
        runtime.block_on(async move { patched(&said, "", &method).await })
    });
    let (world, backups) = made.join().expect("no panic");
    let back = back(&world, &backups, "auto");
    (world, back)
}

#[tokio::test(start_paused = true)]
async fn one_way_back_however_often_the_process_dies() {
    let jobs =
        [("refresh", 2), ("keep", 1), ("install", 1), ("script", 1), ("install-back", 1), ("reboot", 1)];
    survives(&Restore::default(), || made(BAD, "packages"), &jobs).await;
}

#[tokio::test(start_paused = true)]
async fn one_revert_however_often_the_process_dies() {
    let said = format!("{BAD}, snapshots: [snapper]");
    let jobs = [("capture", 1), ("refresh", 1), ("install", 1), ("script", 1), ("revert", 1), ("reboot", 1)];
    survives(&Restore::default(), || made(&said, "snapper"), &jobs).await;
}

#[tokio::test(start_paused = true)]
async fn a_host_on_which_nothing_changed_is_left_as_it_is() {
    let (world, backups) =
        patched(BAD, "{ kind: command_failed, attempt: 2 }, { kind: command_failed }", "packages").await;
    let back = back(&world, &backups, "packages");
    assert_eq!(run(&Restore::default(), &back).await, ["succeeded"; 3]);
    assert!(!jobs(&world).contains_key("install-back"));
}

#[tokio::test(start_paused = true)]
async fn what_was_half_done_is_ended_and_goes_back() {
    let (world, backups) = patched(BAD, "{ kind: half_done, times: 1 }", "packages").await;
    let back = back(&world, &backups, "packages");
    assert_eq!(run(&Restore::default(), &back).await, ["succeeded"; 3]);
    assert_eq!(installed(&world, "box-2").await, ["shop=1"]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_still_runs_is_waited_for() {
    let (world, backups) = patched(BAD, "", "packages").await;
    let refresh = Deed::Refresh { lock_wait: std::time::Duration::from_secs(1) };
    let job = Job { token: "other".into(), run: "7k2m".into(), exclusive: true, deed: refresh };
    world.ports().linux.start(&host("box-1"), &job).await.expect("it starts");
    let back = back(&world, &backups, "auto");
    assert_eq!(run(&Restore::default(), &back).await, ["succeeded"; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_script_that_nobody_hears_of_is_waited_for() {
    let said = format!("{BAD}, durations: {{ command: 2h }}");
    let (world, backups) =
        patched(&said, "{ kind: cut_off, job: script, after: 40m, times: 1 }", "packages").await;
    let mut script = attempt(&world, json!({ "script": "sleep 7200" }));
    script.number = 4;
    assert!(run(&Script::default(), &script).await[0].starts_with("unknown: not heard of since "));
    let back = back(&world, &backups, "auto");
    assert_eq!(run(&Restore::default(), &back).await, ["succeeded"; 3]);
    let calls = world.calls();
    let at = |job: &str| {
        let call = calls
            .effects("ssh:start")
            .find(|call| call.resource.as_deref() == Some(job) && call.machines[0].as_str() == "box-1");
        call.map(|call| call.at).expect("it was started")
    };
    assert!(at("install-back").duration_since(at("script")).as_hours() >= 2);
}

#[tokio::test(start_paused = true)]
async fn what_a_vendor_forbids_is_refused_before_anything_is_done() {
    let said = "os: rocky-9.4, packages: [{ name: glibc, version: '1', next: '2' }]";
    let (world, backups) = patched(said, "", "packages").await;
    let back = back(&world, &backups, "auto");
    let said = run(&Restore::default(), &back).await;
    let cause = "failed: nothing was done: glibc 2 → 1 must not go back: Red Hat does not support going back to a \
                 former version of it";
    assert_eq!(said, [cause; 3]);
    assert!(!jobs(&world).contains_key("install-back"));
}

#[tokio::test(start_paused = true)]
async fn a_patch_without_a_way_back_is_refused_before_it() {
    let world = world_of("os: rocky-9.4, packages: [{ name: glibc, version: '1', next: '2' }]", "");
    let backup = attempt(&world, json!({ "method": "packages" }));
    assert_eq!(run(&Backup::default(), &backup).await, ["succeeded"; 3]);
    let mut patch = Attempt::new(world.ports(), json!({}));
    for target in hosts() {
        let kept = backup.journal.recorded().outputs[target.id.as_str()].clone();
        let inputs = runbook_steps::action::Inputs { backup: Some(kept.into()), ..inputs_of(patching()) };
        patch = patch.and(target, inputs);
    }
    patch.number = 2;
    patch.live_to_the_end(&Patch::default()).await.expect("an end");
    let said = reports(&patch);
    assert!(
        said[0].starts_with("failed: nothing was installed: glibc 1 → 2 has no way back by packages: "),
        "{}",
        said[0]
    );
    assert!(!jobs(&world).contains_key("install"));
}

#[tokio::test(start_paused = true)]
async fn a_way_back_that_fails_says_so() {
    let faults = "{ kind: restore_failed, targets: [box-1], output: no such version }, { kind: sick_after_restore, targets: [box-2] }";
    let (world, backups) = patched(BAD, faults, "packages").await;
    let back = back(&world, &backups, "auto");
    let said = run(&Restore::default(), &back).await;
    assert_eq!(said[0], "failed: the former versions could not be installed: no such version");
    // Whether it is well is for its checks to say.
    assert_eq!((said[1].as_str(), world.is_healthy("box-2")), ("succeeded", Some(false)));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_did_not_bring_the_packages_back_is_no_way_back() {
    let (world, mut backups) = patched(&format!("{BAD}, snapshots: [lvm]"), "", "lvm").await;
    // As if the host had been merged with, or had booted, something else.
    backups[1]["packages"]["shop:amd64"] = json!("0.9");
    let back = back(&world, &backups, "auto");
    let said = run(&Restore::default(), &back).await;
    let cause =
        "failed: the snapshot was restored, and the host is not what it was at its backup: shop 1 → 0.9";
    assert_eq!(said, ["succeeded", cause, "succeeded"]);
    // What is kept of another file system says nothing of packages.
    let apart = attempt(
        &world_of(&format!("{BAD}, snapshots: [lvm]"), ""),
        json!({ "method": "lvm", "path": "/srv" }),
    );
    assert_eq!(run(&Backup::default(), &apart).await, ["succeeded"; 3]);
    assert!(apart.journal.recorded().outputs["box-1"].get("packages").is_none());
}

#[tokio::test(start_paused = true)]
async fn what_counts_is_when_the_host_was_back() {
    let said = "packages: [{ name: shop, version: '1', next: '2' }]";
    let (world, backups) =
        patched(said, "{ kind: cut_off, job: install-back, after: 25m }", "packages").await;
    let began = world.ports().clock.now();
    let back = back(&world, &backups, "auto");
    assert_eq!(run(&Restore::default(), &back).await, ["succeeded"; 3]);
    assert!(world.ports().clock.now().duration_since(began).as_mins() >= 25);
    let ended = back.journal.recorded().reports["box-1"].finished_at.expect("a time");
    assert!(ended.duration_since(began).as_mins() < 15, "{ended}");
}

#[tokio::test(start_paused = true)]
async fn a_strategy_that_the_backup_does_not_hold_is_refused() {
    let (world, backups) = patched(BAD, "", "packages").await;
    let back = back(&world, &backups, "snapshot");
    let said = run(&Restore::default(), &back).await;
    assert_eq!(said, ["failed: its backup was made by packages, not by snapshot"; 3]);
}
