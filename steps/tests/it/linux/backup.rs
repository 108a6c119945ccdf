//! `linux/backup`.

use runbook_steps::actions::linux::backup::Backup;
use serde_json::json;

use super::{attempt, jobs, run, survives, world, world_of};

#[tokio::test(start_paused = true)]
async fn package_files_are_put_aside_once() {
    let make = || {
        let world = world("");
        let attempt = attempt(&world, json!({ "method": "auto", "keep": "14d" }));
        (world, attempt)
    };
    survives(&Backup::default(), make, &[("refresh", 1), ("keep", 1)]).await;
    let (_, attempt) = make();
    run(&Backup::default(), &attempt).await;
    let recorded = attempt.journal.recorded();
    let outputs = &recorded.outputs["box-1"];
    assert_eq!((&outputs["method"], &outputs["bytes"]), (&json!("packages"), &json!(6_000_000)));
    assert_eq!(outputs["packages"]["openssl:amd64"], "1.0-1");
    assert_eq!(recorded.artifacts.len(), 3);
    assert_eq!(
        recorded.artifacts[0].expires.map(|at| at.to_string()),
        Some("2026-01-19T08:00:00Z".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_not_to_be_had_is_no_way_back() {
    let world = world("{ kind: package_lost, targets: [box-1] }, { kind: disk_full, targets: [box-2] }");
    let attempt = attempt(&world, json!({ "method": "packages" }));
    let said = run(&Backup::default(), &attempt).await;
    assert_eq!(
        said[..2],
        [
            "failed: there is no proven way back: the package files of curl=1.0-1 are not to be had",
            "failed: the package files could not be kept: no space left on device: /var/lib",
        ]
    );
    // What was put aside is collected all the same.
    assert_eq!(attempt.journal.recorded().artifacts.len(), 2);
}

/// A patch leaves it alone, so that nothing has to bring it back; the mirror may have lost its version years ago.
#[tokio::test(start_paused = true)]
async fn a_file_of_what_the_host_holds_back_may_be_missing() {
    let packages =
        "{ name: app, version: '1', next: '2' }, { name: old, version: '1', next: '9', held: true }";
    for packages in [packages, "{ name: old, version: '1', next: '9', held: true }"] {
        let world = world_of(&format!("packages: [{packages}]"), "{ kind: package_lost, targets: [box-1] }");
        let attempt = attempt(&world, json!({ "method": "auto" }));
        // The world loses the first of them: `app`, where there is one.
        let lost = if packages.contains("app") {
            "failed: there is no proven way back: the package files of app=1 are not to be had"
        } else {
            "succeeded"
        };
        assert_eq!(run(&Backup::default(), &attempt).await, [lost, "succeeded", "succeeded"]);
        let kept = &attempt.journal.recorded().outputs["box-2"]["kept"];
        assert!(kept.to_string().contains("\"old\""), "it is kept where it is to be had: {kept}");
    }
}

/// It will not be changed, so that it need not go back.
#[tokio::test(start_paused = true)]
async fn what_the_host_holds_back_needs_no_snapshot() {
    let packages = "os: rocky-9.4, packages: [{ name: glibc, version: '1', next: '2', held: true },
                                              { name: app, version: '1', next: '2' }]";
    let attempt = attempt(&world_of(packages, ""), json!({ "method": "auto" }));
    assert_eq!(run(&Backup::default(), &attempt).await, ["succeeded"; 3]);
    assert_eq!(attempt.journal.recorded().outputs["box-1"]["method"], "packages");
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_made_once() {
    let make = || {
        let world = world_of("snapshots: [snapper]", "");
        let attempt = attempt(&world, json!({ "method": "snapper" }));
        (world, attempt)
    };
    survives(&Backup::default(), make, &[("capture", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_where_the_vendor_forbids_to_go_back() {
    let packages = "os: rocky-9.4, packages: [{ name: glibc, version: '1', next: '2' }]";
    let world = world_of(&format!("{packages}, snapshots: [lvm-thin]"), "");
    let with = attempt(&world, json!({ "method": "auto" }));
    assert_eq!(run(&Backup::default(), &with).await, ["succeeded"; 3]);
    assert_eq!(with.journal.recorded().outputs["box-1"]["method"], "lvm-thin");
    assert_eq!(jobs(&world)["capture"], 1);
    let world = world_of(packages, "");
    let without = attempt(&world, json!({ "method": "auto" }));
    let said = run(&Backup::default(), &without).await;
    assert!(said[0].starts_with("failed: glibc is pending, and has no way back: Red Hat"), "{}", said[0]);
}

#[tokio::test(start_paused = true)]
async fn a_method_that_the_host_does_not_have_is_refused() {
    let world = world("{ kind: snapshot_error, targets: [box-2], output: the pool is full }");
    let attempt = attempt(&world, json!({ "method": "btrfs" }));
    let said = run(&Backup::default(), &attempt).await;
    assert_eq!(
        said[..2],
        ["failed: the backup failed: the host has no btrfs", "failed: the backup failed: the pool is full"]
    );
}
