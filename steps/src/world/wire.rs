//! What only a server of AWS's protocols asks of the world: answers that no port needs.

use std::collections::BTreeMap;

use runbook_engine::ids::TargetId;

use super::account::Account;
use crate::ports::{
    ec2::{CreateSnapshots, Ec2, InstanceStatus, Snapshot},
    fault::{Fault, FaultKind},
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
        let ids: Vec<_> =
            self.all_instances().await?.into_iter().map(|instance| TargetId::from(instance.id)).collect();
        self.statuses(&ids).await
    }

    /// The tags of every resource that has some (`DescribeTags`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_tags(&self) -> Result<Vec<Tagged>, Fault> {
        let mut all = Vec::new();
        all.extend(self.all_instances().await?.into_iter().map(|instance| (instance.id, instance.tags)));
        all.extend(self.all_volumes().await?.into_iter().map(|volume| (volume.id, volume.tags)));
        all.extend(self.all_snapshots().await?.into_iter().map(|snapshot| (snapshot.id, snapshot.tags)));
        all.extend(self.all_images().await?.into_iter().map(|image| (image.id, image.tags)));
        all.extend(self.all_replace_tasks().await?.into_iter().map(|task| (task.id, task.tags)));
        all.retain(|(_, tags)| !tags.is_empty());
        Ok(all)
    }

    /// Starts instances, and says what that did to each.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn start(&self, ids: &[TargetId]) -> Result<Vec<StateChange>, Fault> {
        let before = self.states(ids).await?;
        self.start_instances(ids).await?;
        self.changes(ids, before).await
    }

    /// Stops instances, and says what that did to each.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn stop(&self, ids: &[TargetId]) -> Result<Vec<StateChange>, Fault> {
        let before = self.states(ids).await?;
        self.stop_instances(ids).await?;
        self.changes(ids, before).await
    }

    async fn states(&self, ids: &[TargetId]) -> Result<BTreeMap<TargetId, String>, Fault> {
        let instances = self.instances(ids).await?;
        Ok(instances.into_iter().map(|instance| (TargetId::from(instance.id), instance.state)).collect())
    }

    async fn changes(
        &self,
        ids: &[TargetId],
        mut before: BTreeMap<TargetId, String>,
    ) -> Result<Vec<StateChange>, Fault> {
        let mut now = self.states(ids).await?;
        let change = |id: &TargetId| {
            let (previous, current) = (before.remove(id)?, now.remove(id)?);
            Some(StateChange { instance: id.clone(), previous, current })
        };
        Ok(ids.iter().filter_map(change).collect())
    }

    /// Takes a snapshot of one volume (`CreateSnapshot`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn create_snapshot(
        &self,
        volume: &str,
        description: &str,
        tags: &BTreeMap<String, String>,
    ) -> Result<Snapshot, Fault> {
        const CALL: &str = "ec2:CreateSnapshot";
        let refused =
            |kind, code: &str, message| Fault { call: CALL, kind, code: Some(code.into()), message };
        let volumes = self.all_volumes().await?;
        let Some(known) = volumes.iter().find(|known| known.id == volume) else {
            let message = format!("The volume '{volume}' does not exist.");
            return Err(refused(FaultKind::NotFound, "InvalidVolume.NotFound", message));
        };
        let Some(attachment) = known.attachments.first() else {
            let message = "This sandbox takes snapshots of attached volumes only.".to_owned();
            return Err(refused(FaultKind::Unsupported, "UnsupportedOperation", message));
        };
        let is_other = |other: &&crate::ports::ec2::Volume| {
            other.id != volume && other.attachments.iter().any(|held| held.instance == attachment.instance)
        };
        let request = CreateSnapshots {
            instance: attachment.instance.clone(),
            without: volumes.iter().filter(is_other).map(|other| other.id.clone()).collect(),
            description: description.to_owned(),
            tags: tags.clone(),
        };
        let made = self.create_snapshots(&request).await?;
        made.into_iter().find(|snapshot| snapshot.volume == volume).ok_or_else(|| {
            refused(FaultKind::Unsupported, "UnsupportedOperation", "the world took no snapshot of it".into())
        })
    }
}
