//! EC2: the port, one method after the other. What each answer says is read in the files of this folder.

mod filter;
mod image;
pub(crate) mod instance;
mod proof;
mod replace_task;
mod snapshot;
mod tag;
mod volume;

use std::collections::BTreeMap;

use async_trait::async_trait;
use runbook_engine::ids::TargetId;
use runbook_steps::ports::{
    ec2::{
        Attachment, CreateSnapshots, CreateVolume, Ec2, Image, Instance, InstanceStatus, Proof,
        ReplaceRootVolume, ReplaceTask, Snapshot, Volume, Which,
    },
    fault::Fault,
};

pub(crate) use filter::{VALUES_PER_FILTER, filter};

use crate::{
    call::Call,
    connection::Connection,
    fault::{incomplete, invalid},
    rate::Family,
};

/// Start, stop and reboot take so many: one bad id fails the whole call, so calls are kept small.
const MACHINES_PER_WRITE: usize = 50;

#[async_trait]
impl Ec2 for Connection {
    async fn instances(&self, ids: &[TargetId]) -> Result<Vec<Instance>, Fault> {
        Ok(instance::by_id(self, &names(ids)).await?.into_values().map(|(_, instance)| instance).collect())
    }

    async fn statuses(&self, ids: &[TargetId]) -> Result<Vec<InstanceStatus>, Fault> {
        instance::statuses(self, &names(ids)).await
    }

    async fn snapshots(&self, which: &Which) -> Result<Vec<Snapshot>, Fault> {
        snapshot::described(self, which).await
    }

    async fn pending_snapshots(&self, volumes: &[String]) -> Result<BTreeMap<String, u32>, Fault> {
        snapshot::pending(self, volumes).await
    }

    async fn volumes(&self, which: &Which) -> Result<Vec<Volume>, Fault> {
        volume::described(self, which).await
    }

    async fn images(&self, which: &Which) -> Result<Vec<Image>, Fault> {
        image::described(self, which).await
    }

    async fn replace_tasks(&self, which: &Which) -> Result<Vec<ReplaceTask>, Fault> {
        replace_task::described(self, which).await
    }

    async fn create_snapshots(&self, request: &CreateSnapshots) -> Result<Vec<Snapshot>, Fault> {
        const CALL: Call = Call::new("ec2:CreateSnapshots", Family::Ec2Snapshots);
        let answer = self.write(CALL, 1, |clients| snapshot::request(&clients.ec2, request).send()).await?;
        Ok(answer.snapshots.unwrap_or_default().iter().filter_map(snapshot::taken).collect())
    }

    async fn create_volume(&self, request: &CreateVolume) -> Result<Volume, Fault> {
        const CALL: Call = Call::new("ec2:CreateVolume", Family::Ec2Snapshots);
        let answer = self.write(CALL, 1, |clients| volume::request(&clients.ec2, request).send()).await?;
        volume::made(answer).ok_or_else(|| incomplete(CALL.name, "volume"))
    }

    async fn attach_volume(&self, request: &Attachment) -> Result<(), Fault> {
        const CALL: Call = Call::new("ec2:AttachVolume", Family::Ec2Writing);
        self.write(CALL, 1, |clients| volume::attach(&clients.ec2, request).send()).await.map(drop)
    }

    async fn detach_volume(&self, request: &Attachment) -> Result<(), Fault> {
        const CALL: Call = Call::new("ec2:DetachVolume", Family::Ec2Writing);
        self.write(CALL, 1, |clients| volume::detach(&clients.ec2, request).send()).await.map(drop)
    }

    async fn set_delete_on_termination(&self, request: &Attachment) -> Result<(), Fault> {
        const CALL: Call = Call::new("ec2:ModifyInstanceAttribute", Family::Ec2Writing);
        let call = self.write(CALL, 1, |clients| volume::keep_or_delete(&clients.ec2, request).send());
        call.await.map(drop)
    }

    async fn replace_root_volume(&self, request: &ReplaceRootVolume) -> Result<ReplaceTask, Fault> {
        const CALL: Call = Call::new("ec2:CreateReplaceRootVolumeTask", Family::Ec2Writing);
        let call = self.write(CALL, 1, |clients| replace_task::request(&clients.ec2, request).send());
        let task = call.await?.replace_root_volume_task;
        task.as_ref().and_then(replace_task::read).ok_or_else(|| incomplete(CALL.name, "task"))
    }

    async fn stop_instances(&self, ids: &[TargetId]) -> Result<(), Fault> {
        const CALL: Call = Call::new("ec2:StopInstances", Family::Ec2Writing);
        let ids = few(CALL, ids)?;
        let call = self.write(CALL, ids.len(), |clients| {
            clients.ec2.stop_instances().set_instance_ids(Some(ids.clone())).send()
        });
        call.await.map(drop)
    }

    async fn start_instances(&self, ids: &[TargetId]) -> Result<(), Fault> {
        const CALL: Call = Call::new("ec2:StartInstances", Family::Ec2Starting);
        let ids = few(CALL, ids)?;
        let call = self.write(CALL, ids.len(), |clients| {
            clients.ec2.start_instances().set_instance_ids(Some(ids.clone())).send()
        });
        call.await.map(drop)
    }

    async fn reboot_instances(&self, ids: &[TargetId]) -> Result<(), Fault> {
        const CALL: Call = Call::new("ec2:RebootInstances", Family::Ec2Writing);
        let ids = few(CALL, ids)?;
        let call = self.write(CALL, ids.len(), |clients| {
            clients.ec2.reboot_instances().set_instance_ids(Some(ids.clone())).send()
        });
        call.await.map(drop)
    }

    async fn create_tags(&self, resources: &[String], tags: &BTreeMap<String, String>) -> Result<(), Fault> {
        const CALL: Call = Call::new("ec2:CreateTags", Family::Ec2Tagging);
        if !(1..=1000).contains(&resources.len()) {
            let message = format!("{} resources in one call; 1 to 1000 are possible", resources.len());
            return Err(invalid(CALL.name, message));
        }
        let call = self.write(CALL, 1, |clients| {
            let call = clients.ec2.create_tags().set_resources(Some(resources.to_vec()));
            call.set_tags(Some(tag::tags(tags))).send()
        });
        call.await.map(drop)
    }

    async fn delete_snapshot(&self, id: &str) -> Result<(), Fault> {
        const CALL: Call = Call::new("ec2:DeleteSnapshot", Family::Ec2Snapshots);
        self.write(CALL, 1, |clients| clients.ec2.delete_snapshot().snapshot_id(id).send()).await.map(drop)
    }

    async fn delete_volume(&self, id: &str) -> Result<(), Fault> {
        const CALL: Call = Call::new("ec2:DeleteVolume", Family::Ec2Writing);
        self.write(CALL, 1, |clients| clients.ec2.delete_volume().volume_id(id).send()).await.map(drop)
    }

    async fn deregister_image(&self, id: &str) -> Result<(), Fault> {
        const CALL: Call = Call::new("ec2:DeregisterImage", Family::Ec2Snapshots);
        self.write(CALL, 1, |clients| clients.ec2.deregister_image().image_id(id).send()).await.map(drop)
    }

    async fn prove(&self, right: &Proof) -> Result<(), Fault> {
        match proof::ask(self, right).await {
            Err(fault) if fault.code.as_deref() == Some("DryRunOperation") => Ok(()),
            answer => answer,
        }
    }
}

fn names(ids: &[TargetId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

fn few(call: Call, ids: &[TargetId]) -> Result<Vec<String>, Fault> {
    if (1..=MACHINES_PER_WRITE).contains(&ids.len()) {
        return Ok(names(ids));
    }
    let message = format!("{} machines in one call; 1 to {MACHINES_PER_WRITE} are possible", ids.len());
    Err(invalid(call.name, message))
}
