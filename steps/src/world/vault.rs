//! AWS Backup: its vaults, and what happened to what is in them.

use std::collections::HashMap;

use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use serde::{Deserialize, Serialize};

use super::{
    backup_job::{BackupJob, JobEnd},
    place::Place,
    recovery_point::RecoveryPoint,
    refusal::refused,
    restore_job::RestoreJob,
    shelf::Shelf,
    state::{Due, State},
};
use crate::ports::{backup::Vault as Shown, fault::Fault};

/// A vault, as a fleet file has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultEntry {
    /// Its name.
    pub name: String,
    /// Its account; absent: in every one.
    #[serde(default)]
    pub account: Option<String>,
    /// Its Region; absent: in every one.
    #[serde(default)]
    pub region: Option<String>,
    /// Whether a Vault Lock holds.
    #[serde(default)]
    pub locked: bool,
    /// The shortest time that a recovery point may be kept, in days.
    #[serde(default)]
    pub min_retention_days: Option<u64>,
    /// The longest.
    #[serde(default)]
    pub max_retention_days: Option<u64>,
}

/// A vault.
#[derive(Debug)]
pub(super) struct Vault {
    pub place: Place,
    pub shown: Shown,
}

/// One effect on AWS Backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum VaultFact {
    /// `backup:StartBackupJob`.
    BackupStarted(Box<BackupJob>),
    /// `backup:StopBackupJob`.
    BackupStopped { backup: String, instance: TargetId },
    /// `backup:StartRestoreJob`.
    RestoreStarted(Box<RestoreJob>),
    /// `backup:DeleteRecoveryPoint`.
    RecoveryPointDeleted { recovery_point: String, instance: TargetId, stuck: bool },
}

/// Everything that AWS Backup has.
#[derive(Debug, Default)]
pub(super) struct Vaults {
    pub vaults: Vec<Vault>,
    pub backups: Shelf<BackupJob>,
    pub points: Shelf<RecoveryPoint>,
    pub restores: Shelf<RestoreJob>,
    /// Until when the last job of a machine runs.
    pub busy_until: HashMap<TargetId, Timestamp>,
}

impl Vaults {
    /// The vaults of a fleet file.
    pub fn new(entries: &[VaultEntry]) -> Self {
        let mut vaults: Vec<_> = entries
            .iter()
            .map(|entry| Vault {
                place: Place { account: entry.account.clone(), region: entry.region.clone() },
                shown: Shown {
                    name: entry.name.clone(),
                    locked: entry.locked,
                    min_retention_days: entry.min_retention_days,
                    max_retention_days: entry.max_retention_days,
                },
            })
            .collect();
        if vaults.is_empty() {
            let shown = Shown { name: "Default".into(), ..Shown::default() };
            vaults.push(Vault { place: Place::default(), shown });
        }
        Self { vaults, ..Self::default() }
    }

    /// The vaults that are seen from here.
    pub fn all(&self, here: &Place) -> impl Iterator<Item = &Shown> {
        self.vaults.iter().filter(|vault| here.sees(&vault.place)).map(|vault| &vault.shown)
    }

    /// The vault with this name.
    pub fn vault(&self, here: &Place, call: &'static str, name: &str) -> Result<&Shown, Fault> {
        self.all(here).find(|vault| vault.name == name).ok_or_else(|| {
            refused(call, "ResourceNotFoundException", format!("backup vault {name} does not exist"))
        })
    }
}

impl State {
    pub(super) fn apply_to_vaults(&mut self, at: Timestamp, fact: &VaultFact) {
        match fact {
            VaultFact::BackupStarted(job) => {
                self.named += 2;
                self.touch(&job.instance);
                self.keep(&job.token, &job.id);
                self.vaults.busy_until.insert(job.instance.clone(), job.ends);
                if job.makes_a_point() {
                    self.remind(job.starts, Due::Backup(job.id.clone()));
                }
                self.vaults.backups.insert((**job).clone());
            }
            VaultFact::BackupStopped { backup, instance } => {
                let Some(job) = self.vaults.backups.get_mut(backup) else { return };
                job.end = JobEnd::Stopped;
                job.ends = at;
                job.starts = job.starts.min(at);
                let point = job.recovery_point.clone();
                self.vaults.busy_until.insert(instance.clone(), at);
                self.drop_point(&point, at);
            }
            VaultFact::RestoreStarted(job) => {
                self.named += 1;
                self.keep(&job.token, &job.id);
                if job.error.is_none() {
                    self.remind(job.made, Due::Rebuild(job.id.clone()));
                }
                self.vaults.restores.insert((**job).clone());
            }
            VaultFact::RecoveryPointDeleted { recovery_point, stuck, .. } => {
                let Some(point) = self.vaults.points.get_mut(recovery_point) else { return };
                if *stuck {
                    point.stuck = true;
                    return;
                }
                self.drop_point(recovery_point, at);
            }
        }
    }

    /// A recovery point goes, and what is behind it.
    fn drop_point(&mut self, recovery_point: &str, at: Timestamp) {
        let Some(point) = self.vaults.points.get_mut(recovery_point) else { return };
        point.deleted = Some(at);
        let image = point.image.clone();
        let Some(image) = self.disks.images.get_mut(&image) else { return };
        image.deregistered = Some(at);
        for snapshot in image.snapshots.clone() {
            if let Some(snapshot) = self.disks.snapshots.get_mut(&snapshot) {
                snapshot.deleted = Some(at);
            }
        }
    }
}
