//! AWS Backup of the simulated world: the port. What each call does is in the files of what it is about.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use super::{account::Account, backup_job, recovery_point, refusal::refused, restore_job};
use crate::ports::{
    backup::{Backup, BackupJob, RecoveryPoint, RestoreJob, StartBackup, StartRestore, Vault},
    fault::Fault,
};

#[async_trait]
impl Backup for Account {
    async fn start_backup(&self, request: &StartBackup) -> Result<Option<String>, Fault> {
        let machines: Vec<_> =
            request.resource.rsplit_once('/').map(|(_, id)| TargetId::new(id)).into_iter().collect();
        self.act("backup:StartBackupJob", &machines, |state, now, here, struck| {
            backup_job::start(state, now, here, request, self.label(), struck)
        })
        .await
    }

    async fn backup_job(&self, id: &str) -> Result<BackupJob, Fault> {
        const CALL: &str = "backup:DescribeBackupJob";
        let here = self.place.clone();
        self.world
            .read(self.label(), CALL, &[], |state, now| {
                // Whoever knows the id finds it at once; lists have it later.
                let job = state.vaults.backups.get(id).filter(|job| here.sees(&job.place));
                job.map(|job| job.show(now))
                    .ok_or_else(|| refused(CALL, "ResourceNotFoundException", format!("no backup job {id}")))
            })
            .await
    }

    async fn backup_jobs(
        &self,
        vault: &str,
        resource: Option<&str>,
        since: Timestamp,
    ) -> Result<Vec<BackupJob>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "backup:ListBackupJobs", &[], |state, now| {
                let jobs = state.vaults.backups.all(&here, now).filter(|job| {
                    job.vault == vault
                        && job.at >= since
                        && resource.is_none_or(|resource| job.resource == resource)
                });
                Ok(jobs.map(|job| job.show(now)).collect())
            })
            .await
    }

    async fn vault(&self, name: &str) -> Result<Vault, Fault> {
        const CALL: &str = "backup:DescribeBackupVault";
        let here = self.place.clone();
        self.world
            .read(self.label(), CALL, &[], |state, _| state.vaults.vault(&here, CALL, name).cloned())
            .await
    }

    async fn vaults(&self) -> Result<Vec<Vault>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "backup:ListBackupVaults", &[], |state, _| {
                Ok(state.vaults.all(&here).cloned().collect())
            })
            .await
    }

    async fn recovery_point(&self, vault: &str, arn: &str) -> Result<RecoveryPoint, Fault> {
        const CALL: &str = "backup:DescribeRecoveryPoint";
        let here = self.place.clone();
        self.world
            .read(self.label(), CALL, &[], |state, now| {
                let point = recovery_point::find(state, &here, CALL, vault, arn, now)?;
                Ok(RecoveryPoint { tags: BTreeMap::new(), ..point.show(now) })
            })
            .await
    }

    async fn tags(&self, arn: &str) -> Result<BTreeMap<String, String>, Fault> {
        const CALL: &str = "backup:ListTags";
        let here = self.place.clone();
        self.world
            .read(self.label(), CALL, &[], |state, now| {
                let missing =
                    || refused(CALL, "ResourceNotFoundException", format!("no recovery point {arn}"));
                Ok(state.vaults.points.find(&here, arn, now).ok_or_else(missing)?.show(now).tags)
            })
            .await
    }

    async fn recovery_points(&self, vault: &str) -> Result<Vec<RecoveryPoint>, Fault> {
        const CALL: &str = "backup:ListRecoveryPointsByBackupVault";
        let here = self.place.clone();
        self.world
            .read(self.label(), CALL, &[], |state, now| {
                let vault = state.vaults.vault(&here, CALL, vault)?;
                let points = state.vaults.points.all(&here, now).filter(|point| point.vault == vault.name);
                Ok(points.map(|point| point.show(now)).collect())
            })
            .await
    }

    async fn restore_metadata(&self, vault: &str, arn: &str) -> Result<BTreeMap<String, String>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "backup:GetRecoveryPointRestoreMetadata", &[], |state, now| {
                recovery_point::metadata(state, &here, vault, arn, now)
            })
            .await
    }

    async fn start_restore(&self, request: &StartRestore) -> Result<Option<String>, Fault> {
        let machines = self.backed_up(&request.recovery_point);
        self.act("backup:StartRestoreJob", &machines, |state, now, here, struck| {
            restore_job::start(state, now, here, request, self.label(), struck)
        })
        .await
    }

    async fn restore_job(&self, id: &str) -> Result<RestoreJob, Fault> {
        const CALL: &str = "backup:DescribeRestoreJob";
        let here = self.place.clone();
        self.world
            .read(self.label(), CALL, &[], |state, now| {
                let job = state.vaults.restores.get(id).filter(|job| here.sees(&job.place));
                job.map(|job| job.show(now))
                    .ok_or_else(|| refused(CALL, "ResourceNotFoundException", format!("no restore job {id}")))
            })
            .await
    }

    async fn restore_jobs(&self, since: Timestamp) -> Result<Vec<RestoreJob>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "backup:ListRestoreJobs", &[], |state, now| {
                let jobs = state.vaults.restores.all(&here, now).filter(|job| job.at >= since);
                Ok(jobs.map(|job| job.show(now)).collect())
            })
            .await
    }

    async fn delete_recovery_point(&self, vault: &str, arn: &str) -> Result<(), Fault> {
        let machines = self.backed_up(arn);
        self.act("backup:DeleteRecoveryPoint", &machines, |state, now, here, struck| {
            recovery_point::delete(state, now, here, vault, arn, self.label(), struck)
        })
        .await
    }
}

impl Account {
    /// The machine that a recovery point is of.
    fn backed_up(&self, arn: &str) -> Vec<TargetId> {
        let inner = self.world.lock();
        inner.state.vaults.points.get(arn).map(|point| point.instance.clone()).into_iter().collect()
    }
}
