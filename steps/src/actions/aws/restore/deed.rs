//! The single calls that a restore is made of.

use std::collections::BTreeMap;

use runbook_engine::ids::TargetId;

use crate::ports::{
    backup::{Backup, StartRestore},
    ec2::{Attachment, CreateVolume, Ec2, ReplaceRootVolume},
    fault::Fault,
};

/// One call for one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// A volume from a snapshot, for this device.
    Create { device: String, request: CreateVolume },
    /// Tags on resources; `of` says which.
    Tag { of: String, resources: Vec<String>, tags: BTreeMap<String, String> },
    /// The machine is stopped.
    Stop,
    /// The machine is started.
    Start,
    /// A volume is taken off.
    Detach(Attachment),
    /// A volume is put on.
    Attach(Attachment),
    /// DeleteOnTermination of a volume is put back.
    Terminate(Attachment),
    /// The root volume is replaced.
    Replace(ReplaceRootVolume),
    /// AWS Backup makes a new instance.
    Restore(StartRestore),
    /// No call at all: a moment that a later life must know.
    Note(&'static str),
}

impl Deed {
    /// What tells it from the other deeds for the same machine.
    pub fn name(&self) -> String {
        match self {
            Self::Create { device, .. } => format!("create {device}"),
            Self::Tag { of, .. } => format!("tag {of}"),
            Self::Stop => "stop".to_owned(),
            Self::Start => "start".to_owned(),
            // The same device is emptied and filled, and in a second look perhaps once more by another volume.
            Self::Detach(one) => format!("detach {}", one.volume),
            Self::Attach(one) => format!("attach {}", one.volume),
            Self::Terminate(one) => format!("delete-on-termination {}", one.volume),
            Self::Replace(_) => "replace".to_owned(),
            Self::Restore(_) => "restore".to_owned(),
            Self::Note(what) => (*what).to_owned(),
        }
    }

    /// The call, as rights are named; none for a note.
    pub fn call(&self) -> Option<&'static str> {
        Some(match self {
            Self::Create { .. } => "ec2:CreateVolume",
            Self::Tag { .. } => "ec2:CreateTags",
            Self::Stop => "ec2:StopInstances",
            Self::Start => "ec2:StartInstances",
            Self::Detach(_) => "ec2:DetachVolume",
            Self::Attach(_) => "ec2:AttachVolume",
            Self::Terminate(_) => "ec2:ModifyInstanceAttribute",
            Self::Replace(_) => "ec2:CreateReplaceRootVolumeTask",
            Self::Restore(_) => "backup:StartRestoreJob",
            Self::Note(_) => return None,
        })
    }

    /// What finds it again: its client token where AWS has one, else its name.
    pub fn marker(&self) -> String {
        match self {
            Self::Create { request, .. } => request.token.clone(),
            Self::Replace(request) => request.token.clone(),
            Self::Restore(request) => request.token.clone(),
            _ => self.name(),
        }
    }

    /// Whether one call does it for many machines.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Stop | Self::Start)
    }

    /// Makes the call.
    pub async fn make(
        &self,
        ec2: &dyn Ec2,
        backup: &dyn Backup,
        machines: &[TargetId],
    ) -> Result<Option<String>, Fault> {
        match self {
            Self::Create { request, .. } => Ok(Some(ec2.create_volume(request).await?.id)),
            Self::Tag { resources, tags, .. } => ec2.create_tags(resources, tags).await.map(|()| None),
            Self::Stop => ec2.stop_instances(machines).await.map(|()| None),
            Self::Start => ec2.start_instances(machines).await.map(|()| None),
            Self::Detach(one) => ec2.detach_volume(one).await.map(|()| None),
            Self::Attach(one) => ec2.attach_volume(one).await.map(|()| None),
            Self::Terminate(one) => ec2.set_delete_on_termination(one).await.map(|()| None),
            Self::Replace(request) => Ok(Some(ec2.replace_root_volume(request).await?.id)),
            Self::Restore(request) => backup.start_restore(request).await,
            Self::Note(_) => Ok(None),
        }
    }
}
