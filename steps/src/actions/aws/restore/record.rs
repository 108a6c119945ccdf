//! What is decided for one machine before anything is asked for, as the journal keeps it: a later life makes exactly the
//! same calls.

use std::collections::BTreeMap;

use jiff::Timestamp;
use runbook_engine::{
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
    target::Ec2Facts,
};
use serde::{Deserialize, Serialize};

use super::{
    choice::{Backup, Strategy},
    new_instance::NewInstance,
    replace_root::ReplaceRoot,
    sight::Sight,
    swap::Swap,
};
use crate::{
    action::Inputs,
    actions::aws::{
        kept::{Kept, KeptVolume},
        marks,
    },
    context::Context,
    ports::ec2::{Instance, Volume},
};

/// What is decided for one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// When its restore began.
    pub began: Timestamp,
    /// How.
    pub way: Way,
}

/// The strategy, with what it must know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Way {
    ReplaceRootVolume(ReplaceRoot),
    SwapVolumes(Swap),
    BackupRestore(NewInstance),
}

/// Tags of what this attempt makes or leaves behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marks {
    /// On everything.
    pub ours: BTreeMap<String, String>,
    /// The token of what is left behind.
    #[serde(default)]
    pub left: String,
    /// When what is left behind may be deleted.
    pub expires: Option<Timestamp>,
}

impl Marks {
    /// Tags of something that is in use from now on: its own, as recorded, and ours.
    pub fn on_new(&self, recorded: &BTreeMap<String, String>, token: &str) -> BTreeMap<String, String> {
        let mut tags = own(recorded);
        tags.extend(self.ours.clone());
        tags.insert(marks::TOKEN.to_owned(), token.to_owned());
        tags
    }

    /// Tags of something that is left behind. It may have been made by an earlier restore, and have the token of that.
    pub fn on_old(&self) -> BTreeMap<String, String> {
        let mut tags = self.ours.clone();
        tags.insert(marks::TOKEN.to_owned(), self.left.clone());
        if let Some(expires) = self.expires {
            tags.insert("runbook:expires".to_owned(), expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        }
        tags
    }
}

/// Tags that a person or another tool put on something: neither ours nor AWS's own, which nobody may set.
pub(super) fn own(tags: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let foreign = tags.iter().filter(|(key, _)| !key.starts_with("aws:") && !key.starts_with("runbook:"));
    foreign.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Decides how a machine is restored, from what was seen of it.
///
/// # Errors
/// Why it cannot be: nothing was asked for.
pub(super) fn decide(ctx: &Context, id: &TargetId, inputs: &Inputs, sight: &Sight) -> Result<Record, Report> {
    let Some(mut kept) = inputs.backup.as_deref().and_then(Kept::read) else {
        return Err(failed("there is no backup of this machine to restore from"));
    };
    let instance = sight.instances.get(id.as_str());
    let stated = Strategy::named(inputs.text("strategy").unwrap_or("auto"));
    let mut strategy = stated.unwrap_or_else(|| Backup::of(&kept).auto());
    if strategy == Strategy::ReplaceRootVolume && instance.is_some_and(|instance| !is_rooted(instance)) {
        // A replacement that failed can leave a machine without a root (facts: Replacing a root volume):
        // there is nothing to replace.
        tracing::warn!(machine = %id, "it has no root volume: one is put on, as swap-volumes does");
        strategy = Strategy::SwapVolumes;
        kept.volumes.retain(|volume| volume.root);
    }
    strategy.fits(&instance.map(facts_of).unwrap_or_default(), Backup::of(&kept)).map_err(failed)?;
    strategy.reads(&kept).map_err(failed)?;
    let began = ctx.now();
    let mut ours = marks::tags(ctx, id, "", None);
    ours.remove(marks::TOKEN);
    let marks = Marks {
        ours,
        left: ctx.token(id.as_str(), "left").to_string(),
        expires: marks::expires(began, inputs.span("keep")),
    };
    let way = match strategy {
        Strategy::BackupRestore => {
            let token = ctx.token(id.as_str(), "backup:StartRestoreJob").to_string();
            Way::BackupRestore(NewInstance::planned(&kept, began, token, marks).map_err(failed)?)
        }
        Strategy::ReplaceRootVolume => {
            let Some(root) = kept.root() else {
                return Err(failed("the backup does not say which of its snapshots is of the root volume"));
            };
            let instance = instance.ok_or_else(|| failed(GONE))?;
            let token = ctx.token(id.as_str(), "ec2:CreateReplaceRootVolumeTask").to_string();
            Way::ReplaceRootVolume(ReplaceRoot::planned(root, instance, token, marks))
        }
        Strategy::SwapVolumes => {
            let instance = instance.ok_or_else(|| failed(GONE))?;
            let token =
                |volume: &KeptVolume| ctx.token(id.as_str(), &format!("ec2:CreateVolume {}", volume.device));
            Way::SwapVolumes(Swap::planned(&kept, instance, token, marks))
        }
    };
    Ok(Record { began, way })
}

/// EC2 does not know the machine.
pub(super) const GONE: &str = "EC2 does not know the instance: it was terminated";

pub(super) fn failed(cause: impl Into<String>) -> Report {
    Report::failed(Outcome::Failed, ErrorClass::Failed, cause)
}

/// What a strategy must know of an instance.
pub(in crate::actions::aws) fn facts_of(instance: &Instance) -> Ec2Facts {
    Ec2Facts {
        root_device_type: instance.root_device_type.clone(),
        volumes: u32::try_from(instance.volumes.len()).unwrap_or(u32::MAX),
        zone: instance.zone.clone(),
        spot: instance.lifecycle.as_deref() == Some("spot"),
        auto_scaling_group: instance.auto_scaling_group.clone(),
        public_ip_changes: instance.public_ip.is_some() && !instance.public_ip_is_elastic,
        hibernates: instance.hibernates,
    }
}

/// Whether a root volume is attached, and is not being taken off.
fn is_rooted(instance: &Instance) -> bool {
    holder(instance, &instance.root_device).is_some_and(|held| held.state != "detaching")
}

/// What is attached at a device.
pub(super) fn holder<'a>(instance: &'a Instance, device: &str) -> Option<&'a crate::ports::ec2::Attachment> {
    instance.volumes.iter().find(|held| held.device == device && held.state != "detached")
}

/// A volume as it must be made to be like the recorded one.
pub(in crate::actions::aws) fn like(
    recorded: &KeptVolume,
    zone: &str,
    tags: BTreeMap<String, String>,
    token: String,
) -> crate::ports::ec2::CreateVolume {
    // Others report baseline numbers that CreateVolume refuses (facts: Volumes).
    let provisioned = matches!(recorded.kind.as_str(), "gp3" | "io1" | "io2");
    crate::ports::ec2::CreateVolume {
        snapshot: recorded.snapshot.clone(),
        zone: zone.to_owned(),
        size_gib: recorded.size_gib,
        kind: recorded.kind.clone(),
        iops: recorded.iops.filter(|_| provisioned),
        throughput: recorded.throughput.filter(|_| recorded.kind == "gp3"),
        encrypted: recorded.encrypted,
        kms_key: recorded.kms_key.clone().filter(|_| recorded.encrypted),
        tags,
        token,
    }
}

/// What a volume has other than it was recorded, in words, and last the command that puts it back: it needs a right that
/// no restore has.
pub(super) fn differences(recorded: &KeptVolume, now: &Volume) -> Vec<String> {
    let (mut list, mut command) = (Vec::new(), String::new());
    if recorded.kind != now.kind {
        list.push(format!("type {} instead of {}", now.kind, recorded.kind));
        command += &format!(" --volume-type {}", recorded.kind);
    }
    let provisioned = matches!(recorded.kind.as_str(), "gp3" | "io1" | "io2");
    if let (Some(then), true) = (recorded.iops, provisioned)
        && now.iops != Some(then)
    {
        list.push(format!("{} IOPS instead of {then}", now.iops.unwrap_or_default()));
        command += &format!(" --iops {then}");
    }
    if let (Some(then), true) = (recorded.throughput, recorded.kind == "gp3")
        && now.throughput != Some(then)
    {
        list.push(format!("{} MiB/s instead of {then}", now.throughput.unwrap_or_default()));
        command += &format!(" --throughput {then}");
    }
    if !list.is_empty() {
        list.push(format!("to put it back: aws ec2 modify-volume --volume-id {}{command}", now.id));
    }
    list
}
