//! Faults on the wire, by microburst in front of ministack and moto.

use std::time::Duration;

use jiff::Timestamp;
use runbook_engine::ids::GroupName;
use runbook_steps::ports::{
    AwsFactory,
    backup::StartBackup,
    ec2::{Attachment, CreateVolume, Which},
    fault::FaultKind,
    inventory::Inventory,
};
use runbook_test_servers::{Microburst, Ministack, Moto, boto3, start_machines};
use serde_json::json;

use crate::{
    aws, home,
    run_command::{ended, once, script},
    targets,
};

#[tokio::test]
async fn an_answer_lost_after_the_command_was_sent_is_ambiguous_and_the_command_is_found_and_not_repeated() {
    let server = Ministack::start();
    let wire = Microburst::start(&server.endpoint());
    let boxes = targets(&start_machines(&server.endpoint(), 2, &[]));
    let ssm = aws(&wire.endpoint()).await.ssm(&home());
    wire.rules(&json!([
        { "service": "ssm", "operation": "SendCommand", "times": 5, "response": { "abort_frac": 0.5 } },
    ]));
    let before = Timestamp::now();
    let command = script(&boxes, "marker", "echo x >>$COUNTERS/$INSTANCE_ID");
    let fault = ssm.send_command(command).await.expect_err("the answer is lost");
    assert_eq!(fault.kind, FaultKind::Ambiguous, "{fault}");
    assert_eq!(wire.fired("SendCommand"), 1, "it must not be tried again");

    let rows = ssm.list_commands("AWS-RunShellScript", before).await.expect("an answer");
    let found: Vec<_> = rows.iter().filter(|row| row.comment == "marker").collect();
    assert_eq!(found.len(), 1);
    once(&*ssm, &found[0].command_id, &boxes, ended).await;
    assert!(boxes.iter().all(|id| server.count(id.as_str()) == 1));
}

/// The machine gets a volume of a snapshot; the answers to making it and to attaching it are lost.
async fn a_volume_is_found(endpoint: &str) {
    let wire = Microburst::start(endpoint);
    let boxes = targets(&start_machines(endpoint, 1, &[]));
    let ec2 = aws(&wire.endpoint()).await.ec2(&home());
    let lost = |operation: &str| json!({ "service": "ec2", "operation": operation, "response": { "abort_frac": 0.5 } });
    wire.rules(&json!([lost("CreateVolume"), lost("AttachVolume")]));
    let make = "(lambda ec2: ec2.create_snapshot(VolumeId=ec2.create_volume(AvailabilityZone='eu-central-1a', \
                Size=8)['VolumeId'])['SnapshotId'])(boto3.client('ec2'))";
    let snapshot = boto3(endpoint, make).as_str().expect("a snapshot").to_owned();
    let tagged = Which::Tagged { key: "runbook:token".into(), values: vec!["one".into()] };

    let request = CreateVolume {
        snapshot,
        zone: "eu-central-1a".into(),
        size_gib: 8,
        kind: "gp3".into(),
        tags: [("runbook:token".to_owned(), "one".to_owned())].into(),
        token: "3f6c0c1e-0000-4000-8000-000000000001".into(),
        ..CreateVolume::default()
    };
    let fault = ec2.create_volume(&request).await.expect_err("the answer is lost");
    assert_eq!((fault.kind, wire.fired("CreateVolume")), (FaultKind::Ambiguous, 1), "{fault}");
    let found = ec2.volumes(&tagged).await.expect("an answer");
    assert_eq!(found.iter().map(|volume| volume.state.as_str()).collect::<Vec<_>>(), ["available"]);

    let request = Attachment {
        volume: found[0].id.clone(),
        instance: boxes[0].to_string(),
        device: "/dev/sdg".into(),
        ..Attachment::default()
    };
    let fault = ec2.attach_volume(&request).await.expect_err("the answer is lost");
    assert_eq!((fault.kind, wire.fired("AttachVolume")), (FaultKind::Ambiguous, 1), "{fault}");
    let found = ec2.volumes(&tagged).await.expect("an answer");
    let held: Vec<_> = found.iter().flat_map(|volume| &volume.attachments).collect();
    assert_eq!(held.iter().map(|held| held.instance.as_str()).collect::<Vec<_>>(), [boxes[0].as_str()]);
}

#[tokio::test]
async fn a_volume_whose_answers_are_lost_is_found_and_not_made_twice() {
    let (moto, ministack) = (Moto::start(), Ministack::start());
    a_volume_is_found(&moto.endpoint()).await;
    a_volume_is_found(&ministack.endpoint()).await;
}

#[tokio::test]
async fn a_backup_job_whose_answer_is_lost_is_found_and_not_begun_twice() {
    let server = Ministack::start();
    let wire = Microburst::start(&server.endpoint());
    let backup = aws(&wire.endpoint()).await.backup(&home());
    wire.rules(&json!([
        { "service": "backup", "operation": "StartBackupJob", "response": { "abort_frac": 0.5 } },
    ]));
    boto3(&server.endpoint(), "boto3.client('backup').create_backup_vault(BackupVaultName='nightly')");
    let before = Timestamp::now();
    let request = StartBackup {
        vault: "nightly".into(),
        resource: "arn:aws:ec2:eu-central-1:000000000000:instance/i-0123456789abcdef0".into(),
        role: "arn:aws:iam::000000000000:role/backup".into(),
        start_within: Duration::from_secs(3600),
        token: "3f6c0c1e-0000-4000-8000-000000000002".into(),
        ..StartBackup::default()
    };
    let fault = backup.start_backup(&request).await.expect_err("the answer is lost");
    assert_eq!((fault.kind, wire.fired("StartBackupJob")), (FaultKind::Ambiguous, 1), "{fault}");
    let found = backup.backup_jobs("nightly", Some(&request.resource), before).await.expect("an answer");
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn a_command_that_was_throttled_is_known_not_to_be_sent() {
    let server = Ministack::start();
    let wire = Microburst::start(&server.endpoint());
    let boxes = targets(&start_machines(&server.endpoint(), 1, &[]));
    let ssm = aws(&wire.endpoint()).await.ssm(&home());
    let rule = |error: serde_json::Value| json!([{ "service": "ssm", "operation": "SendCommand", "times": 2, "error": error }]);
    for (error, expected) in [
        (json!({ "code": "ThrottlingException" }), FaultKind::Throttled),
        (json!({ "code": "InternalServerError", "status": 500 }), FaultKind::Ambiguous),
        (json!({ "code": "AccessDeniedException" }), FaultKind::Denied),
        (json!({ "code": "ExpiredTokenException" }), FaultKind::Credentials),
    ] {
        wire.rules(&rule(error));
        let fault = ssm.send_command(script(&boxes, "marker", ":")).await.expect_err("it is refused");
        assert_eq!(fault.kind, expected, "{fault}");
    }
    wire.rules(&json!([]));
    assert_eq!(ssm.list_commands("AWS-RunShellScript", Timestamp::UNIX_EPOCH).await.expect("an answer"), []);
}

#[tokio::test]
async fn readings_outlast_a_fault_or_two() {
    let server = Ministack::start();
    let wire = Microburst::start(&server.endpoint());
    let boxes = targets(&start_machines(&server.endpoint(), 1, &[("Tier", "front")]));
    let aws = aws(&wire.endpoint()).await;
    wire.rules(&json!([
        { "service": "ec2", "operation": "DescribeInstances", "times": 1, "error": { "code": "RequestLimitExceeded" } },
        { "service": "ssm", "operation": "ListCommands", "times": 1, "response": { "abort_frac": 0.5 } },
    ]));
    let query = runbook_engine::target::TargetQuery::Aws {
        tags: [("Tier".to_owned(), vec!["front".to_owned()])].into(),
        ids: Vec::new(),
        resource_group: None,
        region: None,
        role: None,
        external_id: None,
    };
    let found = aws.resolve(&GroupName::new("front"), &query).await.expect("an answer");
    assert_eq!(found.iter().map(|target| &target.id).collect::<Vec<_>>(), boxes.iter().collect::<Vec<_>>());
    let rows = aws.ssm(&home()).list_commands("AWS-RunShellScript", Timestamp::UNIX_EPOCH).await;
    assert_eq!(rows.expect("an answer"), []);
    assert_eq!((wire.fired("DescribeInstances"), wire.fired("ListCommands")), (1, 1));
}

#[tokio::test]
async fn nobody_there_is_known_not_to_be_sent() {
    let boxes = targets(&["i-0123456789abcdef0".to_owned()]);
    let ssm = aws("http://127.0.0.1:1").await.ssm(&home());
    let fault = ssm.send_command(script(&boxes, "marker", ":")).await.expect_err("nobody listens");
    assert_eq!(fault.kind, FaultKind::NotSent, "{fault}");
}
