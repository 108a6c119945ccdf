//! AWS Backup, in its own terms.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;

use super::fault::Fault;

/// `StartBackupJob` of an EC2 instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartBackup {
    /// The vault.
    pub vault: String,
    /// The instance's ARN.
    pub resource: String,
    /// The role that AWS Backup works with.
    pub role: String,
    /// How long the job may wait to be started; at least an hour (facts: Backup jobs).
    pub start_within: Duration,
    /// When it is cancelled, counted from its start window.
    pub complete_within: Option<Duration>,
    /// After how many days the recovery point is deleted by AWS Backup.
    pub delete_after_days: Option<u64>,
    /// Whether Windows is asked for a consistent state.
    pub vss: bool,
    /// Put on the recovery point.
    pub tags: BTreeMap<String, String>,
    /// The idempotency token.
    pub token: String,
}

/// A backup job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupJob {
    /// Its id.
    pub id: String,
    /// `CREATED`, `PENDING`, `RUNNING`, `ABORTING`, `COMPLETED`, `FAILED`, `ABORTED`, `EXPIRED`, `PARTIAL`.
    pub state: String,
    /// What it says of itself.
    pub message: Option<String>,
    /// Not `SUCCESS`: completed, with issues.
    pub message_category: Option<String>,
    /// What was backed up.
    pub resource: String,
    /// The vault.
    pub vault: String,
    /// The recovery point, once there is one.
    pub recovery_point: Option<String>,
    /// In bytes, once known.
    pub size_bytes: Option<u64>,
    /// When it was asked for.
    pub created_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

/// A vault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vault {
    /// Its name.
    pub name: String,
    /// Whether a Vault Lock holds.
    pub locked: bool,
    /// The shortest time that a recovery point may be kept, in days.
    pub min_retention_days: Option<u64>,
    /// The longest.
    pub max_retention_days: Option<u64>,
}

/// A recovery point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryPoint {
    /// Its ARN.
    pub arn: String,
    /// The vault.
    pub vault: String,
    /// What it is of.
    pub resource: String,
    /// `COMPLETED` and `AVAILABLE` are usable.
    pub status: String,
    /// `WARM`, `COLD`, `DELETED`.
    pub storage_class: Option<String>,
    /// In bytes, once known.
    pub size_bytes: Option<u64>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// Its tags, where they were asked for.
    pub tags: BTreeMap<String, String>,
}

/// `StartRestoreJob`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartRestore {
    /// The recovery point.
    pub recovery_point: String,
    /// What AWS Backup is told about the new resource: `GetRecoveryPointRestoreMetadata`, edited.
    pub metadata: BTreeMap<String, String>,
    /// The role that AWS Backup works with.
    pub role: String,
    /// Whether the resource's tags are put on the new one.
    pub copy_tags: bool,
    /// The idempotency token.
    pub token: String,
}

/// A restore job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreJob {
    /// Its id.
    pub id: String,
    /// `PENDING`, `RUNNING`, `COMPLETED`, `ABORTED`, `FAILED`.
    pub status: String,
    /// What it says of itself.
    pub message: Option<String>,
    /// The recovery point.
    pub recovery_point: String,
    /// The ARN of what it made.
    pub created: Option<String>,
    /// When it was asked for.
    pub created_at: Option<Timestamp>,
}

/// AWS Backup of one account, Region and role.
///
/// # Errors
/// Every method: [`Fault`]. For one that writes, `Ambiguous` means that it may have been carried out.
#[async_trait]
pub trait Backup: Send + Sync {
    /// Starts a backup job; its id, where the service says it (a repeated token may be answered without one).
    async fn start_backup(&self, request: &StartBackup) -> Result<Option<String>, Fault>;

    /// A backup job.
    async fn backup_job(&self, id: &str) -> Result<BackupJob, Fault>;

    /// The jobs of a vault created since then, all pages; of one resource, where stated.
    async fn backup_jobs(
        &self,
        vault: &str,
        resource: Option<&str>,
        since: Timestamp,
    ) -> Result<Vec<BackupJob>, Fault>;

    /// A vault.
    async fn vault(&self, name: &str) -> Result<Vault, Fault>;

    /// All vaults.
    async fn vaults(&self) -> Result<Vec<Vault>, Fault>;

    /// A recovery point, without its tags.
    async fn recovery_point(&self, vault: &str, arn: &str) -> Result<RecoveryPoint, Fault>;

    /// The tags of a recovery point.
    async fn tags(&self, arn: &str) -> Result<BTreeMap<String, String>, Fault>;

    /// The recovery points of EC2 instances in a vault, all pages, with their tags.
    async fn recovery_points(&self, vault: &str) -> Result<Vec<RecoveryPoint>, Fault>;

    /// What a restore of a recovery point starts from.
    async fn restore_metadata(&self, vault: &str, arn: &str) -> Result<BTreeMap<String, String>, Fault>;

    /// Starts a restore; its job's id, where the service says it.
    async fn start_restore(&self, request: &StartRestore) -> Result<Option<String>, Fault>;

    /// A restore job.
    async fn restore_job(&self, id: &str) -> Result<RestoreJob, Fault>;

    /// Restore jobs created since then, all pages.
    async fn restore_jobs(&self, since: Timestamp) -> Result<Vec<RestoreJob>, Fault>;

    /// Deletes a recovery point.
    async fn delete_recovery_point(&self, vault: &str, arn: &str) -> Result<(), Fault>;
}
