//! Vaults, and what is opted in: DescribeBackupVault, ListBackupVaults, DescribeRegionSettings.

use runbook_steps::ports::backup::{Backup, Vault};
use serde_json::{Value, json};

use super::asked::{Asked, answer};
use crate::{answer::Answer, fault::Trouble};

pub(super) async fn describe(mut asked: Asked<'_>) -> Result<Answer, Trouble> {
    let name = asked.name();
    asked.finish()?;
    let vault = asked.account.vault(&name).await?;
    Ok(answer(show(&asked, &vault)))
}

pub(super) async fn list(mut asked: Asked<'_>) -> Result<Answer, Trouble> {
    let range = asked.range()?;
    asked.finish()?;
    let found = asked
        .page("backup:ListBackupVaults", &range, async { Ok(asked.account.all_vaults().await?) })
        .await?;
    let vaults: Vec<_> = found.items.iter().map(|vault| show(&asked, vault)).collect();
    Ok(answer(json!({ "BackupVaultList": vaults, "NextToken": found.next })))
}

/// Everything that can be backed up here is opted in.
pub(super) fn region_settings(mut asked: Asked<'_>) -> Result<Answer, Trouble> {
    asked.finish()?;
    Ok(answer(json!({ "ResourceTypeOptInPreference": { "EBS": true, "EC2": true } })))
}

/// What can be backed up here.
pub(super) fn resource_types(mut asked: Asked<'_>) -> Result<Answer, Trouble> {
    asked.finish()?;
    Ok(answer(json!({ "ResourceTypes": ["EBS", "EC2"] })))
}

fn show(asked: &Asked<'_>, vault: &Vault) -> Value {
    json!({
        "BackupVaultName": vault.name,
        "BackupVaultArn": asked.vault_arn(&vault.name),
        "VaultType": "BACKUP_VAULT",
        "VaultState": "AVAILABLE",
        "Locked": vault.locked,
        "MinRetentionDays": vault.min_retention_days,
        "MaxRetentionDays": vault.max_retention_days,
    })
}
