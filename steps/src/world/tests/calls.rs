//! What goes wrong with calls, and what separates accounts.

use std::time::Duration;

use super::{
    super::World,
    rig::{code, held, id, pass, world},
};
use crate::ports::{
    ec2::{CreateSnapshots, Ec2, Proof, Which},
    fault::FaultKind,
    ssm::Ssm,
};

fn snapshots_of(instance: &str) -> CreateSnapshots {
    CreateSnapshots { instance: instance.to_owned(), ..CreateSnapshots::default() }
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_missing_is_missing_in_a_dry_run_too() {
    let (world, account) = world("faults: [{ kind: denied, call: 'ec2:StopInstances' }]");
    let ids = vec![id(&world, "web-1")];
    let stop = Proof::StopInstances(ids.clone());
    let fault = account.prove(&stop).await.unwrap_err();
    assert_eq!((fault.kind, fault.call), (FaultKind::Denied, "ec2:StopInstances"));
    assert_eq!(code(account.stop_instances(&ids).await), "UnauthorizedOperation");
    assert!(account.prove(&Proof::StartInstances(ids)).await.is_ok());
    assert_eq!(world.calls().count("ec2:StopInstances"), 0);
}

#[tokio::test(start_paused = true)]
async fn calls_fail_before_and_after_their_effect() {
    let (world, account) = world(
        "
faults:
  - { kind: server_error, call: 'ec2:CreateSnapshots' }
  - { kind: server_error, call: 'ec2:CreateSnapshots', ran: false }
  - { kind: credentials_expired, call: 'ec2:DescribeInstances' }
  - { kind: quota_exceeded, call: 'ec2:CreateSnapshots' }
  - { kind: slow_listing, call: 'ec2:CreateSnapshots', after: 30s }
",
    );
    let machine = id(&world, "web-1");
    let request = snapshots_of(machine.as_str());
    let fault = account.instances(std::slice::from_ref(&machine)).await.unwrap_err();
    assert_eq!((fault.kind, fault.code.as_deref()), (FaultKind::Credentials, Some("RequestExpired")));
    let quota = account.create_snapshots(&request).await.unwrap_err();
    assert_eq!(quota.kind, FaultKind::Quota);
    for effects in [0, 1] {
        let fault = account.create_snapshots(&request).await.unwrap_err();
        assert_eq!((fault.kind, fault.code.as_deref()), (FaultKind::Ambiguous, Some("InternalError")));
        assert_eq!(world.calls().count("ec2:CreateSnapshots"), effects);
    }
    pass(&world, 20).await;
    assert!(account.all_snapshots().await.unwrap().is_empty(), "found later than usual");
    pass(&world, 20).await;
    assert_eq!(account.all_snapshots().await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn accounts_and_regions_do_not_see_each_other() {
    let (world, account) = world("");
    let other = world.account("222222222222", "us-east-1");
    let machine = id(&world, "web-1");
    assert_eq!(account.all_instances().await.unwrap().len(), 4);
    assert_eq!(other.all_instances().await.unwrap().len(), 1);
    assert!(other.instances(std::slice::from_ref(&machine)).await.unwrap().is_empty());
    assert_eq!(
        code(other.create_snapshots(&snapshots_of(machine.as_str())).await),
        "InvalidInstanceID.NotFound"
    );
    let root = held(&account, &machine).await[0].volume.clone();
    assert!(other.volumes(&Which::Ids(vec![root])).await.unwrap().is_empty());
    assert!(world.account("222222222222", "eu-central-1").all_instances().await.unwrap().is_empty());
    assert_eq!(world.first_account(), "111111111111");
}

#[tokio::test(start_paused = true)]
async fn alarms_change_when_the_fleet_file_says_so() {
    let (world, account) = world(
        "
alarms:
  - { name: errors, changes: [{ after: 1h, state: ALARM }, { after: 2h, state: OK }] }
  - { name: all, composite: true, state: INSUFFICIENT_DATA, account: '222222222222' }
",
    );
    let mut states = Vec::new();
    for seconds in [0, 3600, 3600] {
        pass(&world, seconds).await;
        let alarms = account.all_alarms().await.unwrap();
        assert_eq!(alarms.len(), 1);
        states.push(alarms[0].state.clone());
    }
    assert_eq!(states, ["OK", "ALARM", "OK"]);
    assert!(world.account("222222222222", "us-east-1").all_alarms().await.unwrap()[1].composite);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_machines_are_read_without_quadratic_work() {
    let fleet = "fleet: large\ngroups: [{ name: web, count: 10000, volumes: 2, tags: { A: b } }]";
    let world = World::in_memory(fleet, 1).unwrap();
    let account = world.account("000000000000", "eu-central-1");
    let instances = account.all_instances().await.unwrap();
    assert_eq!(instances.len(), 10_000);
    assert_eq!(account.all_volumes().await.unwrap().len(), 20_000);
    assert_eq!(account.all_agents().await.unwrap().len(), 10_000);
    for instance in &instances {
        account.create_snapshots(&snapshots_of(&instance.id)).await.unwrap();
    }
    world.ports().clock.sleep(Duration::from_secs(3600)).await;
    assert_eq!(account.all_snapshots().await.unwrap().len(), 20_000);
    let ids: Vec<_> = instances.iter().map(|instance| instance.id.as_str().into()).collect();
    assert_eq!(account.agents(&ids).await.unwrap().len(), 10_000);
    assert_eq!(account.statuses(&ids).await.unwrap().len(), 10_000);
}
