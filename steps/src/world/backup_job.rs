//! Backup jobs of AWS Backup (facts: Backup jobs).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use serde::{Deserialize, Serialize};

use super::{
    durations::Lasting,
    fault_rule::{Label, RuleKind},
    hardware::RootDevice,
    image::Image,
    instance,
    place::Place,
    recovery_point::RecoveryPoint,
    refusal::refused,
    shelf::Item,
    snapshot::Snapshot,
    state::{Fact, State, Struck},
    time::later,
    token::{self, Token},
    vault::VaultFact,
};
use crate::ports::{
    backup::{BackupJob as Shown, StartBackup},
    fault::Fault,
};

const CALL: &str = "backup:StartBackupJob";
/// How long a job waits before it starts, where nothing is in its way.
const START: Duration = Duration::from_secs(60);
/// The shortest start window.
const SHORTEST_WINDOW: Duration = Duration::from_secs(3600);
const GIB: u64 = 1 << 30;
const DAY: u64 = 86_400;

/// A job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct BackupJob {
    pub id: String,
    #[serde(default)]
    pub place: Place,
    pub vault: String,
    /// The ARN of the instance.
    pub resource: String,
    pub instance: TargetId,
    pub at: Timestamp,
    pub seen_from: Timestamp,
    /// Until then it is `CREATED`.
    pub starts: Timestamp,
    pub ends: Timestamp,
    pub end: JobEnd,
    /// The image that it makes.
    pub image: String,
    /// Its recovery point's ARN.
    pub recovery_point: String,
    pub size_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_days: Option<u64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    pub token: Token,
}

/// How a job ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum JobEnd {
    Completed,
    /// Completed, with a `MessageCategory` that is not `SUCCESS`.
    CompletedWithIssues(String),
    Failed(String),
    /// It was not started within its window.
    Expired,
    /// It did not complete within its window.
    Aborted,
    /// Somebody stopped it.
    Stopped,
}

impl Item for BackupJob {
    fn id(&self) -> &str {
        &self.id
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
        self.seen_from
    }

    fn gone_from(&self) -> Option<Timestamp> {
        None
    }
}

impl BackupJob {
    pub fn makes_a_point(&self) -> bool {
        matches!(self.end, JobEnd::Completed | JobEnd::CompletedWithIssues(_))
    }

    pub fn show(&self, now: Timestamp) -> Shown {
        let over = now >= self.ends;
        let state = match &self.end {
            _ if now < self.starts => "CREATED",
            _ if !over => "RUNNING",
            JobEnd::Completed | JobEnd::CompletedWithIssues(_) => "COMPLETED",
            JobEnd::Failed(_) => "FAILED",
            JobEnd::Expired => "EXPIRED",
            JobEnd::Aborted | JobEnd::Stopped => "ABORTED",
        };
        let (message, category) = match &self.end {
            JobEnd::Completed => (None, "SUCCESS"),
            JobEnd::CompletedWithIssues(message) => (Some(message.clone()), "INVALIDPARAMETERS"),
            JobEnd::Failed(message) => (Some(message.clone()), "FAILURE"),
            JobEnd::Expired => {
                (Some("the job was not started within its start window".to_owned()), "FAILURE")
            }
            JobEnd::Aborted => (Some("the job did not complete within its window".to_owned()), "FAILURE"),
            JobEnd::Stopped => (Some("the job was stopped".to_owned()), "FAILURE"),
        };
        Shown {
            id: self.id.clone(),
            state: state.to_owned(),
            message: message.filter(|_| over),
            message_category: over.then(|| category.to_owned()),
            resource: self.resource.clone(),
            vault: self.vault.clone(),
            recovery_point: (self.makes_a_point() && now >= self.starts).then(|| self.recovery_point.clone()),
            size_bytes: (over && self.makes_a_point()).then_some(self.size_bytes),
            created_at: Some(self.at),
            completed_at: over.then_some(self.ends),
        }
    }
}

/// `StartBackupJob` of an EC2 instance.
pub(super) fn start(
    state: &State,
    now: Timestamp,
    here: &Place,
    request: &StartBackup,
    label: Option<&Label>,
    struck: &mut Struck,
) -> Result<(Fact, Option<String>), Fault> {
    let wrong = |message: String| refused(CALL, "InvalidParameterValueException", message);
    let id = request.resource.rsplit_once(":instance/").map(|(_, id)| TargetId::new(id));
    let Some(id) = id.filter(|_| request.resource.starts_with("arn:")) else {
        return Err(wrong(format!("'{}' is not the ARN of an instance", request.resource)));
    };
    let token = token::Used::new(CALL, here, &request.token, &request);
    if let Some(known) = token.known(state)? {
        return Ok((Fact::repeated(CALL, vec![id], &request.token), Some(known)));
    }
    let vault = state.vaults.vault(here, CALL, &request.vault)?;
    if request.role.is_empty() {
        return Err(refused(CALL, "MissingParameterValueException", "IamRoleArn is missing"));
    }
    if request.start_within < SHORTEST_WINDOW {
        return Err(wrong("StartWindowMinutes must be at least 60".into()));
    }
    let machine = instance::find(state, here, &id, now)
        .ok_or_else(|| wrong(format!("the resource '{}' does not exist", request.resource)))?;
    let nth = state.machines[machine].effects;
    let mut hit = |kind| state.strike(machine, kind, label, struck);
    let mut starts = later(now, START);
    if let Some(rule) = hit(RuleKind::BackupLate) {
        starts = later(starts, rule.after.map_or(SHORTEST_WINDOW, |after| after.get()));
    }
    // One job at a time for each resource; others wait (facts: Backup jobs).
    if let Some(busy) = state.vaults.busy_until.get(&id) {
        starts = starts.max(*busy);
    }
    let mut end = if let Some(rule) = hit(RuleKind::BackupFailed) {
        JobEnd::Failed(rule.output.clone().unwrap_or_else(|| "the backup failed".into()))
    } else if let Some(rule) = hit(RuleKind::BackupIssues) {
        let message = "the backup is complete, with issues: no VSS snapshot could be made";
        JobEnd::CompletedWithIssues(rule.output.clone().unwrap_or_else(|| message.into()))
    } else {
        JobEnd::Completed
    };
    if state.roster.group(machine).root_device == RootDevice::InstanceStore {
        end = JobEnd::Failed("instances with an instance store root volume cannot be backed up".into());
    }
    let days = request.delete_after_days;
    let short = vault.min_retention_days.is_some_and(|least| days.is_some_and(|days| days < least));
    let long = vault.max_retention_days.is_some_and(|most| days.is_none_or(|days| days > most));
    if vault.locked && (short || long) {
        // The job is taken, and fails (facts: Backup jobs).
        end =
            JobEnd::Failed("the lifecycle does not fit the retention that the vault's lock asks for".into());
    }
    let mut ends = later(starts, state.roster.lasting(state.seed, machine, Lasting::Backup, nth));
    let last_start = later(now, request.start_within);
    if starts > last_start {
        (starts, ends, end) = (last_start, last_start, JobEnd::Expired);
    } else if let Some(window) = request.complete_within
        && ends > later(now, window)
    {
        (ends, end) = (later(now, window).max(starts), JobEnd::Aborted);
    }
    let region = here.region.as_deref().unwrap_or(state.roster.place(machine).region());
    let image = state.nth_name("ami-", 1);
    let volumes = state.machines[machine].volumes.values();
    let size: u64 = volumes
        .filter_map(|id| state.disks.volumes.get(id))
        .map(|volume| u64::from(volume.size_gib) * GIB)
        .sum();
    let job = BackupJob {
        id: format!("b0b0b0b0-0000-4000-8000-{:012x}", state.named),
        place: state.roster.place(machine).clone(),
        vault: vault.name.clone(),
        resource: request.resource.clone(),
        instance: id,
        at: now,
        seen_from: state.seen_from(CALL, now, struck),
        starts,
        ends,
        end,
        recovery_point: format!("arn:aws:ec2:{region}::image/{image}"),
        image,
        size_bytes: size,
        keep_days: days,
        tags: request.tags.clone(),
        token: token.note(request.token.clone()),
    };
    let answer = Some(job.id.clone());
    Ok((Fact::Vaults(VaultFact::BackupStarted(Box::new(job))), answer))
}

/// `StopBackupJob`: what it made so far goes away.
pub(super) fn stop(state: &State, now: Timestamp, here: &Place, id: &str) -> Result<(Fact, ()), Fault> {
    const CALL: &str = "backup:StopBackupJob";
    let there = state.vaults.backups.get(id).filter(|job| here.sees(&job.place));
    let job =
        there.ok_or_else(|| refused(CALL, "ResourceNotFoundException", format!("no backup job {id}")))?;
    if now >= job.ends {
        return Err(refused(CALL, "InvalidRequestException", format!("backup job {id} has ended")));
    }
    let fact = VaultFact::BackupStopped { backup: id.to_owned(), instance: job.instance.clone() };
    Ok((Fact::Vaults(fact), ()))
}

impl State {
    /// A job starts: this is the instant that its recovery point is of.
    pub(super) fn begin_backup(&mut self, id: &str, at: Timestamp) {
        let Some(job) = self.vaults.backups.get(id).cloned() else { return };
        // It was stopped before it began.
        if !job.makes_a_point() {
            return;
        }
        let Some(machine) = self.roster.by_id(&job.instance) else { return };
        let root = self.root(machine).cloned();
        let mut held: Vec<_> = self.machines[machine].volumes.values().cloned().collect();
        held.sort_by_key(|volume| Some(volume) != root.as_ref());
        let tags = BTreeMap::from([("aws:backup:source-resource".to_owned(), job.instance.to_string())]);
        let of_snapshots = Arc::new(tags.clone());
        let mut snapshots = Vec::new();
        for (number, id) in held.iter().enumerate() {
            let Some(volume) = self.disks.volumes.get(id) else { continue };
            let snapshot = Snapshot {
                id: format!("snap-b{}{number:02x}", &job.image["ami-".len() + 3..]),
                volume: id.clone(),
                place: volume.place.clone(),
                at,
                seen_from: at,
                ready: job.ends,
                error: None,
                size_gib: volume.size_gib,
                encrypted: volume.encrypted,
                kms_key: volume.kms_key.clone(),
                tags: Arc::clone(&of_snapshots),
                instance: Some(job.instance.clone()),
                image: Some(job.image.clone()),
                root_of: volume.root_of.clone(),
                content: self.content(volume),
                deleted: None,
            };
            snapshots.push(snapshot.id.clone());
            self.disks.add_snapshot(snapshot);
        }
        self.disks.images.insert(Image {
            id: job.image.clone(),
            place: job.place.clone(),
            made: at,
            ready: job.ends,
            snapshots,
            deregistered: None,
            tags,
        });
        let expires = job.keep_days.map(|days| later(at, Duration::from_secs(days.saturating_mul(DAY))));
        self.vaults.points.insert(RecoveryPoint {
            arn: job.recovery_point,
            place: job.place,
            vault: job.vault,
            resource: job.resource,
            instance: job.instance,
            image: job.image,
            made: at,
            ready: job.ends,
            size_bytes: job.size_bytes,
            tags: job.tags,
            expires,
            stuck: false,
            deleted: None,
        });
    }
}
