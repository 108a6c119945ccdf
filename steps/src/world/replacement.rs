//! Replacements of root volumes (facts: Replacing a root volume).

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use serde::{Deserialize, Serialize};

use super::{
    durations::Lasting,
    fault_rule::{Label, RuleKind},
    hardware::RootDevice,
    instance::{instance_at, root_device_name},
    machine::{Change, Power},
    place::Place,
    refusal::refused,
    shelf::Item,
    state::{Fact, State, Struck},
    time::later,
    token::{self, Token},
    volume::{Held, Volume},
};
use crate::ports::{
    ec2::{ReplaceRootVolume, ReplaceTask},
    fault::Fault,
};

pub(super) const CALL: &str = "ec2:CreateReplaceRootVolumeTask";
/// How long after it began the machine goes down.
const GOING_DOWN: Duration = Duration::from_secs(10);
/// How long a task shows the word that only the documentation knows.
const FAILING: Duration = Duration::from_secs(60);

/// A replacement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Replacement {
    pub id: String,
    #[serde(default)]
    pub place: Place,
    pub instance: TargetId,
    pub snapshot: String,
    pub at: Timestamp,
    pub seen_from: Timestamp,
    /// When the root volume is replaced, or that has failed.
    pub replaced: Timestamp,
    pub ended: Timestamp,
    pub end: End,
    /// The new root volume, where there will be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<Volume>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    pub token: Token,
    pub changes: Vec<(Timestamp, Change)>,
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    Succeeded,
    /// The machine boots from its old root volume.
    Failed,
    /// The machine has no root volume.
    FailedDetached,
}

impl Item for Replacement {
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

impl Replacement {
    pub fn state(&self, now: Timestamp) -> &'static str {
        if now < later(self.at, GOING_DOWN) {
            "pending"
        } else if now < self.replaced {
            "in-progress"
        } else {
            match (now < self.ended, self.end) {
                (true, End::Succeeded) => "in-progress",
                (true, End::Failed) => "failing",
                // In the documentation, in no enum (facts: Replacing a root volume).
                (true, End::FailedDetached) => "failing-detached",
                (false, End::Succeeded) => "succeeded",
                (false, End::Failed) => "failed",
                (false, End::FailedDetached) => "failed-detached",
            }
        }
    }

    pub fn show(&self, now: Timestamp) -> ReplaceTask {
        ReplaceTask {
            id: self.id.clone(),
            instance: self.instance.to_string(),
            state: self.state(now).to_owned(),
            snapshot: Some(self.snapshot.clone()),
            started_at: Some(self.at),
            tags: self.tags.clone(),
        }
    }
}

/// `CreateReplaceRootVolumeTask`.
pub(super) fn create(
    state: &State,
    now: Timestamp,
    here: &Place,
    request: &ReplaceRootVolume,
    label: Option<&Label>,
    struck: &mut Struck,
) -> Result<(Fact, ReplaceTask), Fault> {
    let id = TargetId::new(&request.instance);
    let token = token::Used::new(CALL, here, &request.token, &request);
    if let Some(known) = token.known(state)? {
        let known = state.disks.replacements.get(&known).map(|task| task.show(now)).unwrap_or_default();
        return Ok((Fact::repeated(CALL, vec![id], &request.token), known));
    }
    let machine = instance_at(state, here, &id, now, CALL)?;
    let snapshot = state.disks.snapshot(here, CALL, &request.snapshot)?;
    let foreign = state.strike(machine, RuleKind::ForeignLineage, label, struck).is_some();
    check(state, now, machine, snapshot, foreign)?;
    let holder = &state.machines[machine];
    let device = root_device_name(&state.roster, machine);
    let root = holder.volumes.get(device).and_then(|root| state.disks.volumes.get(root));
    let Some((root, held)) = root.and_then(|root| Some((root, root.held.as_ref()?))) else {
        let message = format!("instance '{id}' has no root volume");
        return Err(refused(CALL, "IncorrectState", message));
    };
    let nth = holder.effects;
    let mut hit = |kind| state.strike(machine, kind, label, struck).is_some();
    let end = if hit(RuleKind::RestoreFailed) {
        End::Failed
    } else if hit(RuleKind::RestoreDetached) {
        End::FailedDetached
    } else {
        End::Succeeded
    };
    let sick = end == End::Succeeded && hit(RuleKind::SickAfterRestore);
    let lasting = |what| state.roster.lasting(state.seed, machine, what, nth);
    let down = later(now, GOING_DOWN);
    let replaced = later(down, lasting(Lasting::Restore));
    let up = later(replaced, lasting(Lasting::Boot));
    let mut content = snapshot.content;
    content.healthy &= !sick;
    let volume = (end == End::Succeeded).then(|| Volume {
        id: state.nth_name("vol-", 1),
        place: root.place.clone(),
        // The larger of both; type and DeleteOnTermination are the original's. What becomes of IOPS, throughput and
        // tags is not stated (facts: Replacing a root volume): here they are lost, so that nobody can rely on
        // them.
        size_gib: root.size_gib.max(snapshot.size_gib),
        kind: root.kind.clone(),
        iops: (root.kind == "gp3").then_some(3000).or(root.iops),
        throughput: (root.kind == "gp3").then_some(125),
        encrypted: root.encrypted || snapshot.encrypted,
        kms_key: root.kms_key.clone().or_else(|| snapshot.kms_key.clone()),
        zone: root.zone.clone(),
        snapshot: Some(snapshot.id.clone()),
        made: replaced,
        seen_from: replaced,
        ready: replaced,
        fails: false,
        deleted: None,
        held: Some(Held { instance: id.clone(), device: device.to_owned(), ready: replaced, ..held.clone() }),
        left: None,
        tags: BTreeMap::new(),
        content,
        root_of: vec![id.clone()],
    });
    let mut changes = vec![(down, Change::Down)];
    let mut ended = up;
    match (&volume, end) {
        (Some(volume), _) => {
            changes.push((replaced, Change::RootReplaced { volume: volume.id.clone(), content }));
            if content.boots {
                changes.push((up, Change::Up));
            }
        }
        (None, End::FailedDetached) => {
            changes.push((replaced, Change::RootLost));
            ended = later(replaced, FAILING);
        }
        // One that was silent stays so.
        (None, _) if holder.up_from(now).is_some() => changes.push((up, Change::Up)),
        (None, _) => {}
    }
    let task = Replacement {
        id: state.name("replacevol-"),
        place: state.roster.place(machine).clone(),
        instance: id,
        snapshot: snapshot.id.clone(),
        at: now,
        seen_from: state.seen_from(CALL, now, struck),
        replaced,
        ended,
        end,
        volume,
        tags: request.tags.clone(),
        token: token.note(request.token.clone()),
        changes,
    };
    let shown = task.show(now);
    Ok((Fact::RootReplacementBegun(Box::new(task)), shown))
}

/// What AWS asks for (facts: Replacing a root volume).
fn check(
    state: &State,
    now: Timestamp,
    machine: usize,
    snapshot: &super::snapshot::Snapshot,
    foreign: bool,
) -> Result<(), Fault> {
    let id = &state.roster.machines[machine].id;
    let power = state.machines[machine].condition().power;
    if state.roster.group(machine).root_device == RootDevice::InstanceStore {
        let message = format!("instance '{id}' does not have an EBS root volume");
        return Err(refused(CALL, "UnsupportedOperation", message));
    }
    if power != Power::Running {
        let message = format!("instance '{id}' is '{}', it must be 'running'", power.as_str());
        return Err(refused(CALL, "IncorrectInstanceState", message));
    }
    if snapshot.state(now) != "completed" {
        let message = format!("snapshot {} is '{}', not 'completed'", snapshot.id, snapshot.state(now));
        return Err(refused(CALL, "IncorrectState", message));
    }
    if foreign || !snapshot.root_of.contains(id) {
        let message = format!(
            "snapshot {} was not taken directly of a current or former root volume of {id}",
            snapshot.id
        );
        return Err(refused(CALL, "InvalidParameterValue", message));
    }
    let last = state.disks.last_replacement.get(id).and_then(|task| state.disks.replacements.get(task));
    if last.is_some_and(|task| task.ended > now) {
        let message = format!("another root volume replacement of '{id}' is in progress");
        return Err(refused(CALL, "IncorrectState", message));
    }
    Ok(())
}
