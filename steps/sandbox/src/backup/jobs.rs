//! Backup jobs: StartBackupJob, DescribeBackupJob, ListBackupJobs, StopBackupJob.

use std::{collections::BTreeMap, time::Duration};

use runbook_steps::ports::backup::{Backup, BackupJob, StartBackup};
use serde_json::{Value, json};

use super::asked::{Asked, answer, in_its_words, invalid, seconds};
use crate::{
    answer::Answer,
    fault::{Refusal, Trouble},
    members::Members,
};

/// The start window of a job that states none: eight hours; the least is one (facts: Backup jobs).
const START_WINDOW: u64 = 480;
const LEAST_START_WINDOW: u64 = 60;
/// About a hundred years: more would overflow nothing, and means nothing.
const MOST_MINUTES: u64 = 100 * 366 * 24 * 60;

const STATES: [&str; 9] =
    ["CREATED", "PENDING", "RUNNING", "ABORTING", "ABORTED", "COMPLETED", "FAILED", "EXPIRED", "PARTIAL"];

pub(super) async fn start(mut asked: Asked<'_>) -> Result<Answer, Trouble> {
    let request = request(&mut asked.body)?;
    asked.finish()?;
    let id = asked.account.start_backup(&request).await?;
    let now = asked.call.world().now();
    Ok(answer(json!({ "BackupJobId": id, "CreationDate": seconds(now), "IsParent": false })))
}

fn request(body: &mut Members) -> Result<StartBackup, Refusal> {
    let read = |body: &mut Members| {
        let vault = body.required("BackupVaultName", 50)?;
        let resource = body.required("ResourceArn", 2_048)?;
        let role = body.required("IamRoleArn", 2_048)?;
        let token = body.text("IdempotencyToken", 64)?;
        let start_within = body.integer("StartWindowMinutes", LEAST_START_WINDOW, MOST_MINUTES)?;
        let complete_within = body.integer("CompleteWindowMinutes", LEAST_START_WINDOW, MOST_MINUTES)?;
        let delete_after_days = match body.structure("Lifecycle")? {
            Some(mut lifecycle) => {
                let days = lifecycle.integer("DeleteAfterDays", 1, 36_500)?;
                lifecycle.finish()?;
                days
            }
            None => None,
        };
        let tags = texts(body.structure("RecoveryPointTags")?)?;
        let options = texts(body.structure("BackupOptions")?)?;
        Ok((vault, resource, role, token, start_within, complete_within, delete_after_days, tags, options))
    };
    let (vault, resource, role, token, start_within, complete_within, delete_after_days, tags, options) =
        read(body).map_err(in_its_words)?;
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let mut vss = false;
    for (name, value) in options {
        match (name.as_str(), value.as_str()) {
            ("WindowsVSS", "enabled") => vss = true,
            ("WindowsVSS", "disabled") => {}
            _ => return Err(invalid(format!("unknown backup option: {name} = {value}"))),
        }
    }
    Ok(StartBackup {
        vault,
        resource,
        role,
        start_within: minutes(start_within.unwrap_or(START_WINDOW)),
        complete_within: complete_within.map(minutes),
        delete_after_days,
        vss,
        tags,
        token: token.unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
    })
}

/// A map from texts to texts.
pub(super) fn texts(map: Option<Members>) -> Result<BTreeMap<String, String>, Refusal> {
    map.map_or(Ok(BTreeMap::new()), Members::into_texts)
}

pub(super) async fn describe(mut asked: Asked<'_>) -> Result<Answer, Trouble> {
    let id = asked.name();
    asked.finish()?;
    let job = asked.account.backup_job(&id).await?;
    Ok(answer(show(&asked, &job)))
}

pub(super) async fn stop(mut asked: Asked<'_>) -> Result<Answer, Trouble> {
    let id = asked.name();
    asked.finish()?;
    asked.account.stop_backup(&id).await?;
    Ok(Answer::new(200, "application/json", ""))
}

pub(super) async fn list(mut asked: Asked<'_>) -> Result<Answer, Trouble> {
    let range = asked.range()?;
    let resource = asked.text("resourceArn");
    let state = asked.text("state");
    if let Some(state) = state.as_deref().filter(|state| !STATES.contains(state)) {
        return Err(invalid(format!("state is none of {}: {state}", STATES.join(", "))).into());
    }
    let vault = asked.text("backupVaultName");
    let (created_before, created_after) = (asked.time("createdBefore")?, asked.time("createdAfter")?);
    let (complete_before, complete_after) = (asked.time("completeBefore")?, asked.time("completeAfter")?);
    let kind = asked.text("resourceType");
    let account = asked.text("accountId");
    let category = asked.text("messageCategory");
    asked.finish()?;
    let fits = |job: &BackupJob| {
        resource.as_ref().is_none_or(|wanted| *wanted == job.resource)
            && state.as_ref().is_none_or(|wanted| *wanted == job.state)
            && vault.as_ref().is_none_or(|wanted| *wanted == job.vault)
            && created_before.is_none_or(|limit| job.created_at.is_some_and(|at| at < limit))
            && created_after.is_none_or(|limit| job.created_at.is_some_and(|at| at > limit))
            && complete_before.is_none_or(|limit| job.completed_at.is_some_and(|at| at < limit))
            && complete_after.is_none_or(|limit| job.completed_at.is_some_and(|at| at > limit))
            && kind.as_deref().is_none_or(|wanted| wanted == resource_type(&job.resource))
            && account.as_deref().is_none_or(|wanted| wanted == asked.call.account)
            && category.as_ref().is_none_or(|wanted| Some(wanted) == job.message_category.as_ref())
    };
    let found = asked
        .page("backup:ListBackupJobs", &range, async {
            let mut jobs = asked.account.all_backup_jobs().await?;
            jobs.retain(fits);
            Ok(jobs)
        })
        .await?;
    let jobs: Vec<_> = found.items.iter().map(|job| show(&asked, job)).collect();
    Ok(answer(json!({ "BackupJobs": jobs, "NextToken": found.next })))
}

/// `EC2` of `arn:aws:ec2:…:instance/…`.
pub(super) fn resource_type(arn: &str) -> &'static str {
    match arn.split(':').nth(5).and_then(|resource| resource.split('/').next()) {
        Some("volume") => "EBS",
        _ => "EC2",
    }
}

fn show(asked: &Asked<'_>, job: &BackupJob) -> Value {
    let percent = match job.state.as_str() {
        "COMPLETED" => "100.0",
        _ => "0.0",
    };
    json!({
        "AccountId": asked.call.account,
        "BackupJobId": job.id,
        "BackupVaultName": job.vault,
        "BackupVaultArn": asked.vault_arn(&job.vault),
        "RecoveryPointArn": job.recovery_point,
        "ResourceArn": job.resource,
        "ResourceType": resource_type(&job.resource),
        "CreationDate": job.created_at.map(seconds),
        "CompletionDate": job.completed_at.map(seconds),
        "State": job.state,
        "StatusMessage": job.message,
        "MessageCategory": job.message_category,
        "PercentDone": percent,
        "BackupSizeInBytes": job.size_bytes,
        "IsParent": false,
    })
}
