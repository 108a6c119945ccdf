//! AWS Backup: jobs, recovery points, restores.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_sdk_backup::{
    operation::{
        describe_backup_job::DescribeBackupJobOutput, describe_restore_job::DescribeRestoreJobOutput,
    },
    primitives::DateTime,
    types::{self as sdk, Lifecycle},
};
use jiff::Timestamp;
use runbook_steps::ports::{
    backup::{Backup, BackupJob, RecoveryPoint, RestoreJob, StartBackup, StartRestore, Vault},
    fault::Fault,
};

use crate::{
    call::{Call, next},
    connection::Connection,
    invocation::timestamp,
    rate::Family,
};

/// The largest page of the listing calls.
const PAGE: i32 = 1000;

/// The resources that we back up.
const RESOURCE_TYPE: &str = "EC2";

#[async_trait]
impl Backup for Connection {
    async fn start_backup(&self, request: &StartBackup) -> Result<Option<String>, Fault> {
        const CALL: Call = call("backup:StartBackupJob");
        let lifecycle = request.delete_after_days.map(|days| {
            let days = i64::try_from(days).unwrap_or(i64::MAX);
            Lifecycle::builder().delete_after_days(days).build()
        });
        let options = request.vss.then(|| [("WindowsVSS".to_owned(), "enabled".to_owned())].into());
        let tags = (!request.tags.is_empty()).then(|| request.tags.clone().into_iter().collect());
        let answer = self.write(CALL, 1, |clients| {
            clients
                .backup
                .start_backup_job()
                .backup_vault_name(&request.vault)
                .resource_arn(&request.resource)
                .iam_role_arn(&request.role)
                .idempotency_token(&request.token)
                .start_window_minutes(minutes(request.start_within))
                .set_complete_window_minutes(request.complete_within.map(minutes))
                .set_lifecycle(lifecycle.clone())
                .set_recovery_point_tags(Option::clone(&tags))
                .set_backup_options(Option::clone(&options))
                .send()
        });
        Ok(answer.await?.backup_job_id.filter(|id| !id.is_empty()))
    }

    async fn backup_job(&self, id: &str) -> Result<BackupJob, Fault> {
        const CALL: Call = call("backup:DescribeBackupJob");
        let answer = self.read(CALL, |clients| clients.backup.describe_backup_job().backup_job_id(id).send());
        Ok(described_job(answer.await?, id))
    }

    async fn backup_jobs(
        &self,
        vault: &str,
        resource: Option<&str>,
        since: Timestamp,
    ) -> Result<Vec<BackupJob>, Fault> {
        const CALL: Call = call("backup:ListBackupJobs");
        let mut found = BTreeMap::new();
        let mut token = None;
        loop {
            let page = self.read(CALL, |clients| {
                let call = clients.backup.list_backup_jobs().by_backup_vault_name(vault);
                let call = call.set_by_resource_arn(resource.map(str::to_owned));
                let call = call.by_created_after(whole_second(since));
                call.max_results(PAGE).set_next_token(token.clone()).send()
            });
            let page = page.await?;
            for job in page.backup_jobs.unwrap_or_default().into_iter().filter_map(listed_job) {
                found.insert(job.id.clone(), job);
            }
            token = match next(token, page.next_token) {
                Some(token) => Some(token),
                None => return Ok(found.into_values().collect()),
            };
        }
    }

    async fn vault(&self, name: &str) -> Result<Vault, Fault> {
        const CALL: Call = call("backup:DescribeBackupVault");
        let answer =
            self.read(CALL, |clients| clients.backup.describe_backup_vault().backup_vault_name(name).send());
        let answer = answer.await?;
        Ok(Vault {
            name: answer.backup_vault_name.unwrap_or_else(|| name.to_owned()),
            locked: answer.locked.unwrap_or(false),
            min_retention_days: count(answer.min_retention_days),
            max_retention_days: count(answer.max_retention_days),
        })
    }

    async fn vaults(&self) -> Result<Vec<Vault>, Fault> {
        const CALL: Call = call("backup:ListBackupVaults");
        let mut found = BTreeMap::new();
        let mut token = None;
        loop {
            let page = self.read(CALL, |clients| {
                let call = clients.backup.list_backup_vaults().max_results(PAGE);
                call.set_next_token(token.clone()).send()
            });
            let page = page.await?;
            for vault in page.backup_vault_list.unwrap_or_default() {
                let Some(name) = vault.backup_vault_name else { continue };
                let vault = Vault {
                    name: name.clone(),
                    locked: vault.locked.unwrap_or(false),
                    min_retention_days: count(vault.min_retention_days),
                    max_retention_days: count(vault.max_retention_days),
                };
                found.insert(name, vault);
            }
            token = match next(token, page.next_token) {
                Some(token) => Some(token),
                None => return Ok(found.into_values().collect()),
            };
        }
    }

    async fn recovery_point(&self, vault: &str, arn: &str) -> Result<RecoveryPoint, Fault> {
        const CALL: Call = call("backup:DescribeRecoveryPoint");
        let answer = self.read(CALL, |clients| {
            let call = clients.backup.describe_recovery_point().backup_vault_name(vault);
            call.recovery_point_arn(arn).send()
        });
        let answer = answer.await?;
        Ok(RecoveryPoint {
            arn: answer.recovery_point_arn.unwrap_or_else(|| arn.to_owned()),
            vault: answer.backup_vault_name.unwrap_or_else(|| vault.to_owned()),
            resource: answer.resource_arn.unwrap_or_default(),
            status: answer.status.map_or_else(String::new, |status| status.as_str().to_owned()),
            storage_class: answer.storage_class.map(|class| class.as_str().to_owned()),
            size_bytes: count(answer.backup_size_in_bytes),
            created_at: answer.creation_date.as_ref().and_then(timestamp),
            tags: BTreeMap::new(),
        })
    }

    async fn tags(&self, arn: &str) -> Result<BTreeMap<String, String>, Fault> {
        const CALL: Call = call("backup:ListTags");
        let mut found = BTreeMap::new();
        let mut token = None;
        loop {
            let page = self.read(CALL, |clients| {
                let call = clients.backup.list_tags().resource_arn(arn).max_results(PAGE);
                call.set_next_token(token.clone()).send()
            });
            let page = page.await?;
            found.extend(page.tags.unwrap_or_default());
            token = match next(token, page.next_token) {
                Some(token) => Some(token),
                None => return Ok(found),
            };
        }
    }

    async fn recovery_points(&self, vault: &str) -> Result<Vec<RecoveryPoint>, Fault> {
        const CALL: Call = call("backup:ListRecoveryPointsByBackupVault");
        let mut found = BTreeMap::new();
        let mut token = None;
        loop {
            let page = self.read(CALL, |clients| {
                let call = clients.backup.list_recovery_points_by_backup_vault().backup_vault_name(vault);
                let call = call.by_resource_type(RESOURCE_TYPE).max_results(PAGE);
                call.set_next_token(token.clone()).send()
            });
            let page = page.await?;
            for point in page.recovery_points.unwrap_or_default().into_iter().filter_map(listed_point) {
                found.insert(point.arn.clone(), point);
            }
            token = match next(token, page.next_token) {
                Some(token) => Some(token),
                None => break,
            };
        }
        // The listing has no tags: they cost a call each.
        let mut points: Vec<RecoveryPoint> = found.into_values().collect();
        for point in &mut points {
            point.tags = self.tags(&point.arn).await?;
            if point.vault.is_empty() {
                vault.clone_into(&mut point.vault);
            }
        }
        Ok(points)
    }

    async fn restore_metadata(&self, vault: &str, arn: &str) -> Result<BTreeMap<String, String>, Fault> {
        const CALL: Call = call("backup:GetRecoveryPointRestoreMetadata");
        let answer = self.read(CALL, |clients| {
            let call = clients.backup.get_recovery_point_restore_metadata().backup_vault_name(vault);
            call.recovery_point_arn(arn).send()
        });
        Ok(answer.await?.restore_metadata.unwrap_or_default().into_iter().collect())
    }

    async fn start_restore(&self, request: &StartRestore) -> Result<Option<String>, Fault> {
        const CALL: Call = call("backup:StartRestoreJob");
        let answer = self.write(CALL, 1, |clients| {
            clients
                .backup
                .start_restore_job()
                .recovery_point_arn(&request.recovery_point)
                .set_metadata(Some(request.metadata.clone().into_iter().collect()))
                .iam_role_arn(&request.role)
                .idempotency_token(&request.token)
                .resource_type(RESOURCE_TYPE)
                .copy_source_tags_to_restored_resource(request.copy_tags)
                .send()
        });
        Ok(answer.await?.restore_job_id.filter(|id| !id.is_empty()))
    }

    async fn restore_job(&self, id: &str) -> Result<RestoreJob, Fault> {
        const CALL: Call = call("backup:DescribeRestoreJob");
        let answer =
            self.read(CALL, |clients| clients.backup.describe_restore_job().restore_job_id(id).send());
        Ok(described_restore(answer.await?, id))
    }

    async fn restore_jobs(&self, since: Timestamp) -> Result<Vec<RestoreJob>, Fault> {
        const CALL: Call = call("backup:ListRestoreJobs");
        let mut found = BTreeMap::new();
        let mut token = None;
        loop {
            let page = self.read(CALL, |clients| {
                let call = clients.backup.list_restore_jobs().by_created_after(whole_second(since));
                call.max_results(PAGE).set_next_token(token.clone()).send()
            });
            let page = page.await?;
            for job in page.restore_jobs.unwrap_or_default().into_iter().filter_map(listed_restore) {
                found.insert(job.id.clone(), job);
            }
            token = match next(token, page.next_token) {
                Some(token) => Some(token),
                None => return Ok(found.into_values().collect()),
            };
        }
    }

    async fn delete_recovery_point(&self, vault: &str, arn: &str) -> Result<(), Fault> {
        const CALL: Call = call("backup:DeleteRecoveryPoint");
        let answer = self.write(CALL, 1, |clients| {
            let call = clients.backup.delete_recovery_point().backup_vault_name(vault);
            call.recovery_point_arn(arn).send()
        });
        answer.await.map(drop)
    }
}

const fn call(name: &'static str) -> Call {
    Call::new(name, Family::Backup)
}

fn described_job(answer: DescribeBackupJobOutput, id: &str) -> BackupJob {
    BackupJob {
        id: answer.backup_job_id.unwrap_or_else(|| id.to_owned()),
        state: answer.state.map_or_else(String::new, |state| state.as_str().to_owned()),
        message: answer.status_message,
        message_category: answer.message_category,
        resource: answer.resource_arn.unwrap_or_default(),
        vault: answer.backup_vault_name.unwrap_or_default(),
        recovery_point: answer.recovery_point_arn.filter(|arn| !arn.is_empty()),
        size_bytes: count(answer.backup_size_in_bytes),
        created_at: answer.creation_date.as_ref().and_then(timestamp),
        completed_at: answer.completion_date.as_ref().and_then(timestamp),
    }
}

fn listed_job(job: sdk::BackupJob) -> Option<BackupJob> {
    Some(BackupJob {
        id: job.backup_job_id?,
        state: job.state.map_or_else(String::new, |state| state.as_str().to_owned()),
        message: job.status_message,
        message_category: job.message_category,
        resource: job.resource_arn.unwrap_or_default(),
        vault: job.backup_vault_name.unwrap_or_default(),
        recovery_point: job.recovery_point_arn.filter(|arn| !arn.is_empty()),
        size_bytes: count(job.backup_size_in_bytes),
        created_at: job.creation_date.as_ref().and_then(timestamp),
        completed_at: job.completion_date.as_ref().and_then(timestamp),
    })
}

fn listed_point(point: sdk::RecoveryPointByBackupVault) -> Option<RecoveryPoint> {
    Some(RecoveryPoint {
        arn: point.recovery_point_arn?,
        vault: point.backup_vault_name.unwrap_or_default(),
        resource: point.resource_arn.unwrap_or_default(),
        status: point.status.map_or_else(String::new, |status| status.as_str().to_owned()),
        storage_class: None,
        size_bytes: count(point.backup_size_in_bytes),
        created_at: point.creation_date.as_ref().and_then(timestamp),
        tags: BTreeMap::new(),
    })
}

fn described_restore(answer: DescribeRestoreJobOutput, id: &str) -> RestoreJob {
    RestoreJob {
        id: answer.restore_job_id.unwrap_or_else(|| id.to_owned()),
        status: answer.status.map_or_else(String::new, |status| status.as_str().to_owned()),
        message: answer.status_message,
        recovery_point: answer.recovery_point_arn.unwrap_or_default(),
        created: answer.created_resource_arn.filter(|arn| !arn.is_empty()),
        created_at: answer.creation_date.as_ref().and_then(timestamp),
    }
}

fn listed_restore(job: sdk::RestoreJobsListMember) -> Option<RestoreJob> {
    Some(RestoreJob {
        id: job.restore_job_id?,
        status: job.status.map_or_else(String::new, |status| status.as_str().to_owned()),
        message: job.status_message,
        recovery_point: job.recovery_point_arn.unwrap_or_default(),
        created: job.created_resource_arn.filter(|arn| !arn.is_empty()),
        created_at: job.creation_date.as_ref().and_then(timestamp),
    })
}

fn minutes(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_secs().div_ceil(60)).unwrap_or(i64::MAX)
}

fn whole_second(at: Timestamp) -> DateTime {
    DateTime::from_secs(at.as_second())
}

fn count(number: Option<i64>) -> Option<u64> {
    number.and_then(|number| u64::try_from(number).ok())
}
