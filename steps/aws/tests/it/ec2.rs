//! EC2 against moto, on which volumes can be swapped, dry runs are honoured, and nothing is asked twice.

use std::{collections::BTreeMap, slice};

use runbook_engine::ids::TargetId;
use runbook_steps::ports::{
    AwsFactory,
    ec2::{Attachment, CreateSnapshots, CreateVolume, Proof, Which},
    fault::FaultKind,
};
use runbook_test_servers::{Moto, boto3, start_machines};

use crate::{aws, home, targets};

fn tags(of: &str) -> BTreeMap<String, String> {
    [("runbook:run".to_owned(), "7k2m".to_owned()), ("runbook:host".to_owned(), of.to_owned())].into()
}

fn unknown(kind: &str) -> String {
    format!("{kind}-00000000000000000")
}

#[tokio::test]
async fn a_root_volume_is_swapped_for_one_made_of_its_snapshot() {
    let server = Moto::start();
    let endpoint = server.endpoint();
    let boxes = targets(&start_machines(&endpoint, 2, &[("Environment", "dev")]));
    let ec2 = aws(&endpoint).await.ec2(&home());
    let machine = boxes[0].clone();

    let before = ec2.instances(&boxes).await.expect("an answer");
    assert_eq!(before.len(), 2);
    let instance = before.iter().find(|each| each.id == machine.as_str()).expect("it is there");
    assert_eq!((instance.state.as_str(), instance.root_device_type.as_str()), ("running", "ebs"));
    let root =
        instance.volumes.iter().find(|each| each.device == instance.root_device).expect("a root").clone();
    let old = ec2.volumes(&Which::Ids(vec![root.volume.clone()])).await.expect("an answer").remove(0);
    assert_eq!((old.state.as_str(), old.attachments.len()), ("in-use", 1));

    let request = CreateSnapshots {
        instance: machine.to_string(),
        description: "before patching".into(),
        tags: tags(machine.as_str()),
        ..CreateSnapshots::default()
    };
    let taken = ec2.create_snapshots(&request).await.expect("an answer");
    assert_eq!(taken.iter().map(|each| &each.volume).collect::<Vec<_>>(), [&root.volume]);
    let by_tag = Which::Tagged { key: "runbook:run".into(), values: vec!["7k2m".into()] };
    let found = ec2.snapshots(&by_tag).await.expect("an answer");
    assert_eq!(found.iter().map(|each| &each.id).collect::<Vec<_>>(), [&taken[0].id]);
    assert_eq!((found[0].state.as_str(), &found[0].tags), ("completed", &request.tags));
    assert_eq!(
        ec2.pending_snapshots(slice::from_ref(&root.volume)).await.expect("an answer")[&root.volume],
        0
    );

    let request = CreateVolume {
        snapshot: taken[0].id.clone(),
        zone: instance.zone.clone(),
        size_gib: old.size_gib,
        kind: "gp3".into(),
        iops: Some(3000),
        throughput: Some(125),
        tags: tags(machine.as_str()),
        token: "3f6c0c1e-0000-4000-8000-000000000001".into(),
        ..CreateVolume::default()
    };
    let made = ec2.create_volume(&request).await.expect("an answer");
    assert_eq!(
        (made.kind.as_str(), made.iops, &made.snapshot),
        ("gp3", Some(3000), &Some(taken[0].id.clone()))
    );

    ec2.stop_instances(slice::from_ref(&machine)).await.expect("an answer");
    ec2.detach_volume(&root).await.expect("an answer");
    let new = Attachment { volume: made.id.clone(), delete_on_termination: true, ..root.clone() };
    ec2.attach_volume(&new).await.expect("an answer");
    ec2.start_instances(slice::from_ref(&machine)).await.expect("an answer");
    ec2.create_tags(slice::from_ref(&root.volume), &tags("old root")).await.expect("an answer");

    let after = ec2.instances(slice::from_ref(&machine)).await.expect("an answer").remove(0);
    assert_eq!(after.state, "running");
    assert!(after.volumes.iter().any(|each| each.volume == made.id && each.device == root.device));
    let both = ec2.volumes(&Which::Tagged { key: "runbook:run".into(), values: Vec::new() }).await;
    assert_eq!(both.expect("an answer").len(), 2);
    ec2.delete_volume(&root.volume).await.expect("an answer");
    ec2.delete_snapshot(&taken[0].id).await.expect("an answer");
    assert_eq!(ec2.snapshots(&by_tag).await.expect("an answer"), []);
    assert!(!server.log().contains("\" 500 "), "{}", server.log());
}

#[tokio::test]
async fn an_unknown_id_hides_nothing() {
    let server = Moto::start();
    let endpoint = server.endpoint();
    let boxes = targets(&start_machines(&endpoint, 3, &[]));
    let ec2 = aws(&endpoint).await.ec2(&home());
    let mut asked = boxes.clone();
    asked.insert(1, TargetId::new(unknown("i")));
    let instances = ec2.instances(&asked).await.expect("an answer");
    assert_eq!(instances.len(), 3);
    let statuses = ec2.statuses(&asked).await.expect("an answer");
    assert_eq!(statuses.len(), 3, "{statuses:?}");
    assert!(statuses.iter().all(|each| each.state == "running" && each.system == "ok"));
    let volumes: Vec<String> =
        instances.iter().flat_map(|each| &each.volumes).map(|each| each.volume.clone()).collect();
    let asked: Vec<String> = volumes.iter().cloned().chain([unknown("vol")]).collect();
    assert_eq!(ec2.volumes(&Which::Ids(asked)).await.expect("an answer").len(), volumes.len());
    assert_eq!(ec2.snapshots(&Which::Ids(vec![unknown("snap")])).await.expect("an answer"), []);
    assert_eq!(ec2.images(&Which::Ids(vec![unknown("ami")])).await.expect("an answer"), []);
    assert!(!server.log().contains("\" 500 "), "{}", server.log());
}

#[tokio::test]
async fn rights_are_proved_without_changing_anything() {
    let server = Moto::start();
    let endpoint = server.endpoint();
    let boxes = targets(&start_machines(&endpoint, 1, &[]));
    let ec2 = aws(&endpoint).await.ec2(&home());
    // An image has one of its own.
    let snapshots =
        || boto3(&endpoint, "len(boto3.client('ec2').describe_snapshots(OwnerIds=['self'])['Snapshots'])");
    let before = snapshots();
    ec2.prove(&Proof::StopInstances(boxes.clone())).await.expect("it would be done");
    ec2.prove(&Proof::StartInstances(boxes.clone())).await.expect("it would be done");
    ec2.prove(&Proof::RebootInstances(boxes.clone())).await.expect("it would be done");
    let request = CreateSnapshots { instance: boxes[0].to_string(), ..CreateSnapshots::default() };
    ec2.prove(&Proof::CreateSnapshots(request)).await.expect("it would be done");
    assert_eq!(ec2.instances(&boxes).await.expect("an answer")[0].state, "running");
    assert_eq!(snapshots(), before);
}

#[tokio::test]
async fn what_is_not_there_and_what_is_too_much_is_told_apart() {
    let server = Moto::start();
    let ec2 = aws(&server.endpoint()).await.ec2(&home());
    let fault = ec2.delete_snapshot(&unknown("snap")).await.expect_err("it is not there");
    assert_eq!((fault.kind, fault.call), (FaultKind::NotFound, "ec2:DeleteSnapshot"));
    let many: Vec<TargetId> = (0..51).map(|number| TargetId::new(format!("i-{number:017x}"))).collect();
    for fault in [ec2.stop_instances(&many).await, ec2.start_instances(&[]).await] {
        assert_eq!(fault.expect_err("too many, or none").kind, FaultKind::Invalid);
    }
}
