//! Reads that list everything of one account and Region: what a server of AWS's protocols filters and pages.

use super::account::{Account, Agent, Alarm, SendRequest, SentCommand};
use crate::ports::{
    backup::{BackupJob, RecoveryPoint, RestoreJob, Vault},
    ec2::{Image, Instance, ReplaceTask, Snapshot, Volume},
    fault::{Fault, FaultKind},
};

fn not_yet<T>(call: &'static str) -> Result<T, Fault> {
    let message = "the simulated world cannot do that".to_owned();
    Err(Fault { call, kind: FaultKind::Unsupported, code: None, message })
}

impl Account {
    /// Every instance, those that are stopped or gone a short while ago included (`DescribeInstances`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_instances(&self) -> Result<Vec<Instance>, Fault> {
        not_yet("ec2:DescribeInstances")
    }

    /// Every volume (`DescribeVolumes`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_volumes(&self) -> Result<Vec<Volume>, Fault> {
        not_yet("ec2:DescribeVolumes")
    }

    /// Every snapshot (`DescribeSnapshots`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_snapshots(&self) -> Result<Vec<Snapshot>, Fault> {
        not_yet("ec2:DescribeSnapshots")
    }

    /// Every image (`DescribeImages`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_images(&self) -> Result<Vec<Image>, Fault> {
        not_yet("ec2:DescribeImages")
    }

    /// Every replacement of a root volume (`DescribeReplaceRootVolumeTasks`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_replace_tasks(&self) -> Result<Vec<ReplaceTask>, Fault> {
        not_yet("ec2:DescribeReplaceRootVolumeTasks")
    }

    /// Every command, in the order in which they were sent (`ListCommands`, `ListCommandInvocations`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_commands(&self) -> Result<Vec<SentCommand>, Fault> {
        not_yet("ssm:ListCommands")
    }

    /// One command (`GetCommandInvocation`, `ListCommandInvocations` by id): absent while it is not visible yet.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn command(&self, _id: &str) -> Result<Option<SentCommand>, Fault> {
        not_yet("ssm:ListCommandInvocations")
    }

    /// Sends a command (`SendCommand`). What is answered is visible to the caller at once.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn send(&self, _request: SendRequest) -> Result<SentCommand, Fault> {
        not_yet("ssm:SendCommand")
    }

    /// Every registered node (`DescribeInstanceInformation`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_agents(&self) -> Result<Vec<Agent>, Fault> {
        not_yet("ssm:DescribeInstanceInformation")
    }

    /// Every backup job (`ListBackupJobs`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_backup_jobs(&self) -> Result<Vec<BackupJob>, Fault> {
        not_yet("backup:ListBackupJobs")
    }

    /// Every recovery point, with its tags (`ListRecoveryPointsByBackupVault`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_recovery_points(&self) -> Result<Vec<RecoveryPoint>, Fault> {
        not_yet("backup:ListRecoveryPointsByBackupVault")
    }

    /// Every restore job (`ListRestoreJobs`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_restore_jobs(&self) -> Result<Vec<RestoreJob>, Fault> {
        not_yet("backup:ListRestoreJobs")
    }

    /// Every vault (`ListBackupVaults`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_vaults(&self) -> Result<Vec<Vault>, Fault> {
        not_yet("backup:ListBackupVaults")
    }

    /// Every alarm (`DescribeAlarms`).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn all_alarms(&self) -> Result<Vec<Alarm>, Fault> {
        not_yet("cloudwatch:DescribeAlarms")
    }
}
