//! EC2 of the simulated world.

use std::collections::BTreeMap;

use async_trait::async_trait;
use runbook_engine::ids::TargetId;

use super::account::Account;
use crate::ports::{
    ec2::{
        Attachment, CreateSnapshots, CreateVolume, Ec2, Image, Instance, InstanceStatus, Proof,
        ReplaceRootVolume, ReplaceTask, Snapshot, Volume, Which,
    },
    fault::{Fault, FaultKind},
};

fn not_yet<T>(call: &'static str) -> Result<T, Fault> {
    let message = "the simulated world cannot do that".to_owned();
    Err(Fault { call, kind: FaultKind::Unsupported, code: None, message })
}

#[async_trait]
impl Ec2 for Account {
    async fn instances(&self, _ids: &[TargetId]) -> Result<Vec<Instance>, Fault> {
        not_yet("ec2:DescribeInstances")
    }

    async fn statuses(&self, _ids: &[TargetId]) -> Result<Vec<InstanceStatus>, Fault> {
        not_yet("ec2:DescribeInstanceStatus")
    }

    async fn snapshots(&self, _which: &Which) -> Result<Vec<Snapshot>, Fault> {
        not_yet("ec2:DescribeSnapshots")
    }

    async fn pending_snapshots(&self, _volumes: &[String]) -> Result<BTreeMap<String, u32>, Fault> {
        not_yet("ec2:DescribeSnapshots")
    }

    async fn volumes(&self, _which: &Which) -> Result<Vec<Volume>, Fault> {
        not_yet("ec2:DescribeVolumes")
    }

    async fn images(&self, _which: &Which) -> Result<Vec<Image>, Fault> {
        not_yet("ec2:DescribeImages")
    }

    async fn replace_tasks(&self, _which: &Which) -> Result<Vec<ReplaceTask>, Fault> {
        not_yet("ec2:DescribeReplaceRootVolumeTasks")
    }

    async fn create_snapshots(&self, _request: &CreateSnapshots) -> Result<Vec<Snapshot>, Fault> {
        not_yet("ec2:CreateSnapshots")
    }

    async fn create_volume(&self, _request: &CreateVolume) -> Result<Volume, Fault> {
        not_yet("ec2:CreateVolume")
    }

    async fn attach_volume(&self, _request: &Attachment) -> Result<(), Fault> {
        not_yet("ec2:AttachVolume")
    }

    async fn detach_volume(&self, _request: &Attachment) -> Result<(), Fault> {
        not_yet("ec2:DetachVolume")
    }

    async fn set_delete_on_termination(&self, _request: &Attachment) -> Result<(), Fault> {
        not_yet("ec2:ModifyInstanceAttribute")
    }

    async fn replace_root_volume(&self, _request: &ReplaceRootVolume) -> Result<ReplaceTask, Fault> {
        not_yet("ec2:CreateReplaceRootVolumeTask")
    }

    async fn stop_instances(&self, _ids: &[TargetId]) -> Result<(), Fault> {
        not_yet("ec2:StopInstances")
    }

    async fn start_instances(&self, _ids: &[TargetId]) -> Result<(), Fault> {
        not_yet("ec2:StartInstances")
    }

    async fn reboot_instances(&self, _ids: &[TargetId]) -> Result<(), Fault> {
        not_yet("ec2:RebootInstances")
    }

    async fn create_tags(
        &self,
        _resources: &[String],
        _tags: &BTreeMap<String, String>,
    ) -> Result<(), Fault> {
        not_yet("ec2:CreateTags")
    }

    async fn delete_snapshot(&self, _id: &str) -> Result<(), Fault> {
        not_yet("ec2:DeleteSnapshot")
    }

    async fn delete_volume(&self, _id: &str) -> Result<(), Fault> {
        not_yet("ec2:DeleteVolume")
    }

    async fn deregister_image(&self, _id: &str) -> Result<(), Fault> {
        not_yet("ec2:DeregisterImage")
    }

    async fn prove(&self, _right: &Proof) -> Result<(), Fault> {
        not_yet("ec2:DryRun")
    }
}
