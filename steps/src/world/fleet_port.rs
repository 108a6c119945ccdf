//! The port `Fleet` on top of the new one: it goes away with the last action that uses it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use super::{
    account::Account, instance, part::boot_id, replacement, snapshot::Snapshot as Known, state::State,
};
use crate::ports::{
    ec2::{CreateSnapshots, Ec2, ReplaceRootVolume, ReplaceTask, Which},
    fault::{Fault, FaultKind},
    fleet::{BootInfo, Fleet, RestoreTask, Snapshot},
};

#[async_trait]
impl Fleet for Account {
    async fn create_snapshots(
        &self,
        instance: &TargetId,
        root_only: bool,
        tags: BTreeMap<String, String>,
    ) -> Result<Vec<Snapshot>, Fault> {
        let without = if root_only { self.data_volumes(instance) } else { Vec::new() };
        let request =
            CreateSnapshots { instance: instance.to_string(), without, description: String::new(), tags };
        let made = Ec2::create_snapshots(self, &request).await?;
        Ok(made
            .into_iter()
            .map(|snapshot| Snapshot {
                id: snapshot.id,
                volume: snapshot.volume,
                instance: instance.clone(),
                state: snapshot.state,
                tags: snapshot.tags,
            })
            .collect())
    }

    async fn snapshots_tagged(&self, key: &str, value: &str) -> Result<Vec<Snapshot>, Fault> {
        let which = Which::Tagged { key: key.to_owned(), values: vec![value.to_owned()] };
        self.find_snapshots(&which).await
    }

    async fn snapshots(&self, ids: &[String]) -> Result<Vec<Snapshot>, Fault> {
        let found = self.find_snapshots(&Which::Ids(ids.to_vec())).await?;
        match ids.iter().find(|id| !found.iter().any(|snapshot| snapshot.id == **id)) {
            None => Ok(found),
            // One id that is not there (yet) fails the call.
            Some(id) => Err(Fault {
                call: "ec2:DescribeSnapshots",
                kind: FaultKind::NotFound,
                code: Some("InvalidSnapshot.NotFound".into()),
                message: format!("no snapshot {id}"),
            }),
        }
    }

    async fn restore(
        &self,
        instance: &TargetId,
        snapshots: &[String],
        _strategy: &str,
        token: &str,
    ) -> Result<RestoreTask, Fault> {
        // All that a machine's condition depends on is in its root volume.
        let root = {
            let inner = self.world.lock();
            let of = |id: &&String| {
                inner.state.disks.snapshots.get(id).is_some_and(|snapshot| !snapshot.root_of.is_empty())
            };
            snapshots.iter().find(of).or(snapshots.first()).cloned()
        };
        let request = ReplaceRootVolume {
            instance: instance.to_string(),
            snapshot: root.unwrap_or_default(),
            tags: BTreeMap::new(),
            token: token.to_owned(),
        };
        Ok(task(self.replace_root_volume(&request).await?))
    }

    async fn restores(&self, ids: &[String]) -> Result<Vec<RestoreTask>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ec2:DescribeReplaceRootVolumeTasks", &[], |state, now| {
                let known = ids.iter().filter_map(|id| state.disks.replacements.get(id));
                let known = known.filter(|task: &&replacement::Replacement| here.sees(&task.place));
                Ok(known.map(|known| task(known.show(now))).collect())
            })
            .await
    }

    async fn reboot(&self, instances: &[TargetId]) -> Result<(), Fault> {
        self.reboot_instances(instances).await
    }

    async fn boots(&self, instances: &[TargetId]) -> Result<Vec<BootInfo>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ssm:DescribeInstanceInformation", instances, |state, now| {
                let known = instances.iter().filter_map(|id| instance::find(state, &here, id, now));
                Ok(known
                    .map(|machine| {
                        let condition = state.machines[machine].condition();
                        BootInfo {
                            instance: state.roster.machines[machine].id.clone(),
                            boot_id: boot_id(state, machine, condition.boots),
                            online: condition.heard(),
                        }
                    })
                    .collect())
            })
            .await
    }
}

impl Account {
    fn data_volumes(&self, instance: &TargetId) -> Vec<String> {
        let inner = self.world.lock();
        let Some(machine) = inner.state.roster.by_id(instance) else { return Vec::new() };
        let root = inner.state.root(machine);
        inner.state.machines[machine].volumes.values().filter(|id| Some(*id) != root).cloned().collect()
    }

    async fn find_snapshots(&self, which: &Which) -> Result<Vec<Snapshot>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ec2:DescribeSnapshots", &[], |state: &mut State, now: Timestamp| {
                let found = state.disks.snapshots.seen(&here, which, now);
                Ok(found.into_iter().map(|snapshot| show(snapshot, now)).collect())
            })
            .await
    }
}

fn show(snapshot: &Known, now: Timestamp) -> Snapshot {
    Snapshot {
        id: snapshot.id.clone(),
        volume: snapshot.volume.clone(),
        instance: snapshot.instance.clone().unwrap_or_else(|| TargetId::new("")),
        state: snapshot.state(now).to_owned(),
        tags: snapshot.tags.clone(),
    }
}

fn task(task: ReplaceTask) -> RestoreTask {
    RestoreTask { id: task.id, instance: TargetId::new(task.instance), state: task.state }
}
