//! Restore jobs: StartRestoreJob, DescribeRestoreJob, ListRestoreJobs.

use runbook_steps::ports::backup::{Backup, RestoreJob, StartRestore};
use serde_json::{Value, json};

use super::{
    asked::{Asked, answer, in_its_words, invalid, seconds},
    jobs::texts,
};
use crate::{answer::Answer, fault::Trouble};

const STATUSES: [&str; 5] = ["PENDING", "RUNNING", "COMPLETED", "ABORTED", "FAILED"];

pub(super) async fn start(mut asked: Asked<'_>) -> Result<Answer, Trouble> {
    let body = &mut asked.body;
    let recovery_point = body.required("RecoveryPointArn", 2_048).map_err(in_its_words)?;
    let Some(metadata) = body.structure("Metadata").map_err(in_its_words)? else {
        return Err(
            crate::fault::Refusal::new("MissingParameterValueException", "Metadata is missing").into()
        );
    };
    let metadata = texts(Some(metadata)).map_err(in_its_words)?;
    let role = body.text("IamRoleArn", 2_048).map_err(in_its_words)?.unwrap_or_default();
    let token = body.text("IdempotencyToken", 64).map_err(in_its_words)?;
    body.word("ResourceType", &["EC2"]).map_err(in_its_words)?;
    let copy_tags = body.flag("CopySourceTagsToRestoredResource").map_err(in_its_words)?;
    asked.finish()?;
    let token = token.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let request = StartRestore { recovery_point, metadata, role, copy_tags, token };
    let id = asked.account.start_restore(&request).await?;
    Ok(answer(json!({ "RestoreJobId": id })))
}

pub(super) async fn describe(mut asked: Asked<'_>) -> Result<Answer, Trouble> {
    let id = asked.name();
    asked.finish()?;
    let job = asked.account.restore_job(&id).await?;
    Ok(answer(show(&asked, &job)))
}

pub(super) async fn list(mut asked: Asked<'_>) -> Result<Answer, Trouble> {
    let range = asked.range()?;
    let status = asked.text("status");
    if let Some(status) = status.as_deref().filter(|status| !STATUSES.contains(status)) {
        return Err(invalid(format!("status is none of {}: {status}", STATUSES.join(", "))).into());
    }
    let (before, after) = (asked.time("createdBefore")?, asked.time("createdAfter")?);
    let account = asked.text("accountId");
    let kind = asked.text("resourceType");
    asked.finish()?;
    let found = asked
        .page("backup:ListRestoreJobs", &range, async {
            let mut jobs = asked.account.all_restore_jobs().await?;
            jobs.retain(|job| {
                status.as_ref().is_none_or(|wanted| *wanted == job.status)
                    && before.is_none_or(|limit| job.created_at.is_some_and(|at| at < limit))
                    && after.is_none_or(|limit| job.created_at.is_some_and(|at| at > limit))
                    && account.as_deref().is_none_or(|wanted| wanted == asked.call.account)
                    && kind.as_deref().is_none_or(|wanted| wanted == "EC2")
            });
            Ok(jobs)
        })
        .await?;
    let jobs: Vec<_> = found.items.iter().map(|job| show(&asked, job)).collect();
    Ok(answer(json!({ "RestoreJobs": jobs, "NextToken": found.next })))
}

fn show(asked: &Asked<'_>, job: &RestoreJob) -> Value {
    json!({
        "AccountId": asked.call.account,
        "RestoreJobId": job.id,
        "RecoveryPointArn": job.recovery_point,
        "CreationDate": job.created_at.map(seconds),
        "Status": job.status,
        "StatusMessage": job.message,
        "PercentDone": if job.status == "COMPLETED" { "100.00%" } else { "0.00%" },
        "CreatedResourceArn": job.created,
        "ResourceType": "EC2",
        "IsParent": false,
    })
}
