//! Recovery points: DescribeRecoveryPoint, the two lists, GetRecoveryPointRestoreMetadata, DeleteRecoveryPoint, ListTags.

use runbook_steps::ports::backup::{Backup, RecoveryPoint};
use serde_json::{Value, json};

use super::{
    asked::{Asked, answer, not_found, seconds},
    jobs::resource_type,
};
use crate::{answer::Answer, fault::Trouble};

pub(super) async fn describe(mut asked: Asked<'_>) -> Result<Answer, Trouble> {
    let (vault, arn) = (asked.name(), asked.name());
    asked.finish()?;
    let point = asked.account.recovery_point(&vault, &arn).await?;
    let mut shown = show(&asked, &point);
    shown["StorageClass"] = json!(point.storage_class);
    Ok(answer(shown))
}

pub(super) async fn of_vault(mut asked: Asked<'_>) -> Result<Answer, Trouble> {
    let vault = asked.name();
    let range = asked.range()?;
    let resource = asked.text("resourceArn");
    let kind = asked.text("resourceType");
    let (before, after) = (asked.time("createdBefore")?, asked.time("createdAfter")?);
    asked.finish()?;
    let found = asked
        .page("backup:ListRecoveryPointsByBackupVault", &range, async {
            let mut points = asked.account.all_recovery_points().await?;
            points.retain(|point| {
                point.vault == vault
                    && resource.as_ref().is_none_or(|wanted| *wanted == point.resource)
                    && kind.as_deref().is_none_or(|wanted| wanted == resource_type(&point.resource))
                    && before.is_none_or(|limit| point.created_at.is_some_and(|at| at < limit))
                    && after.is_none_or(|limit| point.created_at.is_some_and(|at| at > limit))
            });
            if points.is_empty() {
                // An empty vault and one that does not exist are told apart.
                asked.account.vault(&vault).await?;
            }
            Ok(points)
        })
        .await?;
    let points: Vec<_> = found.items.iter().map(|point| show(&asked, point)).collect();
    Ok(answer(json!({ "RecoveryPoints": points, "NextToken": found.next })))
}

pub(super) async fn of_resource(mut asked: Asked<'_>) -> Result<Answer, Trouble> {
    let resource = asked.name();
    let range = asked.range()?;
    asked.text("managedByAWSBackupOnly");
    asked.finish()?;
    let found = asked
        .page("backup:ListRecoveryPointsByResource", &range, async {
            let mut points = asked.account.all_recovery_points().await?;
            points.retain(|point| point.resource == resource);
            Ok(points)
        })
        .await?;
    let points: Vec<_> = found
        .items
        .iter()
        .map(|point| {
            json!({
                "RecoveryPointArn": point.arn,
                "CreationDate": point.created_at.map(seconds),
                "Status": point.status,
                "BackupSizeBytes": point.size_bytes,
                "BackupVaultName": point.vault,
                "IsParent": false,
                "VaultType": "BACKUP_VAULT",
            })
        })
        .collect();
    Ok(answer(json!({ "RecoveryPoints": points, "NextToken": found.next })))
}

pub(super) async fn restore_metadata(mut asked: Asked<'_>) -> Result<Answer, Trouble> {
    let (vault, arn) = (asked.name(), asked.name());
    asked.finish()?;
    let metadata = asked.account.restore_metadata(&vault, &arn).await?;
    Ok(answer(json!({
        "BackupVaultArn": asked.vault_arn(&vault),
        "RecoveryPointArn": arn,
        "RestoreMetadata": metadata,
        "ResourceType": "EC2",
    })))
}

pub(super) async fn delete(mut asked: Asked<'_>) -> Result<Answer, Trouble> {
    let (vault, arn) = (asked.name(), asked.name());
    asked.finish()?;
    asked.account.delete_recovery_point(&vault, &arn).await?;
    Ok(Answer::new(200, "application/json", ""))
}

/// Only recovery points have tags here.
pub(super) async fn tags(mut asked: Asked<'_>) -> Result<Answer, Trouble> {
    let arn = asked.name();
    let range = asked.range()?;
    asked.finish()?;
    let found = asked
        .page("backup:ListTags", &range, async {
            let points = asked.account.all_recovery_points().await?;
            match points.into_iter().find(|point| point.arn == arn) {
                Some(point) => Ok(point.tags.into_iter().collect::<Vec<_>>()),
                None => Err(not_found(format!("no recovery point {arn}")).into()),
            }
        })
        .await?;
    let tags: serde_json::Map<_, _> =
        found.items.into_iter().map(|(key, value)| (key, Value::String(value))).collect();
    Ok(answer(json!({ "Tags": tags, "NextToken": found.next })))
}

fn show(asked: &Asked<'_>, point: &RecoveryPoint) -> Value {
    json!({
        "RecoveryPointArn": point.arn,
        "BackupVaultName": point.vault,
        "BackupVaultArn": asked.vault_arn(&point.vault),
        "ResourceArn": point.resource,
        "ResourceType": resource_type(&point.resource),
        "Status": point.status,
        "CreationDate": point.created_at.map(seconds),
        "BackupSizeInBytes": point.size_bytes,
        "IsParent": false,
        "VaultType": "BACKUP_VAULT",
    })
}
