//! AWS Backup of the simulated world.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::account::Account;
use crate::ports::{
    backup::{Backup, BackupJob, RecoveryPoint, RestoreJob, StartBackup, StartRestore, Vault},
    fault::{Fault, FaultKind},
};

fn not_yet<T>(call: &'static str) -> Result<T, Fault> {
    let message = "the simulated world cannot do that".to_owned();
    Err(Fault { call, kind: FaultKind::Unsupported, code: None, message })
}

#[async_trait]
impl Backup for Account {
    async fn start_backup(&self, _request: &StartBackup) -> Result<Option<String>, Fault> {
        not_yet("backup:StartBackupJob")
    }

    async fn backup_job(&self, _id: &str) -> Result<BackupJob, Fault> {
        not_yet("backup:DescribeBackupJob")
    }

    async fn backup_jobs(
        &self,
        _vault: &str,
        _resource: Option<&str>,
        _since: Timestamp,
    ) -> Result<Vec<BackupJob>, Fault> {
        not_yet("backup:ListBackupJobs")
    }

    async fn vault(&self, _name: &str) -> Result<Vault, Fault> {
        not_yet("backup:DescribeBackupVault")
    }

    async fn vaults(&self) -> Result<Vec<Vault>, Fault> {
        not_yet("backup:ListBackupVaults")
    }

    async fn recovery_point(&self, _vault: &str, _arn: &str) -> Result<RecoveryPoint, Fault> {
        not_yet("backup:DescribeRecoveryPoint")
    }

    async fn recovery_points(&self, _vault: &str) -> Result<Vec<RecoveryPoint>, Fault> {
        not_yet("backup:ListRecoveryPointsByBackupVault")
    }

    async fn restore_metadata(&self, _vault: &str, _arn: &str) -> Result<BTreeMap<String, String>, Fault> {
        not_yet("backup:GetRecoveryPointRestoreMetadata")
    }

    async fn start_restore(&self, _request: &StartRestore) -> Result<Option<String>, Fault> {
        not_yet("backup:StartRestoreJob")
    }

    async fn restore_job(&self, _id: &str) -> Result<RestoreJob, Fault> {
        not_yet("backup:DescribeRestoreJob")
    }

    async fn restore_jobs(&self, _since: Timestamp) -> Result<Vec<RestoreJob>, Fault> {
        not_yet("backup:ListRestoreJobs")
    }

    async fn delete_recovery_point(&self, _vault: &str, _arn: &str) -> Result<(), Fault> {
        not_yet("backup:DeleteRecoveryPoint")
    }
}
