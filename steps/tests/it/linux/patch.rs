//! `linux/patch`.

use std::time::Duration;

use runbook_engine::outcome::ErrorClass;
use runbook_steps::actions::linux::patch::Patch;
use serde_json::{Value, json};

use super::{attempt, jobs, run, survives, world, world_of};
use crate::contract::attempt::{Attempt, Life};

fn install(more: Value) -> Value {
    let mut inputs = json!({
        "operation": "Install", "select": "all", "held": "keep", "config_files": "keep",
        "reboot": "RebootIfNeeded", "lock_wait": "10m",
    });
    for (key, value) in more.as_object().expect("an object") {
        inputs[key] = value.clone();
    }
    inputs
}

/// The versions that a host's packages came to, by name.
fn changed(attempt: &Attempt, host: &str) -> Vec<String> {
    let recorded = attempt.journal.recorded();
    let changed = recorded.outputs[host]["changed"].as_array().expect("a list").clone();
    changed.iter().map(|one| format!("{}={}", one["name"], one["to"]).replace('"', "")).collect()
}

#[tokio::test(start_paused = true)]
async fn one_transaction_on_each_host_however_often_the_process_dies() {
    let make = || {
        let world = world("");
        let attempt = attempt(&world, install(json!({})));
        (world, attempt)
    };
    survives(&Patch::default(), make, &[("install", 1), ("reboot", 1), ("refresh", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn security_updates_are_installed_and_the_host_reboots_where_it_must() {
    let world = world("");
    let attempt = attempt(&world, install(json!({ "select": "security" })));
    assert_eq!(run(&Patch::default(), &attempt).await, ["succeeded"; 3]);
    assert_eq!(changed(&attempt, "box-1"), ["linux-image=1.0-2", "openssl=1.0-2"]);
    let recorded = attempt.journal.recorded();
    let outputs = &recorded.outputs["box-2"];
    assert_eq!(outputs["platform"], "debian-12-amd64");
    assert_eq!((&outputs["missing"], &outputs["security"]), (&json!(2), &json!(0)));
    assert_eq!((&outputs["rebooted"], &outputs["pending_reboot"]), (&json!(true), &json!([])));
}

#[tokio::test(start_paused = true)]
async fn without_a_reboot_it_stays_pending() {
    let world = world("");
    let attempt = attempt(&world, install(json!({ "reboot": "NoReboot" })));
    assert_eq!(run(&Patch::default(), &attempt).await, ["succeeded"; 3]);
    assert_eq!(
        attempt.journal.recorded().outputs["box-1"]["pending_reboot"],
        json!(["linux-image was updated"])
    );
    assert!(!jobs(&world).contains_key("reboot"));
}

#[tokio::test(start_paused = true)]
async fn a_scan_changes_nothing() {
    let world = world("");
    let attempt = attempt(&world, install(json!({ "operation": "Scan", "exclude": ["linux-*"] })));
    assert_eq!(run(&Patch::default(), &attempt).await, ["succeeded"; 3]);
    assert_eq!(jobs(&world), [("refresh".to_owned(), 1)].into());
    let recorded = attempt.journal.recorded();
    let outputs = &recorded.outputs["box-1"];
    assert_eq!(outputs["available"], json!(["curl=1.0-2", "libc-bin=1.0-2", "openssl=1.0-2"]));
    assert_eq!(
        outputs["kept_back"],
        json!([{ "name": "linux-image", "version": "1.0-2", "why": "excluded" }])
    );
}

#[tokio::test(start_paused = true)]
async fn what_nobody_may_change_is_left_out_with_its_reason() {
    let packages = "packages: [
        { name: held, version: '1', next: '2', held: true },
        { name: low, version: '1', next: '2', security: true, severity: low },
        { name: new, version: '1', next: '2', security: true, severity: critical, issued: 2026-01-04T00:00:00Z },
        { name: old, version: '1', next: '2', security: true, severity: critical, issued: 2025-12-01T00:00:00Z },
        { name: other, version: '1', next: '2' },
        { name: wrong, version: '1', next: '2' }]";
    let world = world_of(packages, "");
    let policy =
        json!({ "rejected": ["wrong=2"], "min_severity": "important", "age": "7d", "reboot": "NoReboot" });
    let attempt = attempt(&world, install(policy));
    assert_eq!(run(&Patch::default(), &attempt).await, ["succeeded"; 3]);
    assert_eq!(changed(&attempt, "box-1"), ["old=2"]);
    let recorded = attempt.journal.recorded();
    let kept = recorded.outputs["box-1"]["kept_back"].as_array().expect("a list").clone();
    let kept: Vec<_> =
        kept.iter().map(|one| format!("{}: {}", one["name"], one["why"]).replace('"', "")).collect();
    assert_eq!(
        kept,
        [
            "held: held on the host",
            "low: its severity is low",
            "new: it is out since 2026-01-04",
            "other: it is no security update",
            "wrong: rejected",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_comes_along_is_looked_at_before_anything_is_changed() {
    let packages = "packages: [
        { name: app, version: '1', next: '2', brings: [lib] },
        { name: lib, next: '5' }]";
    for (exclude, said) in [
        (json!(["lib"]), "failed: nothing was installed: lib 5 (new) would come along: excluded"),
        (json!([]), "succeeded"),
    ] {
        let world = world_of(packages, "");
        let attempt = attempt(&world, install(json!({ "packages": ["app"], "exclude": exclude })));
        assert_eq!(run(&Patch::default(), &attempt).await, [said; 3]);
        if said != "succeeded" {
            let recorded = attempt.journal.recorded();
            let class = recorded.reports["box-1"].class;
            assert_eq!(class, Some(ErrorClass::Undeliverable), "nothing was applied");
            assert!(!jobs(&world).contains_key("install"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn named_versions_and_no_others() {
    let world = world("");
    let wrong = attempt(&world, install(json!({ "packages": ["curl=7.0"] })));
    assert_eq!(
        run(&Patch::default(), &wrong).await,
        ["failed: the package manager refuses: version 7.0 of curl was not found"; 3]
    );
    let right = attempt(&world, install(json!({ "packages": ["curl=1.0-2"] })));
    assert_eq!(run(&Patch::default(), &right).await, ["succeeded"; 3]);
    assert_eq!(changed(&right, "box-3"), ["curl=1.0-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_the_host_does_not_have_is_refused() {
    for named in [json!(["shop=1.2"]), json!(["curl", "shop"])] {
        let world = world("");
        let install = attempt(&world, install(json!({ "packages": named })));
        let cause = "failed: nothing was installed: what the step names is not installed here, and no update brings it: shop";
        assert_eq!(run(&Patch::default(), &install).await, [cause; 3]);
        assert_eq!(install.journal.recorded().reports["box-1"].class, Some(ErrorClass::Undeliverable));
        assert!(!jobs(&world).contains_key("install"));
    }
    // What an update brings newly may be named, and what is up to date.
    let world = world_of(
        "packages: [{ name: app, version: '1', next: '2', brings: [lib] }, { name: lib, next: '5' },
                    { name: tool, version: '3' }]",
        "",
    );
    let install = attempt(&world, install(json!({ "packages": ["app", "tool"] })));
    assert_eq!(run(&Patch::default(), &install).await, ["succeeded"; 3]);
    assert_eq!(changed(&install, "box-1"), ["app=2", "lib=5"]);
}

#[tokio::test(start_paused = true)]
async fn each_unusual_end_has_its_name() {
    for (fault, said, class) in [
        (
            "lock_held",
            "failed: the package lists could not be brought up to date: the lock of the package manager is \
                       held by unattended-upgrades (process 811)",
            ErrorClass::Busy,
        ),
        (
            "lock_held, job: install",
            "failed: the installation failed: the lock of the package manager is held by unattended-upgrades \
             (process 811); nothing was changed",
            ErrorClass::Busy,
        ),
        (
            "disk_full",
            "failed: the installation failed: no space left on device: /var/cache; nothing was changed",
            ErrorClass::Capacity,
        ),
        (
            "half_done",
            "failed: the installation failed: a script of a package exited with 1; 2 of 4 packages were \
                       changed",
            ErrorClass::Failed,
        ),
        (
            "command_failed",
            "failed: the installation failed: simulated failure; nothing was changed",
            ErrorClass::Failed,
        ),
        (
            "incomplete",
            "failed: the package manager reported success, and these were not installed: openssl 1.0-1 → \
                        1.0-2",
            ErrorClass::Failed,
        ),
    ] {
        let world = world(&format!("{{ kind: {fault} }}"));
        let attempt = attempt(&world, install(json!({})));
        assert_eq!(run(&Patch::default(), &attempt).await, [said; 3], "{fault}");
        let recorded = attempt.journal.recorded();
        let untouched = recorded.reports["box-1"].proves_nothing_applied();
        assert_eq!(untouched, fault.starts_with("lock_held"), "{fault}");
        assert!(recorded.reports.values().all(|report| report.class == Some(class)), "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_transaction_is_ended_and_looked_at() {
    for fault in ["job_killed", "reboots_in_job"] {
        let world = world(&format!("{{ kind: {fault}, job: install }}"));
        let attempt = attempt(&world, install(json!({})));
        let said = run(&Patch::default(), &attempt).await;
        let cause = "failed: the installation was interrupted on the host, and these were not installed: linux-image \
                     1.0-1 → 1.0-2, openssl 1.0-1 → 1.0-2";
        assert_eq!(said, [cause; 3], "{fault}");
        assert_eq!(jobs(&world)["repair"], 1);
        assert_eq!(changed(&attempt, "box-1"), ["curl=1.0-2", "libc-bin=1.0-2"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_goes_silent_in_the_middle_is_unknown() {
    let world = world(
        "{ kind: cut_off, targets: [box-1], job: install }, { kind: silent_after_reboot, targets: [box-3] }",
    );
    let attempt = attempt(&world, install(json!({})));
    let said = run(&Patch::default(), &attempt).await;
    assert!(said[0].contains(", while the installation was running: "), "{}", said[0]);
    assert!(said[0].starts_with("unknown: not heard of since "), "{}", said[0]);
    assert_eq!(said[1], "succeeded");
    assert!(
        said[2].starts_with("unreachable: rebooted at ") && said[2].ends_with("box-3 does not answer"),
        "{}",
        said[2]
    );
    // What it broke with is known all the same.
    for name in ["box-1", "box-3"] {
        let recorded = attempt.journal.recorded();
        assert_eq!(recorded.outputs[name]["platform"], "debian-12-amd64", "{name}");
        assert_eq!(recorded.outputs[name]["changed"].as_array().map(Vec::len), Some(4), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn packages_that_changed_between_decision_and_installation_are_not_installed() {
    // It dies when the decision is durable, and the intent of the installation is not.
    for point in 0.. {
        let world = world("{ kind: republished, after: 1h }");
        let attempt = attempt(&world, install(json!({})));
        let life = attempt.live(&Patch::default(), Some(point)).await;
        assert!(matches!(life, Life::Crashed), "it never came to its decision");
        let memory = attempt.journal.recorded().memory.clone();
        let decided = memory.checkpoints.contains_key("box-1/transaction");
        if !decided || memory.intents.contains_key("box-1/install") {
            continue;
        }
        world.ports().clock.sleep(Duration::from_secs(2 * 3600)).await;
        let said = run(&Patch::default(), &attempt).await;
        assert_eq!(said[0], "failed: the package manager refuses: version 1.0-2 of curl was not found");
        let calls = world.calls();
        let mut installs =
            calls.effects("ssh:start").filter(|call| call.resource.as_deref() == Some("install"));
        assert!(!installs.any(|call| call.machines[0].as_str() == "box-1"));
        return;
    }
}
