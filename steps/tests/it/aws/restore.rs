//! `aws/restore`, strategy by strategy: crashed at every point, and with the faults of docs/sandbox.md.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use runbook_engine::target::Target;
use runbook_steps::{
    actions::aws::{
        kept::{Kept, KeptVolume},
        restore::Restore,
    },
    ports::{
        backup::StartBackup,
        ec2::{CreateSnapshots, Ec2, Instance, Volume, Which},
    },
    world::World,
};
use serde_json::{Value, json};

use super::{backed_up, machines, reports, survives, world};
use crate::contract::attempt::Attempt;

/// The answer of a world that answers at once.
fn at_once<T>(asked: impl Future<Output = T>) -> T {
    let mut asked = Box::pin(asked);
    match asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the world answers at once"),
    }
}

fn ec2(world: &Arc<World>, machine: &Target) -> Arc<dyn Ec2> {
    world.ports().aws.expect("AWS").ec2(&machine.home)
}

fn instance(ec2: &dyn Ec2, machine: &Target) -> Instance {
    let mut seen = at_once(ec2.instances(std::slice::from_ref(&machine.id))).expect("an instance");
    seen.pop().expect("an instance")
}

fn volumes(ec2: &dyn Ec2, instance: &Instance) -> BTreeMap<String, Volume> {
    let ids = instance.volumes.iter().map(|held| held.volume.clone()).collect();
    let seen = at_once(ec2.volumes(&Which::Ids(ids))).expect("volumes");
    seen.into_iter().map(|volume| (volume.id.clone(), volume)).collect()
}

/// Backs a machine up, and gives what `aws/snapshot` gives. The root volume has tags and more than it needs.
fn back_up(ec2: &dyn Ec2, machine: &Target, root_only: bool) -> Value {
    let instance = instance(ec2, machine);
    let ids: Vec<_> = instance.volumes.iter().map(|held| held.volume.clone()).collect();
    let tags = BTreeMap::from([("Cost".to_owned(), "42".to_owned())]);
    at_once(ec2.create_tags(&ids, &tags)).expect("tags");
    let root = |device: &str| device == instance.root_device;
    let data = instance.volumes.iter().filter(|held| !root(&held.device)).map(|held| held.volume.clone());
    let request = CreateSnapshots {
        instance: instance.id.clone(),
        without: data.filter(|_| root_only).collect(),
        ..CreateSnapshots::default()
    };
    let taken = at_once(ec2.create_snapshots(&request)).expect("snapshots");
    let volumes = volumes(ec2, &instance);
    let mut kept: Vec<_> = taken
        .iter()
        .map(|snapshot| {
            let volume = &volumes[&snapshot.volume];
            let held = instance.volumes.iter().find(|held| held.volume == volume.id).expect("attached");
            KeptVolume {
                snapshot: snapshot.id.clone(),
                volume: volume.id.clone(),
                device: held.device.clone(),
                root: root(&held.device),
                size_gib: volume.size_gib,
                kind: volume.kind.clone(),
                iops: volume.iops,
                throughput: volume.throughput,
                encrypted: volume.encrypted,
                kms_key: volume.kms_key.clone(),
                delete_on_termination: held.delete_on_termination,
                tags: tags.clone(),
            }
        })
        .collect();
    kept.sort_by_key(|volume| !volume.root);
    let snapshots = kept.iter().map(|volume| volume.snapshot.clone()).collect();
    let kept =
        Kept { snapshots, volumes: kept, recovery_point: None, vault: None, role: None, expires: None };
    serde_json::to_value(kept).expect("JSON")
}

/// A world with backups, and an attempt that restores from them.
pub(super) fn backed_up_world(faults: &str, strategy: &str) -> (Arc<World>, Attempt) {
    let world = world(faults);
    let ports = world.ports();
    let mut attempt = Attempt::new(ports.clone(), json!({}));
    attempt.settings.settle = world.settle();
    attempt.timeout = Duration::from_secs(2 * 3600);
    for machine in machines(&ports) {
        let backup = back_up(ec2(&world, &machine).as_ref(), &machine, strategy == "replace-root-volume");
        let inputs = json!({ "from": "backup", "strategy": strategy, "keep": "14d" });
        attempt = attempt.and(machine, backed_up(inputs, backup));
    }
    (world, attempt)
}

pub(super) async fn ends(world: &Arc<World>, attempt: &Attempt) -> Vec<String> {
    attempt.live_to_the_end(&Restore::default()).await.expect("an end");
    reports(world, attempt)
}

pub(super) const SUCCEEDED: [&str; 3] = ["succeeded"; 3];

#[tokio::test(start_paused = true)]
async fn roots_are_replaced_once_through_every_crash() {
    let make = || backed_up_world("", "replace-root-volume");
    let effects = [("ec2:CreateReplaceRootVolumeTask", 1)];
    survives(&Restore::default(), make, &SUCCEEDED, &effects).await;
}

#[tokio::test(start_paused = true)]
async fn volumes_are_swapped_once_through_every_crash() {
    let make = || backed_up_world("", "swap-volumes");
    let effects = [
        ("ec2:CreateVolume", 2),
        ("ec2:StopInstances", 1),
        ("ec2:DetachVolume", 2),
        ("ec2:AttachVolume", 2),
        ("ec2:StartInstances", 1),
    ];
    survives(&Restore::default(), make, &SUCCEEDED, &effects).await;
}

#[tokio::test(start_paused = true)]
async fn lost_answers_make_nothing_twice() {
    for strategy in ["replace-root-volume", "swap-volumes"] {
        for call in [
            "ec2:CreateReplaceRootVolumeTask",
            "ec2:CreateVolume",
            "ec2:StopInstances",
            "ec2:DetachVolume",
            "ec2:AttachVolume",
            "ec2:StartInstances",
        ] {
            let faults = format!("{{ kind: answer_lost, call: '{call}', times: 2 }}");
            let (world, attempt) = backed_up_world(&faults, strategy);
            assert_eq!(ends(&world, &attempt).await, SUCCEEDED, "{strategy} {call}");
            assert_eq!(world.calls().doubled(), Vec::<String>::new(), "{strategy} {call}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_swapped_machine_has_all_that_it_had() {
    let (world, attempt) = backed_up_world("", "swap-volumes");
    let machine = machines(&world.ports()).remove(0);
    let ec2 = ec2(&world, &machine);
    let before = instance(ec2.as_ref(), &machine);
    let old = volumes(ec2.as_ref(), &before);
    assert_eq!(ends(&world, &attempt).await, SUCCEEDED);
    let after = instance(ec2.as_ref(), &machine);
    let new = volumes(ec2.as_ref(), &after);
    assert_eq!(after.state, "running");
    assert_eq!(after.volumes.len(), before.volumes.len());
    for held in &after.volumes {
        let then = before.volumes.iter().find(|then| then.device == held.device).expect("the device");
        assert_ne!(held.volume, then.volume);
        assert_eq!(held.delete_on_termination, then.delete_on_termination, "{}", held.device);
        let (was, is) = (&old[&then.volume], &new[&held.volume]);
        assert_eq!(
            (&is.kind, is.size_gib, is.iops, is.throughput),
            (&was.kind, was.size_gib, was.iops, was.throughput)
        );
        assert_eq!(is.tags.get("Cost").map(String::as_str), Some("42"));
        assert!(is.tags.contains_key("runbook:run") && !is.tags.contains_key("runbook:expires"));
    }
    // What was replaced costs money until it expires.
    let left = at_once(ec2.volumes(&Which::Ids(old.into_keys().collect()))).expect("volumes");
    for volume in &left {
        assert_eq!(volume.state, "available");
        assert!(volume.tags.contains_key("runbook:expires"), "{:?}", volume.tags);
    }
    let recorded = attempt.journal.recorded();
    let outputs = &recorded.outputs[&machine.id];
    assert_eq!(outputs["strategy"], "swap-volumes");
    assert_eq!(outputs["old_volumes"].as_array().map(Vec::len), Some(2));
}

#[tokio::test(start_paused = true)]
async fn what_is_left_behind_carries_the_token_of_its_row_also_when_a_restore_made_it() {
    let (world, first) = backed_up_world("", "swap-volumes");
    assert_eq!(ends(&world, &first).await, SUCCEEDED);
    let mut second = Attempt::new(world.ports(), json!({}));
    (second.number, second.timeout, second.settings) = (2, first.timeout, first.settings.clone());
    for machine in machines(&world.ports()) {
        let inputs = first.inputs_of(&machine.id).clone();
        second = second.and(machine, inputs);
    }
    assert_eq!(ends(&world, &second).await, SUCCEEDED);
    let ec2 = ec2(&world, &machines(&world.ports())[0]);
    for attempt in [&first, &second] {
        let rows = attempt.journal.recorded().artifacts.clone();
        let left: Vec<_> = rows.iter().filter(|row| row.expires.is_some()).collect();
        assert_eq!(left.len(), 6, "two volumes of three machines");
        for row in left {
            let seen = at_once(ec2.volumes(&Which::Ids(vec![row.id.clone()]))).expect("volumes");
            assert_eq!(seen[0].tags.get("runbook:token"), Some(&row.token), "{row:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_replaced_root_gets_its_tags_back() {
    let (world, attempt) = backed_up_world("", "replace-root-volume");
    let machine = machines(&world.ports()).remove(0);
    let ec2 = ec2(&world, &machine);
    let before = instance(ec2.as_ref(), &machine);
    let root_of = |instance: &Instance| {
        let root = instance.volumes.iter().find(|held| held.device == instance.root_device);
        root.cloned().expect("a root volume")
    };
    let old = root_of(&before);
    assert_eq!(ends(&world, &attempt).await, SUCCEEDED);
    let after = instance(ec2.as_ref(), &machine);
    let new = root_of(&after);
    assert_ne!(old.volume, new.volume);
    assert_eq!(old.delete_on_termination, new.delete_on_termination);
    let is = &volumes(ec2.as_ref(), &after)[&new.volume];
    assert_eq!(is.tags.get("Cost").map(String::as_str), Some("42"));
    let left = at_once(ec2.volumes(&Which::Ids(vec![old.volume.clone()]))).expect("volumes");
    assert!(left[0].tags.contains_key("runbook:expires"));
    assert_eq!(attempt.journal.recorded().outputs[&machine.id]["old_volumes"], json!([old.volume]));
}

#[tokio::test(start_paused = true)]
async fn a_replacement_that_fails_says_what_is_left() {
    let faults = "{ kind: restore_failed, targets: [web/1] }, { kind: restore_detached, targets: [web/2] }";
    let (world, attempt) = backed_up_world(faults, "replace-root-volume");
    let reports = ends(&world, &attempt).await;
    assert!(reports[0].ends_with("failed; the machine has its old root volume back"), "{}", reports[0]);
    assert!(reports[1].contains("failed and left the machine without a root volume"), "{}", reports[1]);
    assert_eq!(reports[2], "succeeded");
    // The last word of the ledger: only what was seen replaced is ever collected.
    let rows = attempt.journal.recorded().artifacts.clone();
    for (machine, expires) in machines(&world.ports()).iter().zip([false, false, true]) {
        let last = rows.iter().rfind(|row| row.target == machine.id).expect("its old root volume");
        assert_eq!(last.expires.is_some(), expires, "{last:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_without_a_root_volume_gets_one_by_the_next_rung() {
    let faults = "{ kind: restore_detached, targets: [web/2] }";
    let (world, attempt) = backed_up_world(faults, "replace-root-volume");
    let reports = ends(&world, &attempt).await;
    assert!(reports[1].starts_with("failed: replacevol-"), "{}", reports[1]);
    let machine = machines(&world.ports()).remove(1);
    let ec2 = ec2(&world, &machine);
    let backup = attempt.inputs_of(&machine.id).backup.clone().expect("a backup");
    let inputs = json!({ "from": "backup", "strategy": "swap-volumes", "keep": "14d" });
    let mut rung = Attempt::new(world.ports(), json!({}));
    rung.settings.settle = world.settle();
    rung.timeout = Duration::from_secs(2 * 3600);
    let rung = rung.and(machine.clone(), backed_up(inputs, backup));
    rung.live_to_the_end(&Restore::default()).await.expect("an end");
    assert_eq!(rung.reports()[machine.id.as_str()], "succeeded");
    assert_eq!(instance(ec2.as_ref(), &machine).state, "running");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_finds_no_room_is_started_minutes_later() {
    let faults = "{ kind: no_capacity, targets: [web/1], times: 3 }";
    let (world, attempt) = backed_up_world(faults, "swap-volumes");
    assert_eq!(ends(&world, &attempt).await, SUCCEEDED);
    assert_eq!(world.calls().doubled(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_is_named_with_where_the_machine_stands() {
    let (world, attempt) = backed_up_world("{ kind: denied, call: 'ec2:AttachVolume' }", "swap-volumes");
    for report in ends(&world, &attempt).await {
        assert!(report.starts_with("failed: ec2:AttachVolume"), "{report}");
        assert!(report.contains("last seen: "), "{report}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_is_not_complete_is_waited_for() {
    let faults = "{ kind: snapshot_slow, targets: [web/1], after: 1h }";
    let (world, attempt) = backed_up_world(faults, "swap-volumes");
    assert_eq!(ends(&world, &attempt).await, SUCCEEDED);
}

/// The same with recovery points of AWS Backup.
pub(super) fn recovery_points(faults: &str) -> (Arc<World>, Attempt) {
    let world = world(faults);
    let ports = world.ports();
    let all = machines(&ports);
    let role = "arn:aws:iam::000000000000:role/backup".to_owned();
    let backup = ports.aws.as_ref().expect("AWS").backup(&all[0].home);
    let started: Vec<_> = all
        .iter()
        .map(|machine| {
            let request = StartBackup {
                vault: "Default".into(),
                resource: format!("arn:aws:ec2:eu-central-1:000000000000:instance/{}", machine.id),
                role: role.clone(),
                start_within: Duration::from_secs(3600),
                token: machine.id.to_string(),
                ..StartBackup::default()
            };
            at_once(backup.start_backup(&request)).expect("a job").expect("its id")
        })
        .collect();
    world.advance_to(world.now().checked_add(Duration::from_secs(6 * 3600)).expect("a time"));
    let mut attempt = Attempt::new(ports.clone(), json!({}));
    attempt.settings.settle = world.settle();
    attempt.timeout = Duration::from_secs(6 * 3600);
    for (machine, job) in all.into_iter().zip(started) {
        let job = at_once(backup.backup_job(&job)).expect("the job");
        assert_eq!(job.state, "COMPLETED");
        let kept = Kept {
            snapshots: Vec::new(),
            volumes: Vec::new(),
            recovery_point: job.recovery_point,
            vault: Some("Default".into()),
            role: Some(role.clone()),
            expires: None,
        };
        let inputs = json!({ "from": "backup", "strategy": "backup-restore", "keep": "14d" });
        attempt = attempt.and(machine, backed_up(inputs, serde_json::to_value(kept).expect("JSON")));
    }
    (world, attempt)
}

#[tokio::test(start_paused = true)]
async fn new_instances_are_made_once_through_every_crash() {
    let effects = [("backup:StartRestoreJob", 1)];
    survives(&Restore::default(), || recovery_points(""), &SUCCEEDED, &effects).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_instance_is_said_loudly_and_the_old_one_stays() {
    let (world, attempt) = recovery_points("{ kind: answer_lost, call: 'backup:StartRestoreJob', times: 3 }");
    assert_eq!(ends(&world, &attempt).await, SUCCEEDED);
    assert_eq!(world.calls().doubled(), Vec::<String>::new());
    let machine = machines(&world.ports()).remove(0);
    let recorded = attempt.journal.recorded();
    let outputs = &recorded.outputs[&machine.id];
    let new = outputs["replaced_by"]["instance"].as_str().expect("an id");
    assert_ne!(new, machine.id.as_str());
    assert_eq!(outputs["left"], machine.id.as_str());
    let ec2 = ec2(&world, &machine);
    let both = at_once(ec2.instances(&[machine.id.clone(), new.into()])).expect("instances");
    assert_eq!(both.iter().map(|one| one.state.as_str()).collect::<Vec<_>>(), ["running", "running"]);
    let made = both.iter().find(|one| one.id == new).expect("the new one");
    assert_eq!(made.tags.get("runbook:replaces").map(String::as_str), Some(machine.id.as_str()));
    assert_eq!(outputs["replaced_by"]["private_ip"].as_str(), made.private_ip.as_deref());
}

#[tokio::test(start_paused = true)]
async fn a_restore_job_that_fails_says_why() {
    let (world, attempt) = recovery_points("{ kind: restore_failed, targets: [web/1] }");
    let reports = ends(&world, &attempt).await;
    assert!(reports[0].ends_with(" failed: the restore failed"), "{}", reports[0]);
    assert_eq!(reports[1..], SUCCEEDED[1..]);
}
