//! AWS Backup: jobs, recovery points, and instances that are made anew.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use runbook_engine::{
    ids::{GroupName, TargetId},
    target::TargetQuery,
};

use super::{
    super::{Account, World, WorldOptions},
    rig::{FLEET, code, id, pass, state, world},
};
use crate::ports::{
    backup::{Backup, BackupJob, StartBackup, StartRestore},
    ec2::{Ec2, Which},
    ssm::Ssm,
};

fn backup_of(machine: &TargetId, token: &str) -> StartBackup {
    StartBackup {
        vault: "Default".into(),
        resource: format!("arn:aws:ec2:eu-central-1:111111111111:instance/{machine}"),
        role: "arn:aws:iam::111111111111:role/backup".into(),
        start_within: Duration::from_secs(3600),
        tags: BTreeMap::from([("runbook:run".into(), "r".into())]),
        token: token.to_owned(),
        ..StartBackup::default()
    }
}

async fn job(account: &Account, id: &Option<String>) -> BackupJob {
    account.backup_job(id.as_deref().unwrap()).await.unwrap()
}

async fn states(world: &Arc<World>, account: &Account, id: &Option<String>, waits: &[u64]) -> Vec<String> {
    let mut states = Vec::new();
    for seconds in waits {
        pass(world, *seconds).await;
        states.push(job(account, id).await.state);
    }
    states
}

#[tokio::test(start_paused = true)]
async fn a_backup_job_makes_one_recovery_point_for_a_token() {
    let (world, account) = world("");
    let machine = id(&world, "web-1");
    let request = backup_of(&machine, "one");
    let started = account.start_backup(&request).await.unwrap();
    assert_eq!(account.start_backup(&request).await.unwrap(), started);
    assert_eq!(states(&world, &account, &started, &[30, 60, 600]).await, ["CREATED", "RUNNING", "COMPLETED"]);
    let done = job(&account, &started).await;
    assert_eq!(done.message_category.as_deref(), Some("SUCCESS"));
    assert_eq!(done.size_bytes, Some(120 << 30));
    let points = account.recovery_points("Default").await.unwrap();
    assert_eq!((points.len(), points[0].status.as_str(), points[0].tags.len()), (1, "COMPLETED", 1));
    assert_eq!(done.recovery_point.as_ref(), Some(&points[0].arn));
    let image = points[0].arn.rsplit_once('/').unwrap().1.to_owned();
    let images = account.images(&Which::Ids(vec![image])).await.unwrap();
    assert_eq!((images[0].state.as_str(), images[0].snapshots.len()), ("available", 2));
    assert_eq!(code(account.delete_snapshot(&images[0].snapshots[0]).await), "InvalidSnapshot.InUse");
    account.delete_recovery_point("Default", &points[0].arn).await.unwrap();
    assert!(account.recovery_points("Default").await.unwrap().is_empty());
    assert!(account.snapshots(&Which::Ids(images[0].snapshots.clone())).await.unwrap().is_empty());
    assert_eq!(world.calls().count("backup:StartBackupJob"), 1);
}

#[tokio::test(start_paused = true)]
async fn jobs_can_wait_expire_fail_and_end_with_issues() {
    let (world, account) = world(
        "
vaults: [{ name: Default }, { name: locked, locked: true, min_retention_days: 30 }]
faults:
  - { kind: backup_late, targets: [web/1], after: 30m, times: 1 }
  - { kind: backup_late, targets: [web/1], after: 2h, times: 1 }
  - { kind: backup_issues, targets: [web/2] }
  - { kind: backup_failed, targets: [web/3], times: 1 }
",
    );
    let (late, issues, fails) = (id(&world, "web-1"), id(&world, "web-2"), id(&world, "web-3"));
    let started = account.start_backup(&backup_of(&late, "one")).await.unwrap();
    assert_eq!(
        states(&world, &account, &started, &[1700, 300, 600]).await,
        ["CREATED", "RUNNING", "COMPLETED"]
    );
    let started = account.start_backup(&backup_of(&late, "two")).await.unwrap();
    assert_eq!(states(&world, &account, &started, &[3500, 200]).await, ["CREATED", "EXPIRED"]);
    let started = account.start_backup(&backup_of(&issues, "three")).await.unwrap();
    pass(&world, 700).await;
    let done = job(&account, &started).await;
    assert_eq!(done.state, "COMPLETED");
    assert!(done.message_category.as_deref() != Some("SUCCESS") && done.message.is_some());
    let started = account.start_backup(&backup_of(&fails, "four")).await.unwrap();
    assert_eq!(states(&world, &account, &started, &[700]).await, ["FAILED"]);
    // A lifecycle that does not fit the lock fails the job, not the call (facts: Backup jobs).
    let short =
        StartBackup { vault: "locked".into(), delete_after_days: Some(7), ..backup_of(&fails, "five") };
    let started = account.start_backup(&short).await.unwrap();
    assert_eq!(states(&world, &account, &started, &[700]).await, ["FAILED"]);
    let nowhere = StartBackup { vault: "nowhere".into(), ..backup_of(&fails, "six") };
    assert_eq!(code(account.start_backup(&nowhere).await), "ResourceNotFoundException");
    let hasty = StartBackup { start_within: Duration::from_secs(600), ..backup_of(&fails, "seven") };
    assert_eq!(code(account.start_backup(&hasty).await), "InvalidParameterValueException");
}

#[test]
fn a_restore_makes_a_new_machine_that_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.log");
    let open = || World::open(FLEET, Some(&path), WorldOptions { seed: 7, speed: None }).unwrap();
    let made = super::super::runtime().unwrap().block_on(async {
        let world = open();
        let account = world.account("111111111111", "eu-central-1");
        let machine = id(&world, "web-1");
        account.start_backup(&backup_of(&machine, "one")).await.unwrap();
        pass(&world, 700).await;
        let arn = account.recovery_points("Default").await.unwrap()[0].arn.clone();
        let metadata = account.restore_metadata("Default", &arn).await.unwrap();
        let request = StartRestore {
            recovery_point: arn,
            metadata,
            role: "arn:aws:iam::111111111111:role/backup".into(),
            copy_tags: true,
            token: "two".into(),
        };
        let started = account.start_restore(&request).await.unwrap().unwrap();
        assert_eq!(account.start_restore(&request).await.unwrap().as_ref(), Some(&started));
        assert_eq!(account.restore_job(&started).await.unwrap().status, "PENDING");
        pass(&world, 670).await;
        let done = account.restore_job(&started).await.unwrap();
        assert_eq!(done.status, "COMPLETED");
        let made = TargetId::new(done.created.unwrap().rsplit_once('/').unwrap().1);
        assert_ne!(made, machine);
        pass(&world, 60).await;
        assert_eq!(state(&account, &made).await, "running");
        assert_eq!(account.all_instances().await.unwrap().len(), 5);
        made
    });
    super::super::runtime().unwrap().block_on(async {
        let world = open();
        let account = world.account("111111111111", "eu-central-1");
        let found = account.instances(std::slice::from_ref(&made)).await.unwrap().pop().unwrap();
        assert_eq!(found.tags.get("Name").map(String::as_str), Some("web-1"));
        assert_eq!(found.volumes.len(), 2);
        assert_eq!(account.agents(std::slice::from_ref(&made)).await.unwrap().len(), 1);
        let query = TargetQuery::Aws {
            tags: BTreeMap::from([("Name".into(), vec!["web-1".into()])]),
            ids: Vec::new(),
            resource_group: None,
            region: None,
            role: None,
            external_id: None,
        };
        let found = world.ports().inventory.resolve(&GroupName::new("web"), &query).await.unwrap();
        assert_eq!(found.iter().filter(|target| target.id == made).count(), 1);
    });
}
