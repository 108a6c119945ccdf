//! Snapshots, volumes, and both ways to restore a root volume.

use std::collections::BTreeMap;

use super::rig::{backed_up, code, held, id, pass, state, volume, world};
use crate::ports::{
    ec2::{Attachment, CreateSnapshots, CreateVolume, Ec2, ReplaceRootVolume, Which},
    fault::FaultKind,
};

fn snapshots_of(instance: &str) -> CreateSnapshots {
    CreateSnapshots { instance: instance.to_owned(), ..CreateSnapshots::default() }
}

fn volume_from(snapshot: &str, token: &str) -> CreateVolume {
    CreateVolume {
        snapshot: snapshot.to_owned(),
        zone: "eu-central-1a".into(),
        size_gib: 20,
        kind: "gp3".into(),
        token: token.to_owned(),
        ..CreateVolume::default()
    }
}

#[tokio::test(start_paused = true)]
async fn snapshots_are_pending_tagged_and_not_found_at_first() {
    let (world, account) = world("");
    let machine = id(&world, "web-1");
    let request = CreateSnapshots {
        tags: BTreeMap::from([("runbook:token".into(), "t".into())]),
        ..snapshots_of(machine.as_str())
    };
    let made = account.create_snapshots(&request).await.unwrap();
    assert_eq!(made.len(), 2);
    let tagged = Which::Tagged { key: "runbook:token".into(), values: vec!["t".into()] };
    assert!(account.snapshots(&tagged).await.unwrap().is_empty());
    pass(&world, 4).await;
    let seen = account.snapshots(&tagged).await.unwrap();
    assert_eq!((seen.len(), seen[0].state.as_str(), seen[0].size_gib), (2, "pending", 20));
    let volumes: Vec<_> = made.iter().map(|snapshot| snapshot.volume.clone()).collect();
    assert_eq!(account.pending_snapshots(&volumes).await.unwrap()[&volumes[0]], 1);
    // The set is one instant, and each volume has to rest (facts: CreateSnapshots).
    let early = account.create_snapshots(&request).await;
    assert_eq!(code(early), "SnapshotCreationPerVolumeRateExceeded");
    for _ in 0..4 {
        pass(&world, 15).await;
        account.create_snapshots(&request).await.unwrap();
    }
    pass(&world, 15).await;
    assert_eq!(code(account.create_snapshots(&request).await), "ConcurrentSnapshotLimitExceeded");
    pass(&world, 150).await;
    assert!(account.snapshots(&tagged).await.unwrap().iter().all(|snapshot| snapshot.state == "completed"));
}

#[tokio::test(start_paused = true)]
async fn data_volumes_can_be_left_out_and_nothing_else() {
    let (world, account) = world("");
    let machine = id(&world, "web-1");
    let volumes = held(&account, &machine).await;
    let (data, root) = (volumes[0].volume.clone(), volumes[1].volume.clone());
    assert_eq!(volumes[1].device, "/dev/xvda");
    let without =
        |volume: &str| CreateSnapshots { without: vec![volume.to_owned()], ..snapshots_of(machine.as_str()) };
    assert_eq!(code(account.create_snapshots(&without(&root)).await), "InvalidParameterValue");
    let made = account.create_snapshots(&without(&data)).await.unwrap();
    assert_eq!(made.iter().map(|made| made.volume.as_str()).collect::<Vec<_>>(), [root.as_str()]);
    let old = id(&world, "old");
    assert_eq!(code(account.create_snapshots(&snapshots_of(old.as_str())).await), "InvalidParameterValue");
    assert_eq!(
        code(account.create_snapshots(&snapshots_of("i-0nowhere")).await),
        "InvalidInstanceID.NotFound"
    );
}

#[tokio::test(start_paused = true)]
async fn a_volume_is_made_once_for_a_token() {
    let (world, account) = world("");
    let machine = id(&world, "web-1");
    let made = backed_up(&world, &account, &machine).await;
    let request = volume_from(&made[0].id, "one");
    let first = account.create_volume(&request).await.unwrap();
    let again = account.create_volume(&request).await.unwrap();
    assert_eq!((first.id.as_str(), first.state.as_str()), (again.id.as_str(), "creating"));
    // Nothing but size and encryption comes from the snapshot.
    assert_eq!((first.iops, first.throughput, first.encrypted), (Some(3000), Some(125), true));
    let other = CreateVolume { size_gib: 40, ..request.clone() };
    assert_eq!(code(account.create_volume(&other).await), "IdempotentParameterMismatch");
    assert_eq!(world.calls().count("ec2:CreateVolume"), 1);
    assert_eq!(world.calls().calls.last().map(|call| call.took_effect), Some(false));
    let small = CreateVolume { size_gib: 8, ..volume_from(&made[0].id, "two") };
    assert_eq!(code(account.create_volume(&small).await), "InvalidParameterValue");
    assert!(volume(&account, &first.id).await.is_none(), "not found at first");
    pass(&world, 5).await;
    assert_eq!(volume(&account, &first.id).await.unwrap().state, "available");
    account.delete_volume(&first.id).await.unwrap();
    assert!(volume(&account, &first.id).await.is_none());
    let gone = Attachment { volume: first.id, instance: machine.to_string(), ..Attachment::default() };
    assert_eq!(code(account.attach_volume(&gone).await), "InvalidVolume.NotFound");
}

#[tokio::test(start_paused = true)]
async fn volumes_are_swapped_while_the_machine_is_stopped() {
    let (world, account) = world("faults: [{ kind: unhealthy, targets: [web/1], after: 10m }]");
    let machine = id(&world, "web-1");
    let ids = [machine.clone()];
    let made = backed_up(&world, &account, &machine).await;
    pass(&world, 1200).await;
    assert_eq!(world.is_healthy("web-1"), Some(false));
    let before = account.instances(&ids).await.unwrap().pop().unwrap();
    let old = before.volumes.iter().find(|held| held.device == before.root_device).unwrap().clone();
    assert!(old.delete_on_termination);
    let root = made.iter().find(|made| made.volume == old.volume).unwrap();
    let new = account.create_volume(&volume_from(&root.id, "swap")).await.unwrap();
    pass(&world, 5).await;
    let held_as = |volume: &str| Attachment { volume: volume.to_owned(), ..old.clone() };
    assert_eq!(code(account.detach_volume(&old).await), "OperationNotPermitted");
    assert_eq!(code(account.delete_volume(&old.volume).await), "VolumeInUse");
    account.stop_instances(&ids).await.unwrap();
    assert_eq!(state(&account, &machine).await, "stopping");
    assert_eq!(code(account.start_instances(&ids).await), "IncorrectInstanceState");
    assert_eq!(code(account.detach_volume(&old).await), "IncorrectState");
    pass(&world, 31).await;
    assert_eq!(state(&account, &machine).await, "stopped");
    account.stop_instances(&ids).await.unwrap();
    assert_eq!(world.calls().count("ec2:StopInstances"), 1, "it is there already");
    assert_eq!(code(account.attach_volume(&held_as(&new.id)).await), "InvalidParameterValue");
    account.detach_volume(&old).await.unwrap();
    assert_eq!(code(account.start_instances(&ids).await), "InvalidParameterValue");
    pass(&world, 5).await;
    assert_eq!(volume(&account, &old.volume).await.unwrap().state, "available");
    assert_eq!(code(account.detach_volume(&old).await), "IncorrectState");
    account.attach_volume(&held_as(&new.id)).await.unwrap();
    assert_eq!(code(account.attach_volume(&held_as(&new.id)).await), "VolumeInUse");
    account.start_instances(&ids).await.unwrap();
    pass(&world, 80).await;
    let after = account.instances(&ids).await.unwrap().pop().unwrap();
    assert_eq!((after.state.as_str(), world.is_healthy("web-1")), ("running", Some(true)));
    assert_ne!(after.public_ip, before.public_ip, "an address of Amazon's changes");
    assert_eq!(after.private_ip, before.private_ip);
    let root = after.volumes.iter().find(|held| held.device == after.root_device).unwrap();
    assert_eq!((root.volume.as_str(), root.delete_on_termination), (new.id.as_str(), false));
    account.set_delete_on_termination(&held_as(&new.id)).await.unwrap();
    assert!(
        held(&account, &machine).await.iter().any(|held| held.volume == new.id && held.delete_on_termination)
    );
    assert!(world.calls().doubled().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_root_volume_is_replaced_where_the_snapshot_is_of_it() {
    let (world, account) = world("faults: [{ kind: unhealthy, targets: [web/1], after: 10m }]");
    let (machine, other) = (id(&world, "web-1"), id(&world, "web-2"));
    let made = backed_up(&world, &account, &machine).await;
    pass(&world, 1200).await;
    let volumes = held(&account, &machine).await;
    let root = volumes.iter().find(|held| held.device == "/dev/xvda").unwrap().volume.clone();
    let of = |volume: &str| made.iter().find(|made| made.volume == volume).unwrap().id.clone();
    let request = ReplaceRootVolume {
        instance: machine.to_string(),
        snapshot: of(&root),
        tags: BTreeMap::from([("runbook:run".into(), "r".into())]),
        token: "one".into(),
    };
    let wrong = ReplaceRootVolume { instance: other.to_string(), token: "two".into(), ..request.clone() };
    assert_eq!(code(account.replace_root_volume(&wrong).await), "InvalidParameterValue", "lineage");
    let data = volumes.iter().find(|held| held.volume != root).unwrap();
    let wrong = ReplaceRootVolume { snapshot: of(&data.volume), token: "three".into(), ..request.clone() };
    assert_eq!(code(account.replace_root_volume(&wrong).await), "InvalidParameterValue");
    let task = account.replace_root_volume(&request).await.unwrap();
    assert_eq!(account.replace_root_volume(&request).await.unwrap().id, task.id);
    let again = ReplaceRootVolume { token: "four".into(), ..request.clone() };
    assert_eq!(code(account.replace_root_volume(&again).await), "IncorrectState");
    let mut states = Vec::new();
    for seconds in [5, 100, 300] {
        pass(&world, seconds).await;
        states
            .push(account.replace_tasks(&Which::Ids(vec![task.id.clone()])).await.unwrap()[0].state.clone());
    }
    assert_eq!(states, ["pending", "in-progress", "succeeded"]);
    assert_eq!(world.is_healthy("web-1"), Some(true));
    let now = held(&account, &machine).await;
    let new = now.iter().find(|held| held.device == "/dev/xvda").unwrap();
    assert!(new.volume != root && new.delete_on_termination);
    let (old, new) = (volume(&account, &root).await.unwrap(), volume(&account, &new.volume).await.unwrap());
    assert_eq!((old.state.as_str(), old.attachments.len()), ("available", 0));
    // What is not stated to be kept is not: whoever restores puts it back.
    assert_eq!((old.iops, new.iops, new.size_gib, new.tags.len()), (Some(4000), Some(3000), 20, 0));
    assert_eq!(world.calls().count("ec2:CreateReplaceRootVolumeTask"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_replacement_can_leave_a_machine_without_a_root_volume() {
    let (world, account) = world("faults: [{ kind: restore_detached, targets: [web/1] }]");
    let machine = id(&world, "web-1");
    let made = backed_up(&world, &account, &machine).await;
    let root = held(&account, &machine).await.iter().find(|held| held.device == "/dev/xvda").unwrap().clone();
    let snapshot = made.iter().find(|made| made.volume == root.volume).unwrap().id.clone();
    let request =
        ReplaceRootVolume { instance: machine.to_string(), snapshot, ..ReplaceRootVolume::default() };
    let task = account.replace_root_volume(&request).await.unwrap();
    let which = Which::Ids(vec![task.id]);
    pass(&world, 260).await;
    assert_eq!(account.replace_tasks(&which).await.unwrap()[0].state, "failing-detached");
    pass(&world, 60).await;
    assert_eq!(account.replace_tasks(&which).await.unwrap()[0].state, "failed-detached");
    assert_eq!(held(&account, &machine).await.len(), 1);
    assert_eq!(world.is_healthy("web-1"), Some(false));
    // The way out: the old volume is put back by hand.
    account.stop_instances(std::slice::from_ref(&machine)).await.unwrap();
    pass(&world, 60).await;
    account.attach_volume(&root).await.unwrap();
    account.start_instances(std::slice::from_ref(&machine)).await.unwrap();
    pass(&world, 80).await;
    assert_eq!(world.is_healthy("web-1"), Some(true));
}

#[tokio::test(start_paused = true)]
async fn snapshots_and_tags_are_refused_where_they_must_be() {
    let (world, account) = world("faults: [{ kind: no_capacity, targets: [web/2], times: 1 }]");
    let machine = id(&world, "web-2");
    let made = backed_up(&world, &account, &machine).await;
    let tags = BTreeMap::from([("runbook:expires".to_owned(), "never".to_owned())]);
    account.create_tags(&[made[0].id.clone(), machine.to_string()], &tags).await.unwrap();
    let tagged = Which::Tagged { key: "runbook:expires".into(), values: Vec::new() };
    assert_eq!(account.snapshots(&tagged).await.unwrap().len(), 1);
    assert_eq!(code(account.create_tags(&["vol-0".into()], &tags).await), "InvalidVolume.NotFound");
    account.delete_snapshot(&made[0].id).await.unwrap();
    assert_eq!(code(account.delete_snapshot(&made[0].id).await), "InvalidSnapshot.NotFound");
    assert!(account.snapshots(&tagged).await.unwrap().is_empty());
    let ids = [machine];
    account.stop_instances(&ids).await.unwrap();
    pass(&world, 40).await;
    let fault = account.start_instances(&ids).await.unwrap_err();
    assert_eq!(
        (fault.kind, fault.code.as_deref()),
        (FaultKind::Capacity, Some("InsufficientInstanceCapacity"))
    );
    account.start_instances(&ids).await.unwrap();
    let old = [id(&world, "old")];
    assert_eq!(code(account.stop_instances(&old).await), "UnsupportedOperation");
}
