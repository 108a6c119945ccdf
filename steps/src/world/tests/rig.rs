//! What the tests of the world's accounts have in common.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use runbook_engine::ids::TargetId;

use super::super::{Account, World};
use crate::ports::ec2::{Attachment, CreateSnapshots, Ec2, Snapshot, Volume, Which};

pub(super) const FLEET: &str = "
fleet: machines
start: 2026-11-21T18:00:00Z
durations:
  { patch: 5m, boot: 1m, snapshot: 2m, scan: 30s, restore: 4m, command: 10s, stop: 30s, start: 10s, backup: 10m, rebuild: 10m }
groups:
  - name: web
    count: 3
    account: '111111111111'
    region: eu-central-1
    volumes: 2
    public_ip: auto
    disks: { root_gib: 20, type: gp3, iops: 4000, throughput: 250, encrypted: true, kms_key: key, tags: { Team: blue } }
  - { name: other, account: '222222222222', region: us-east-1 }
  - { name: old, account: '111111111111', region: eu-central-1, root_device: instance-store }
";

/// A world, and the account of its group `web`.
pub(super) fn world(more: &str) -> (Arc<World>, Account) {
    let world = World::in_memory(&format!("{FLEET}{more}"), 7).expect("a fleet");
    let account = world.account("111111111111", "eu-central-1");
    (world, account)
}

pub(super) fn id(world: &World, name: &str) -> TargetId {
    world.machine(name).expect("a machine")
}

pub(super) async fn pass(world: &Arc<World>, seconds: u64) {
    world.ports().clock.sleep(Duration::from_secs(seconds)).await;
}

/// Snapshots of all volumes, completed.
pub(super) async fn backed_up(world: &Arc<World>, account: &Account, machine: &TargetId) -> Vec<Snapshot> {
    let tags = BTreeMap::from([("runbook:token".to_owned(), machine.to_string())]);
    let request = CreateSnapshots { instance: machine.to_string(), tags, ..CreateSnapshots::default() };
    let made = account.create_snapshots(&request).await.expect("snapshots");
    pass(world, 150).await;
    made
}

/// The volumes of an instance, by device.
pub(super) async fn held(account: &Account, machine: &TargetId) -> Vec<Attachment> {
    let found = account.instances(std::slice::from_ref(machine)).await.expect("an answer");
    found.into_iter().next().expect("an instance").volumes
}

pub(super) async fn state(account: &Account, machine: &TargetId) -> String {
    account.instances(std::slice::from_ref(machine)).await.expect("an answer")[0].state.clone()
}

pub(super) async fn volume(account: &Account, id: &str) -> Option<Volume> {
    account.volumes(&Which::Ids(vec![id.to_owned()])).await.expect("an answer").pop()
}

/// The code of a refusal.
pub(super) fn code<T: std::fmt::Debug>(answer: Result<T, crate::ports::fault::Fault>) -> String {
    answer.expect_err("a refusal").code.unwrap_or_default()
}
