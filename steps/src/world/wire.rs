//! What only a server of AWS's protocols asks of the world: answers that no port needs.

use std::collections::BTreeMap;

use runbook_engine::ids::TargetId;

use super::{
    account::Account,
    backup_job,
    disk_fact::DiskFact,
    elastic::all_there,
    instance,
    listing::machines,
    machine::Power,
    shelf::Item,
    snapshot,
    state::{Fact, State},
};
use crate::ports::{
    ec2::{InstanceStatus, Snapshot},
    fault::Fault,
};

/// What starting or stopping an instance did (`StartInstances`, `StopInstances`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The instance.
    pub instance: TargetId,
    /// Its state before the call.
    pub previous: String,
    /// Its state now.
    pub current: String,
}

/// A resource and its tags.
pub type Tagged = (String, BTreeMap<String, String>);

impl Account {
    /// The status checks of every instance (`DescribeInstanceStatus`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_statuses(&self) -> Result<Vec<InstanceStatus>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ec2:DescribeInstanceStatus", &[], |state, now| {
                Ok(machines(state, &here, now).map(|machine| instance::status(state, machine, now)).collect())
            })
            .await
    }

    /// The tags of every resource (`DescribeTags`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_tags(&self) -> Result<Vec<Tagged>, Fault> {
        fn of<'a, T: Item + 'a>(items: impl Iterator<Item = &'a T>) -> impl Iterator<Item = Tagged> {
            items.map(|item| (item.id().to_owned(), item.tags().clone()))
        }
        let here = self.place.clone();
        self.world
            .read(self.label(), "ec2:DescribeTags", &[], |state, now| {
                let mut all: Vec<Tagged> = machines(state, &here, now)
                    .map(|machine| &state.roster.machines[machine])
                    .map(|card| (card.id.to_string(), card.tags.clone()))
                    .collect();
                let disks = &state.disks;
                all.extend(of(disks.volumes.all(&here, now)));
                all.extend(of(disks.snapshots.all(&here, now)));
                all.extend(of(disks.images.all(&here, now)));
                all.extend(of(disks.replacements.all(&here, now)));
                Ok(all)
            })
            .await
    }

    /// Starts instances, and says what that did to each.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn start(&self, ids: &[TargetId]) -> Result<Vec<StateChange>, Fault> {
        self.act("ec2:StartInstances", ids, |state, now, here, struck| {
            let (fact, ()) = instance::start(state, now, here, ids, self.label(), struck)?;
            Ok((fact, changes(state, ids, Power::Stopped, Power::Pending)))
        })
        .await
    }

    /// Stops instances, and says what that did to each.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn stop(&self, ids: &[TargetId]) -> Result<Vec<StateChange>, Fault> {
        self.act("ec2:StopInstances", ids, |state, now, here, _| {
            let (fact, ()) = instance::stop(state, now, here, ids)?;
            Ok((fact, changes(state, ids, Power::Running, Power::Stopping)))
        })
        .await
    }

    /// Takes a snapshot of one volume (`CreateSnapshot`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn create_snapshot(
        &self,
        volume: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<Snapshot, Fault> {
        let machines = self.holder(volume);
        self.act("ec2:CreateSnapshot", &machines, |state, now, here, struck| {
            snapshot::create_of_volume(state, now, here, volume, tags, self.label(), struck)
        })
        .await
    }

    /// Takes tags off resources (`DeleteTags`): these keys, where stated only with this value; none: all.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn delete_tags(
        &self,
        resources: &[String],
        tags: &BTreeMap<String, Option<String>>,
    ) -> Result<(), Fault> {
        self.act("ec2:DeleteTags", &[], |state, _, here, _| {
            all_there(state, here, "ec2:DeleteTags", resources)?;
            let fact = DiskFact::Untagged { resources: resources.to_vec(), tags: tags.clone() };
            Ok((Fact::Disks(fact), ()))
        })
        .await
    }

    /// Stops a backup job (`StopBackupJob`). What it made so far goes away.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn stop_backup(&self, id: &str) -> Result<(), Fault> {
        self.act("backup:StopBackupJob", &[], |state, now, here, _| backup_job::stop(state, now, here, id))
            .await
    }
}

/// Those that were in one state are in the other now; the rest stay as they are.
fn changes(state: &State, ids: &[TargetId], from: Power, to: Power) -> Vec<StateChange> {
    let change = |id: &TargetId| {
        let previous = state.machines[state.roster.by_id(id)?].condition().power;
        let current = if previous == from { to } else { previous };
        Some(StateChange {
            instance: id.clone(),
            previous: previous.as_str().to_owned(),
            current: current.as_str().to_owned(),
        })
    };
    ids.iter().filter_map(change).collect()
}
