//! Recovery points of AWS Backup (facts: Recovery points).

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use super::{
    fault_rule::{Label, RuleKind},
    place::Place,
    refusal::refused,
    shelf::Item,
    state::{Fact, State, Struck},
    time::later,
    vault::VaultFact,
};
use crate::ports::{backup::RecoveryPoint as Shown, fault::Fault};

/// A recovery point.
#[derive(Clone, Debug)]
pub(super) struct RecoveryPoint {
    pub arn: String,
    pub place: Place,
    pub vault: String,
    pub resource: String,
    pub instance: TargetId,
    pub image: String,
    pub made: Timestamp,
    /// Until then it is `CREATING`.
    pub ready: Timestamp,
    pub size_bytes: u64,
    pub tags: BTreeMap<String, String>,
    /// When AWS Backup deletes it.
    pub expires: Option<Timestamp>,
    /// It was to be deleted, and could not be.
    pub stuck: bool,
    pub deleted: Option<Timestamp>,
}

impl Item for RecoveryPoint {
    fn id(&self) -> &str {
        &self.arn
    }

    fn place(&self) -> &Place {
        &self.place
    }

    fn tags(&self) -> &BTreeMap<String, String> {
        &self.tags
    }

    fn tags_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.tags
    }

    fn seen_from(&self) -> Timestamp {
        self.made
    }

    fn gone_from(&self) -> Option<Timestamp> {
        self.deleted.or(self.expires)
    }
}

impl RecoveryPoint {
    pub fn show(&self, now: Timestamp) -> Shown {
        let over = now >= self.ready;
        let status = match (over, self.stuck) {
            (false, _) => "CREATING",
            (true, false) => "COMPLETED",
            (true, true) => "EXPIRED",
        };
        Shown {
            arn: self.arn.clone(),
            vault: self.vault.clone(),
            resource: self.resource.clone(),
            status: status.to_owned(),
            storage_class: over.then(|| "WARM".to_owned()),
            size_bytes: over.then_some(self.size_bytes),
            created_at: Some(self.made),
            tags: self.tags.clone(),
        }
    }
}

/// The recovery point with this ARN in this vault.
pub(super) fn find<'a>(
    state: &'a State,
    here: &Place,
    call: &'static str,
    vault: &str,
    arn: &str,
    now: Timestamp,
) -> Result<&'a RecoveryPoint, Fault> {
    let vault = state.vaults.vault(here, call, vault)?;
    let there = state.vaults.points.find(here, arn, now).filter(|point| point.vault == vault.name);
    there.ok_or_else(|| refused(call, "ResourceNotFoundException", format!("no recovery point {arn}")))
}

/// `GetRecoveryPointRestoreMetadata`: the keys that AWS documents for EC2 (facts: Recovery points).
pub(super) fn metadata(
    state: &State,
    here: &Place,
    vault: &str,
    arn: &str,
    now: Timestamp,
) -> Result<BTreeMap<String, String>, Fault> {
    const CALL: &str = "backup:GetRecoveryPointRestoreMetadata";
    let point = find(state, here, CALL, vault, arn, now)?;
    let Some(machine) = state.roster.by_id(&point.instance) else { return Ok(BTreeMap::new()) };
    let group = state.roster.group(machine);
    let zone = state.zone(machine);
    let entries = [
        ("Architecture", "arm64".to_owned()),
        ("DisableApiTermination", "false".to_owned()),
        ("EbsOptimized", "true".to_owned()),
        ("EnaSupport", "true".to_owned()),
        ("HibernationOptions", format!(r#"{{"configured":{}}}"#, group.hibernates)),
        ("IamInstanceProfileName", "simulated".to_owned()),
        ("InstanceInitiatedShutdownBehavior", "stop".to_owned()),
        ("InstanceType", group.instance_type.clone()),
        ("Monitoring", r#"{"state":"disabled"}"#.to_owned()),
        ("Placement", format!(r#"{{"availabilityZone":"{zone}","groupName":"","tenancy":"default"}}"#)),
        ("RequireIMDSv2", "true".to_owned()),
        ("RootDeviceType", "ebs".to_owned()),
        ("SecurityGroupIds", r#"["sg-00000000000000001"]"#.to_owned()),
        ("SubnetId", "subnet-00000000000000001".to_owned()),
        ("VirtualizationType", "hvm".to_owned()),
        ("aws:backup:request-id", point.image.clone()),
        ("vpcId", "vpc-00000000000000001".to_owned()),
    ];
    Ok(entries.map(|(key, value)| (key.to_owned(), value)).into())
}

/// `DeleteRecoveryPoint`.
pub(super) fn delete(
    state: &State,
    now: Timestamp,
    here: &Place,
    vault: &str,
    arn: &str,
    label: Option<&Label>,
    struck: &mut Struck,
) -> Result<(Fact, ()), Fault> {
    const CALL: &str = "backup:DeleteRecoveryPoint";
    let point = find(state, here, CALL, vault, arn, now)?;
    if now < point.ready {
        return Err(refused(CALL, "InvalidRequestException", format!("{arn} is being created")));
    }
    let vault = state.vaults.vault(here, CALL, vault)?;
    let kept = vault.min_retention_days.map(|days| later(point.made, Duration::from_secs(days * 86_400)));
    if vault.locked && kept.is_none_or(|until| now < until) {
        return Err(refused(CALL, "InvalidRequestException", format!("the vault {} is locked", vault.name)));
    }
    // It can answer well, and then the point shows EXPIRED (facts: Recovery points).
    let stuck = state
        .roster
        .by_id(&point.instance)
        .is_some_and(|machine| state.strike(machine, RuleKind::BackupUndeletable, label, struck).is_some());
    let (recovery_point, instance) = (point.arn.clone(), point.instance.clone());
    Ok((Fact::Vaults(VaultFact::RecoveryPointDeleted { recovery_point, instance, stuck }), ()))
}
