//! An account in which things lie: as much of EC2 and AWS Backup as the collection of artifacts asks for.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{ids::TargetId, target::Home};
use runbook_steps::{
    ports::{
        AwsFactory, Ports,
        backup::{Backup, BackupJob, RecoveryPoint, RestoreJob, StartBackup, StartRestore, Vault},
        ec2::{
            Attachment, CreateSnapshots, CreateVolume, Ec2, Image, Instance, InstanceStatus, Proof,
            ReplaceRootVolume, ReplaceTask, Snapshot, Volume, Which,
        },
        fault::{Fault, FaultKind},
        ssm::Ssm,
    },
    world::World,
};

/// See above. Every clone is the same account.
#[derive(Clone, Default)]
pub struct Shelf(Arc<Mutex<Things>>);

/// What lies there.
#[derive(Default)]
pub struct Things {
    pub snapshots: BTreeMap<String, Snapshot>,
    pub volumes: BTreeMap<String, Volume>,
    pub images: BTreeMap<String, Image>,
    pub points: BTreeMap<String, RecoveryPoint>,
    /// Deleting these recovery points is answered, and leaves them `EXPIRED`.
    pub stubborn: Vec<String>,
    /// Every call that deletes, in order.
    pub deletions: Vec<String>,
    /// So many more calls are answered with this.
    pub faults: Vec<FaultKind>,
}

impl Shelf {
    /// What lies there.
    pub fn things(&self) -> MutexGuard<'_, Things> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that lies there, by id.
    pub fn ids(&self) -> Vec<String> {
        let things = self.things();
        let ids = things.snapshots.keys().chain(things.volumes.keys());
        ids.chain(things.images.keys()).chain(things.points.keys()).cloned().collect()
    }

    /// A world's ports, with this account in place of its own.
    pub fn ports(&self, world: &Arc<World>) -> Ports {
        Ports { aws: Some(Arc::new(self.clone())), ..world.ports() }
    }

    fn call(&self, call: &'static str) -> Result<MutexGuard<'_, Things>, Fault> {
        let mut things = self.things();
        match things.faults.pop() {
            Some(kind) => Err(fault(call, kind)),
            None => Ok(things),
        }
    }
}

fn fault(call: &'static str, kind: FaultKind) -> Fault {
    Fault { call, kind, code: None, message: "no".to_owned() }
}

fn unsupported<T>(call: &'static str) -> Result<T, Fault> {
    Err(fault(call, FaultKind::Unsupported))
}

fn chosen<T: Clone>(
    all: &BTreeMap<String, T>,
    which: &Which,
    tags: impl Fn(&T) -> &BTreeMap<String, String>,
) -> Vec<T> {
    let matches = |(id, thing): &(&String, &T)| match which {
        Which::Ids(ids) => ids.contains(id),
        Which::Tagged { key, values } => {
            tags(thing).get(key).is_some_and(|value| values.is_empty() || values.contains(value))
        }
    };
    all.iter().filter(matches).map(|(_, thing)| thing.clone()).collect()
}

fn taken<T>(call: &'static str, map: &mut BTreeMap<String, T>, id: &str) -> Result<(), Fault> {
    map.remove(id).map(drop).ok_or_else(|| fault(call, FaultKind::NotFound))
}

impl AwsFactory for Shelf {
    fn ssm(&self, _home: &Home) -> Arc<dyn Ssm> {
        unreachable!("nothing is run on machines here")
    }

    fn ec2(&self, _home: &Home) -> Arc<dyn Ec2> {
        Arc::new(self.clone())
    }

    fn backup(&self, _home: &Home) -> Arc<dyn Backup> {
        Arc::new(self.clone())
    }
}

#[async_trait]
impl Ec2 for Shelf {
    async fn instances(&self, _: &[TargetId]) -> Result<Vec<Instance>, Fault> {
        unsupported("ec2:DescribeInstances")
    }
    async fn statuses(&self, _: &[TargetId]) -> Result<Vec<InstanceStatus>, Fault> {
        unsupported("ec2:DescribeInstanceStatus")
    }
    async fn snapshots(&self, which: &Which) -> Result<Vec<Snapshot>, Fault> {
        Ok(chosen(&self.call("ec2:DescribeSnapshots")?.snapshots, which, |each| &each.tags))
    }
    async fn pending_snapshots(&self, _: &[String]) -> Result<BTreeMap<String, u32>, Fault> {
        unsupported("ec2:DescribeSnapshots")
    }
    async fn volumes(&self, which: &Which) -> Result<Vec<Volume>, Fault> {
        Ok(chosen(&self.call("ec2:DescribeVolumes")?.volumes, which, |each| &each.tags))
    }
    async fn images(&self, which: &Which) -> Result<Vec<Image>, Fault> {
        Ok(chosen(&self.call("ec2:DescribeImages")?.images, which, |each| &each.tags))
    }
    async fn replace_tasks(&self, _: &Which) -> Result<Vec<ReplaceTask>, Fault> {
        unsupported("ec2:DescribeReplaceRootVolumeTasks")
    }
    async fn create_snapshots(&self, _: &CreateSnapshots) -> Result<Vec<Snapshot>, Fault> {
        unsupported("ec2:CreateSnapshots")
    }
    async fn create_volume(&self, _: &CreateVolume) -> Result<Volume, Fault> {
        unsupported("ec2:CreateVolume")
    }
    async fn attach_volume(&self, _: &Attachment) -> Result<(), Fault> {
        unsupported("ec2:AttachVolume")
    }
    async fn detach_volume(&self, _: &Attachment) -> Result<(), Fault> {
        unsupported("ec2:DetachVolume")
    }
    async fn set_delete_on_termination(&self, _: &Attachment) -> Result<(), Fault> {
        unsupported("ec2:ModifyInstanceAttribute")
    }
    async fn replace_root_volume(&self, _: &ReplaceRootVolume) -> Result<ReplaceTask, Fault> {
        unsupported("ec2:CreateReplaceRootVolumeTask")
    }
    async fn stop_instances(&self, _: &[TargetId]) -> Result<(), Fault> {
        unsupported("ec2:StopInstances")
    }
    async fn start_instances(&self, _: &[TargetId]) -> Result<(), Fault> {
        unsupported("ec2:StartInstances")
    }
    async fn reboot_instances(&self, _: &[TargetId]) -> Result<(), Fault> {
        unsupported("ec2:RebootInstances")
    }
    async fn create_tags(&self, _: &[String], _: &BTreeMap<String, String>) -> Result<(), Fault> {
        unsupported("ec2:CreateTags")
    }
    async fn delete_snapshot(&self, id: &str) -> Result<(), Fault> {
        let mut things = self.call("ec2:DeleteSnapshot")?;
        things.deletions.push(id.to_owned());
        taken("ec2:DeleteSnapshot", &mut things.snapshots, id)
    }
    async fn delete_volume(&self, id: &str) -> Result<(), Fault> {
        let mut things = self.call("ec2:DeleteVolume")?;
        things.deletions.push(id.to_owned());
        taken("ec2:DeleteVolume", &mut things.volumes, id)
    }
    async fn deregister_image(&self, id: &str) -> Result<(), Fault> {
        let mut things = self.call("ec2:DeregisterImage")?;
        things.deletions.push(id.to_owned());
        taken("ec2:DeregisterImage", &mut things.images, id)
    }
    async fn prove(&self, _: &Proof) -> Result<(), Fault> {
        unsupported("ec2:DryRun")
    }
}

#[async_trait]
impl Backup for Shelf {
    async fn start_backup(&self, _: &StartBackup) -> Result<Option<String>, Fault> {
        unsupported("backup:StartBackupJob")
    }
    async fn backup_job(&self, _: &str) -> Result<BackupJob, Fault> {
        unsupported("backup:DescribeBackupJob")
    }
    async fn backup_jobs(&self, _: &str, _: Option<&str>, _: Timestamp) -> Result<Vec<BackupJob>, Fault> {
        unsupported("backup:ListBackupJobs")
    }
    async fn vault(&self, _: &str) -> Result<Vault, Fault> {
        unsupported("backup:DescribeBackupVault")
    }
    async fn vaults(&self) -> Result<Vec<Vault>, Fault> {
        drop(self.call("backup:ListBackupVaults")?);
        Ok(vec![Vault { name: "Default".to_owned(), ..Vault::default() }])
    }
    async fn recovery_point(&self, _: &str, arn: &str) -> Result<RecoveryPoint, Fault> {
        let things = self.call("backup:DescribeRecoveryPoint")?;
        let missing = || fault("backup:DescribeRecoveryPoint", FaultKind::NotFound);
        things.points.get(arn).cloned().ok_or_else(missing)
    }
    async fn tags(&self, arn: &str) -> Result<BTreeMap<String, String>, Fault> {
        let things = self.call("backup:ListTags")?;
        let point = things.points.get(arn).ok_or_else(|| fault("backup:ListTags", FaultKind::NotFound))?;
        Ok(point.tags.clone())
    }
    async fn recovery_points(&self, vault: &str) -> Result<Vec<RecoveryPoint>, Fault> {
        let things = self.call("backup:ListRecoveryPointsByBackupVault")?;
        Ok(things.points.values().filter(|point| point.vault == vault).cloned().collect())
    }
    async fn restore_metadata(&self, _: &str, _: &str) -> Result<BTreeMap<String, String>, Fault> {
        unsupported("backup:GetRecoveryPointRestoreMetadata")
    }
    async fn start_restore(&self, _: &StartRestore) -> Result<Option<String>, Fault> {
        unsupported("backup:StartRestoreJob")
    }
    async fn restore_job(&self, _: &str) -> Result<RestoreJob, Fault> {
        unsupported("backup:DescribeRestoreJob")
    }
    async fn restore_jobs(&self, _: Timestamp) -> Result<Vec<RestoreJob>, Fault> {
        unsupported("backup:ListRestoreJobs")
    }
    async fn delete_recovery_point(&self, _: &str, arn: &str) -> Result<(), Fault> {
        let mut things = self.call("backup:DeleteRecoveryPoint")?;
        things.deletions.push(arn.to_owned());
        if things.stubborn.iter().any(|each| each == arn) {
            if let Some(point) = things.points.get_mut(arn) {
                point.status = "EXPIRED".to_owned();
            }
            return Ok(());
        }
        taken("backup:DeleteRecoveryPoint", &mut things.points, arn)
    }
}
