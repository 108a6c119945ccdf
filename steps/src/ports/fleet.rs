//! Snapshots, restores and reboots of EC2 machines, in AWS's terms.

use std::collections::BTreeMap;

use async_trait::async_trait;
use runbook_engine::ids::TargetId;

use super::fault::Fault;

/// A snapshot as EC2 describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: String,
    /// Its volume.
    pub volume: String,
    /// The machine that the volume belonged to.
    pub instance: TargetId,
    /// `pending`, `completed` or `error`.
    pub state: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// A restore in progress (`CreateReplaceRootVolumeTask`, or a swap of volumes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreTask {
    /// Its id.
    pub id: String,
    /// The machine.
    pub instance: TargetId,
    /// `pending`, `in-progress`, `succeeded`, `failed`.
    pub state: String,
}

/// Whether a machine is back after a reboot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootInfo {
    /// The machine.
    pub instance: TargetId,
    /// Changes with each boot.
    pub boot_id: String,
    /// The agent is heard.
    pub online: bool,
}

/// Snapshots, restores and reboots of one account, Region and role.
#[async_trait]
pub trait Fleet: Send + Sync {
    /// Snapshots of all volumes (or the root only) of one machine, crash-consistent, tagged in the same call.
    /// There is no client token: the tags find them again.
    ///
    /// # Errors
    /// [`Fault`].
    async fn create_snapshots(
        &self,
        instance: &TargetId,
        root_only: bool,
        tags: BTreeMap<String, String>,
    ) -> Result<Vec<Snapshot>, Fault>;

    /// Snapshots with this tag, all pages.
    ///
    /// # Errors
    /// [`Fault`].
    async fn snapshots_tagged(&self, key: &str, value: &str) -> Result<Vec<Snapshot>, Fault>;

    /// Snapshots by id, all pages.
    ///
    /// # Errors
    /// [`Fault`].
    async fn snapshots(&self, ids: &[String]) -> Result<Vec<Snapshot>, Fault>;

    /// Starts the restore of a machine from snapshots, with a client token (repeating it is safe).
    ///
    /// # Errors
    /// [`Fault`].
    async fn restore(
        &self,
        instance: &TargetId,
        snapshots: &[String],
        strategy: &str,
        token: &str,
    ) -> Result<RestoreTask, Fault>;

    /// How restores stand.
    ///
    /// # Errors
    /// [`Fault`].
    async fn restores(&self, ids: &[String]) -> Result<Vec<RestoreTask>, Fault>;

    /// Reboots machines (naturally repeatable: the boot id proves it).
    ///
    /// # Errors
    /// [`Fault`].
    async fn reboot(&self, instances: &[TargetId]) -> Result<(), Fault>;

    /// Boot ids.
    ///
    /// # Errors
    /// [`Fault`].
    async fn boots(&self, instances: &[TargetId]) -> Result<Vec<BootInfo>, Fault>;
}
