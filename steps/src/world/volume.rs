//! EBS volumes: what they are, and what is asked of them.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use serde::{Deserialize, Serialize};

use super::{
    disk_fact::DiskFact,
    fault_rule::{Label, RuleKind},
    machine::Content,
    place::Place,
    refusal::refused,
    shelf::Item,
    state::{Fact, State, Struck},
    time::later,
    token,
};
use crate::ports::{
    ec2::{Attachment, CreateVolume, Volume as Shown},
    fault::Fault,
};

/// How long a volume is being made, attached or detached.
pub(super) const SHORT: Duration = Duration::from_secs(4);

/// A volume.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Volume {
    pub id: String,
    #[serde(default)]
    pub place: Place,
    pub size_gib: u32,
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iops: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<u32>,
    pub encrypted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    pub zone: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    pub made: Timestamp,
    pub seen_from: Timestamp,
    /// Until then it is `creating`.
    pub ready: Timestamp,
    /// It ends in `error` then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fails: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Where it was detached from, and until when that is seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<(Held, Timestamp)>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// What it holds; while a machine runs from it, what it held when that was booted.
    pub content: Content,
    /// Whose root it is or was: what decides the lineage of its snapshots (facts: Replacing a root volume).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub root_of: Vec<TargetId>,
}

/// Where a volume is attached.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Held {
    pub instance: TargetId,
    pub device: String,
    /// Until then it is `attaching`.
    pub ready: Timestamp,
    pub delete_on_termination: bool,
}

impl Held {
    fn show(&self, volume: &str, state: &str) -> Attachment {
        Attachment {
            volume: volume.to_owned(),
            instance: self.instance.to_string(),
            device: self.device.clone(),
            state: state.to_owned(),
            delete_on_termination: self.delete_on_termination,
        }
    }
}

impl Item for Volume {
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
        self.deleted
    }
}

impl Volume {
    /// How instances show that they hold it.
    pub fn attachment(&self, now: Timestamp) -> Option<Attachment> {
        if let Some(held) = &self.held {
            let state = if now < held.ready { "attaching" } else { "attached" };
            return Some(held.show(&self.id, state));
        }
        let (left, until) = self.left.as_ref()?;
        (now < *until).then(|| left.show(&self.id, "detaching"))
    }

    pub fn state(&self, now: Timestamp) -> &'static str {
        if self.deleted.is_some_and(|deleted| deleted <= now) {
            "deleted"
        } else if now < self.ready {
            "creating"
        } else if self.fails {
            "error"
        } else if self.attachment(now).is_some() {
            "in-use"
        } else {
            "available"
        }
    }

    pub fn show(&self, now: Timestamp) -> Shown {
        Shown {
            id: self.id.clone(),
            state: self.state(now).to_owned(),
            size_gib: self.size_gib,
            kind: self.kind.clone(),
            iops: self.iops,
            throughput: self.throughput,
            encrypted: self.encrypted,
            kms_key: self.kms_key.clone(),
            zone: self.zone.clone(),
            snapshot: self.snapshot.clone(),
            created_at: Some(self.made),
            attachments: self.attachment(now).into_iter().collect(),
            tags: self.tags.clone(),
        }
    }
}

/// A volume that is there for whoever writes: what reads do not find yet included.
pub(super) fn volume<'a>(
    state: &'a State,
    here: &Place,
    call: &'static str,
    id: &str,
    now: Timestamp,
) -> Result<&'a Volume, Fault> {
    let there = state.disks.volumes.get(id).filter(|volume| here.sees(&volume.place));
    there
        .filter(|volume| volume.state(now) != "deleted")
        .ok_or_else(|| refused(call, "InvalidVolume.NotFound", format!("the volume '{id}' does not exist")))
}

/// `CreateVolume`.
pub(super) fn create(
    state: &State,
    now: Timestamp,
    here: &Place,
    request: &CreateVolume,
    label: Option<&Label>,
    struck: &mut Struck,
) -> Result<(Fact, Shown), Fault> {
    const CALL: &str = "ec2:CreateVolume";
    let token = token::Used::new(CALL, here, &request.token, &request);
    let snapshot = state.disks.snapshot(here, CALL, &request.snapshot)?;
    let machines: Vec<_> = snapshot.instance.iter().cloned().collect();
    if let Some(id) = token.known(state)? {
        let known = volume(state, here, CALL, &id, now)?.show(now);
        return Ok((Fact::repeated(CALL, machines, &request.token), known));
    }
    match snapshot.state(now) {
        "completed" => {}
        other => {
            let message = format!("snapshot {} is '{other}', not 'completed'", snapshot.id);
            return Err(refused(CALL, "IncorrectState", message));
        }
    }
    // Who states no size gets the snapshot's.
    let size_gib = if request.size_gib == 0 { snapshot.size_gib } else { request.size_gib };
    if size_gib < snapshot.size_gib {
        let message = format!("the size is smaller than that of the snapshot, {} GiB", snapshot.size_gib);
        return Err(refused(CALL, "InvalidParameterValue", message));
    }
    let region = snapshot.place.region.as_ref();
    if region.is_some_and(|region| !request.zone.starts_with(region.as_str())) {
        let message = format!("the zone '{}' is not in this Region", request.zone);
        return Err(refused(CALL, "InvalidParameterValue", message));
    }
    check_performance(CALL, request)?;
    // A volume from the snapshot of a machine is for its restore.
    let machine = snapshot.instance.as_ref().and_then(|id| state.roster.by_id(id));
    let mut hit = |kind| machine.is_some_and(|machine| state.strike(machine, kind, label, struck).is_some());
    let fails = hit(RuleKind::RestoreFailed);
    let mut content = snapshot.content;
    content.healthy &= !hit(RuleKind::SickAfterRestore);
    let gp3 = request.kind == "gp3";
    let volume = Volume {
        id: state.name("vol-"),
        place: snapshot.place.clone(),
        size_gib,
        kind: request.kind.clone(),
        iops: request.iops.or(gp3.then_some(3000)),
        throughput: request.throughput.or(gp3.then_some(125)),
        // A snapshot that is encrypted makes volumes that are (facts: Volumes).
        encrypted: request.encrypted || snapshot.encrypted,
        kms_key: request.kms_key.clone().or_else(|| snapshot.kms_key.clone()),
        zone: request.zone.clone(),
        snapshot: Some(snapshot.id.clone()),
        made: now,
        seen_from: state.seen_from(CALL, now, struck),
        ready: later(now, SHORT),
        fails,
        deleted: None,
        held: None,
        left: None,
        tags: request.tags.clone(),
        content,
        root_of: Vec::new(),
    };
    let shown = volume.show(now);
    let (volume, token) = (Box::new(volume), token.note(request.token.clone()));
    let fact = DiskFact::VolumeCreated { volume, machines, token };
    Ok((Fact::Disks(fact), shown))
}

/// The ranges of IOPS and throughput (facts: Volumes).
fn check_performance(call: &'static str, request: &CreateVolume) -> Result<(), Fault> {
    let iops = match request.kind.as_str() {
        "gp3" => 3000..=80_000,
        "io1" => 100..=64_000,
        "io2" => 100..=256_000,
        "gp2" | "st1" | "sc1" | "standard" => {
            return match request.iops.or(request.throughput) {
                None => Ok(()),
                Some(_) => {
                    let message = format!("'{}' has no provisioned performance", request.kind);
                    Err(refused(call, "InvalidParameterCombination", message))
                }
            };
        }
        other => {
            return Err(refused(call, "InvalidParameterValue", format!("'{other}' is no volume type")));
        }
    };
    if request.iops.is_some_and(|wanted| !iops.contains(&wanted)) {
        return Err(refused(
            call,
            "InvalidParameterValue",
            format!("iops of {} are out of range", request.kind),
        ));
    }
    if request.iops.is_none() && request.kind != "gp3" {
        return Err(refused(call, "MissingParameter", format!("{} needs iops", request.kind)));
    }
    let throughput =
        request.throughput.is_none_or(|wanted| request.kind == "gp3" && (125..=2000).contains(&wanted));
    if !throughput {
        return Err(refused(
            call,
            "InvalidParameterValue",
            format!("throughput of {} is out of range", request.kind),
        ));
    }
    Ok(())
}

/// `DeleteVolume`.
pub(super) fn delete(state: &State, now: Timestamp, here: &Place, id: &str) -> Result<(Fact, ()), Fault> {
    const CALL: &str = "ec2:DeleteVolume";
    let volume = volume(state, here, CALL, id, now)?;
    match volume.state(now) {
        "available" | "error" => Ok((Fact::Disks(DiskFact::VolumeDeleted { volume: id.to_owned() }), ())),
        "in-use" => Err(refused(CALL, "VolumeInUse", format!("volume {id} is currently attached"))),
        other => Err(refused(CALL, "IncorrectState", format!("volume '{id}' is '{other}'"))),
    }
}
