//! Restore jobs of AWS Backup: always a new instance (facts: Recovery points).

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    durations::Lasting,
    fault_rule::{Label, RuleKind},
    instance::device_name,
    machine::{Change, Machine, Power},
    place::Place,
    refusal::refused,
    shelf::Item,
    state::{Fact, State, Struck},
    time::later,
    token::{self, Token},
    vault::VaultFact,
    volume::{Held, Volume},
};
use crate::ports::{
    backup::{RestoreJob as Shown, StartRestore},
    fault::Fault,
};

const CALL: &str = "backup:StartRestoreJob";
/// How long a job waits.
const START: Duration = Duration::from_secs(30);
/// From the instance's being there to the job's end.
const CLOSING: Duration = Duration::from_secs(30);

/// A job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RestoreJob {
    pub id: String,
    #[serde(default)]
    pub place: Place,
    pub recovery_point: String,
    /// What it was a backup of.
    pub source: TargetId,
    /// What it makes.
    pub instance: TargetId,
    /// The ARN of that.
    pub created: String,
    pub copy_tags: bool,
    pub at: Timestamp,
    pub seen_from: Timestamp,
    /// Until then it is `PENDING`.
    pub starts: Timestamp,
    /// When the instance is there.
    pub made: Timestamp,
    pub ends: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub sick: bool,
    pub token: Token,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl Item for RestoreJob {
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

impl RestoreJob {
    pub fn show(&self, now: Timestamp) -> Shown {
        let over = now >= self.ends;
        let status = match &self.error {
            _ if now < self.starts => "PENDING",
            _ if !over => "RUNNING",
            None => "COMPLETED",
            Some(_) => "FAILED",
        };
        Shown {
            id: self.id.clone(),
            status: status.to_owned(),
            message: self.error.clone().filter(|_| over),
            recovery_point: self.recovery_point.clone(),
            created: (over && self.error.is_none()).then(|| self.created.clone()),
            created_at: Some(self.at),
        }
    }
}

/// `StartRestoreJob`.
pub(super) fn start(
    state: &State,
    now: Timestamp,
    here: &Place,
    request: &StartRestore,
    label: Option<&Label>,
    struck: &mut Struck,
) -> Result<(Fact, Option<String>), Fault> {
    let token = token::Used::new(CALL, here, &request.token, &request);
    let point = state.vaults.points.find(here, &request.recovery_point, now);
    let machines: Vec<_> = point.iter().map(|point| point.instance.clone()).collect();
    if let Some(known) = token.known(state)? {
        return Ok((Fact::repeated(CALL, machines, &request.token), Some(known)));
    }
    let Some(point) = point else {
        let message = format!("no recovery point {}", request.recovery_point);
        return Err(refused(CALL, "ResourceNotFoundException", message));
    };
    if now < point.ready || point.stuck || state.disks.images.find(here, &point.image, now).is_none() {
        let message = format!("{} cannot be restored from now", point.arn);
        return Err(refused(CALL, "InvalidRequestException", message));
    }
    if request.role.is_empty() {
        return Err(refused(CALL, "MissingParameterValueException", "IamRoleArn is missing"));
    }
    for key in ["InstanceType", "SubnetId"] {
        if !request.metadata.contains_key(key) {
            let message = format!("the restore metadata has no {key}");
            return Err(refused(CALL, "InvalidParameterValueException", message));
        }
    }
    let Some(machine) = state.roster.by_id(&point.instance) else {
        return Err(refused(CALL, "InvalidRequestException", "nothing is known of the instance"));
    };
    let mut hit = |kind| state.strike(machine, kind, label, struck);
    let error = hit(RuleKind::RestoreFailed)
        .map(|rule| rule.output.clone().unwrap_or_else(|| "the restore failed".into()));
    let sick = error.is_none() && hit(RuleKind::SickAfterRestore).is_some();
    let id = format!("4e57042e-0000-4000-8000-{:012x}", state.named);
    let starts = later(now, START);
    let nth = state.machines[machine].effects;
    let made = later(starts, state.roster.lasting(state.seed, machine, Lasting::Rebuild, nth));
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()).simple().to_string();
    let instance = TargetId::new(format!("i-0{}", &hash[..16]));
    let place = state.roster.place(machine).clone();
    let account = place.account.as_deref().unwrap_or(here.account());
    let region = place.region.as_deref().unwrap_or(here.region());
    let job = RestoreJob {
        created: format!("arn:aws:ec2:{region}:{account}:instance/{instance}"),
        id,
        recovery_point: point.arn.clone(),
        source: point.instance.clone(),
        instance,
        copy_tags: request.copy_tags,
        at: now,
        seen_from: state.seen_from(CALL, now, struck),
        starts,
        made,
        ends: later(made, CLOSING),
        error,
        sick,
        token: token.note(request.token.clone()),
        tags: BTreeMap::new(),
        place,
    };
    let answer = Some(job.id.clone());
    Ok((Fact::Vaults(VaultFact::RestoreStarted(Box::new(job))), answer))
}

impl State {
    /// A job has made its instance: it is in the inventory from now on.
    pub(super) fn rebuild(&mut self, id: &str, at: Timestamp) {
        let Some(job) = self.vaults.restores.get(id).cloned() else { return };
        let Some(like) = self.roster.by_id(&job.source) else { return };
        let Some(point) = self.vaults.points.get(&job.recovery_point) else { return };
        let image = point.image.clone();
        let shots = self.disks.images.get(&image).map(|image| image.snapshots.clone()).unwrap_or_default();
        let shots: Vec<_> = shots.iter().filter_map(|id| self.disks.snapshots.get(id).cloned()).collect();
        let mut content = shots.first().map(|root| root.content).unwrap_or_default();
        content.healthy &= !job.sick;
        let nth = self.machines[like].effects;
        let lasting = |what| self.roster.lasting(self.seed, like, what, nth);
        let running = later(at, lasting(Lasting::Start));
        let mut changes = vec![(running, Change::Power(Power::Running))];
        if content.boots {
            changes.push((later(running, lasting(Lasting::Boot)), Change::Up));
        }
        let tags = if job.copy_tags { self.roster.machines[like].tags.clone() } else { BTreeMap::new() };
        let machine = self.roster.add(like, job.instance.clone(), image, tags);
        self.machines.push(Machine::launched(at, content));
        let zone = self.zone(machine);
        for (number, shot) in shots.iter().enumerate() {
            let disks = self.roster.group(machine).disks.clone();
            let device = device_name(&self.roster, machine, number as u32);
            let volume = Volume {
                id: super::beginning::volume_id(&job.instance, number as u32),
                place: job.place.clone(),
                size_gib: shot.size_gib,
                iops: disks.iops(),
                throughput: disks.throughput(),
                kind: disks.kind,
                encrypted: shot.encrypted,
                kms_key: shot.kms_key.clone(),
                zone: zone.clone(),
                snapshot: Some(shot.id.clone()),
                made: at,
                seen_from: at,
                ready: at,
                fails: false,
                deleted: None,
                held: None,
                left: None,
                tags: BTreeMap::new(),
                content: shot.content,
                root_of: Vec::new(),
            };
            let held = Held {
                instance: job.instance.clone(),
                device,
                ready: at,
                delete_on_termination: if number == 0 { disks.delete_root } else { disks.delete_data },
            };
            let id = volume.id.clone();
            self.disks.volumes.insert(volume);
            self.hold(&id, held);
        }
        self.expect(machine, &changes);
    }
}
