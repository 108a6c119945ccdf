//! EBS snapshots: what they are, and what is asked of them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use serde::{Deserialize, Serialize};

use super::{
    disk_fact::DiskFact,
    durations::Lasting,
    fault_rule::{Label, RuleKind},
    hardware::RootDevice,
    instance::{instance_at, root_device_name},
    machine::Content,
    place::Place,
    refusal::refused,
    shelf::Item,
    state::{Fact, State, Struck},
    time::later,
    volume::Volume,
};
use crate::ports::{
    ec2::{CreateSnapshots, Snapshot as Shown},
    fault::Fault,
};

/// Between two snapshots of one volume (facts: CreateSnapshots).
const SPACING: Duration = Duration::from_secs(15);
/// The most data volumes that a call leaves out.
const MOST_LEFT_OUT: usize = 40;

/// A snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub id: String,
    pub volume: String,
    #[serde(default)]
    pub place: Place,
    pub at: Timestamp,
    pub seen_from: Timestamp,
    /// When its state is final, …
    pub ready: Timestamp,
    /// … and why it is in error then, else it is completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub size_gib: u32,
    pub encrypted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<String>,
    /// One map for all snapshots of a call: there are tens of thousands.
    #[serde(default, skip_serializing_if = "untagged")]
    pub tags: Arc<BTreeMap<String, String>>,
    /// The instance that held the volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<TargetId>,
    /// The image that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Of whose root it was taken directly (facts: Replacing a root volume).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub root_of: Vec<TargetId>,
    pub content: Content,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted: Option<Timestamp>,
}

fn untagged(tags: &BTreeMap<String, String>) -> bool {
    tags.is_empty()
}

impl Item for Snapshot {
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
        Arc::make_mut(&mut self.tags)
    }

    fn seen_from(&self) -> Timestamp {
        self.seen_from
    }

    fn gone_from(&self) -> Option<Timestamp> {
        self.deleted
    }
}

impl Snapshot {
    pub fn state(&self, now: Timestamp) -> &'static str {
        match (now < self.ready, &self.error) {
            (true, _) => "pending",
            (false, None) => "completed",
            (false, Some(_)) => "error",
        }
    }

    pub fn show(&self, now: Timestamp) -> Shown {
        let whole = self.ready.duration_since(self.at).as_secs().max(1);
        let past = now.duration_since(self.at).as_secs().clamp(0, whole);
        let progress = if now < self.ready { past * 99 / whole } else { 100 };
        Shown {
            id: self.id.clone(),
            volume: self.volume.clone(),
            state: self.state(now).to_owned(),
            message: self.error.clone().filter(|_| now >= self.ready),
            progress: format!("{progress}%"),
            size_gib: self.size_gib,
            encrypted: self.encrypted,
            started_at: Some(self.at),
            tags: (*self.tags).clone(),
        }
    }
}

/// `CreateSnapshots`: one instant over all volumes (facts: CreateSnapshots).
pub(super) fn create(
    state: &State,
    now: Timestamp,
    here: &Place,
    request: &CreateSnapshots,
    label: Option<&Label>,
    struck: &mut Struck,
) -> Result<(Fact, Vec<Shown>), Fault> {
    const CALL: &str = "ec2:CreateSnapshots";
    let id = TargetId::new(&request.instance);
    let machine = instance_at(state, here, &id, now, CALL)?;
    if state.roster.group(machine).root_device == RootDevice::InstanceStore {
        let message = format!("instance '{id}' has no EBS volumes");
        return Err(refused(CALL, "InvalidParameterValue", message));
    }
    let held = &state.machines[machine].volumes;
    let root = held.get(root_device_name(&state.roster, machine));
    if request.without.len() > MOST_LEFT_OUT {
        return Err(refused(CALL, "InvalidParameterValue", "more than 40 volumes are excluded"));
    }
    for volume in &request.without {
        if root == Some(volume) || !held.values().any(|other| other == volume) {
            let message = format!("'{volume}' is no data volume of '{id}'");
            return Err(refused(CALL, "InvalidParameterValue", message));
        }
    }
    let mut volumes: Vec<_> = held.values().filter(|volume| !request.without.contains(volume)).collect();
    // The root comes first, whatever its device is called.
    volumes.sort_by_key(|volume| Some(*volume) != root);
    if volumes.is_empty() {
        let message = format!("instance '{id}' has no volumes attached");
        return Err(refused(CALL, "InvalidParameterValue", message));
    }
    let volumes = volumes.into_iter().filter_map(|volume| state.disks.volumes.get(volume)).collect();
    let (snapshots, shown) = take(state, now, CALL, machine, volumes, &request.tags, label, struck)?;
    Ok((Fact::Disks(DiskFact::SnapshotsCreated { instance: id, snapshots }), shown))
}

/// `CreateSnapshot`: of one volume, which a machine must hold.
pub(super) fn create_of_volume(
    state: &State,
    now: Timestamp,
    here: &Place,
    volume: &str,
    tags: &BTreeMap<String, String>,
    label: Option<&Label>,
    struck: &mut Struck,
) -> Result<(Fact, Shown), Fault> {
    const CALL: &str = "ec2:CreateSnapshot";
    let there = state.disks.volumes.get(volume).filter(|volume| here.sees(&volume.place));
    let Some(volume) = there.filter(|volume| volume.deleted.is_none()) else {
        let message = format!("the volume '{volume}' does not exist");
        return Err(refused(CALL, "InvalidVolume.NotFound", message));
    };
    let Some(held) = &volume.held else {
        let message = "this simulation takes snapshots of attached volumes only";
        return Err(refused(CALL, "UnsupportedOperation", message));
    };
    let machine = instance_at(state, here, &held.instance, now, CALL)?;
    let (snapshots, mut shown) = take(state, now, CALL, machine, vec![volume], tags, label, struck)?;
    let Some(shown) = shown.pop() else {
        return Err(refused(CALL, "InternalError", "no snapshot was taken"));
    };
    Ok((Fact::Disks(DiskFact::SnapshotsCreated { instance: held.instance.clone(), snapshots }), shown))
}

#[expect(clippy::too_many_arguments, reason = "they are what a decision of the world sees")]
fn take(
    state: &State,
    now: Timestamp,
    call: &'static str,
    machine: usize,
    volumes: Vec<&Volume>,
    tags: &BTreeMap<String, String>,
    label: Option<&Label>,
    struck: &mut Struck,
) -> Result<(Vec<Snapshot>, Vec<Shown>), Fault> {
    let mut hit = |kind| state.strike(machine, kind, label, struck);
    if hit(RuleKind::ConcurrentSnapshots).is_some() {
        return Err(too_many(call));
    }
    for volume in &volumes {
        room(state, call, &volume.id, now)?;
    }
    let nth = state.machines[machine].effects;
    let error = hit(RuleKind::SnapshotError).map(|rule| {
        rule.output.clone().unwrap_or_else(|| "an error occurred while the snapshot was taken".into())
    });
    let mut ready = later(now, state.roster.lasting(state.seed, machine, Lasting::Snapshot, nth));
    if let Some(rule) = hit(RuleKind::SnapshotSlow) {
        ready = later(ready, rule.after.map_or(Duration::from_secs(4 * 3600), |after| after.get()));
    }
    let seen_from = state.seen_from(call, now, struck);
    let tags = Arc::new(tags.clone());
    let mut snapshots = Vec::with_capacity(volumes.len());
    for (number, volume) in volumes.into_iter().enumerate() {
        snapshots.push(Snapshot {
            id: state.nth_name("snap-", number as u64),
            volume: volume.id.clone(),
            place: volume.place.clone(),
            at: now,
            seen_from,
            ready,
            error: error.clone(),
            size_gib: volume.size_gib,
            encrypted: volume.encrypted,
            kms_key: volume.kms_key.clone(),
            tags: Arc::clone(&tags),
            instance: Some(state.roster.machines[machine].id.clone()),
            image: None,
            root_of: volume.root_of.clone(),
            content: state.content(volume),
            deleted: None,
        });
    }
    let shown = snapshots.iter().map(|snapshot| snapshot.show(now)).collect();
    Ok((snapshots, shown))
}

fn too_many(call: &'static str) -> Fault {
    refused(
        call,
        "ConcurrentSnapshotLimitExceeded",
        "maximum allowed in-progress snapshots for a single volume exceeded",
    )
}

/// Whether another snapshot of this volume can be taken now.
fn room(state: &State, call: &'static str, volume: &str, now: Timestamp) -> Result<(), Fault> {
    let taken = state.disks.taken_of.get(volume).map(Vec::as_slice).unwrap_or_default();
    let taken = || taken.iter().rev().filter_map(|id| state.disks.snapshots.get(id));
    if taken().next().is_some_and(|last| now < later(last.at, SPACING)) {
        let message = format!("the maximum per volume CreateSnapshot request rate for {volume} was exceeded");
        return Err(refused(call, "SnapshotCreationPerVolumeRateExceeded", message));
    }
    // Snapshots in error count too (facts: CreateSnapshots).
    let open = taken().filter(|snapshot| snapshot.deleted.is_none() && snapshot.state(now) != "completed");
    let kind = state.disks.volumes.get(volume).map(|volume| volume.kind.as_str());
    let most = if matches!(kind, Some("st1" | "sc1")) { 1 } else { 5 };
    if open.count() >= most {
        return Err(too_many(call));
    }
    Ok(())
}

/// `DeleteSnapshot`.
pub(super) fn delete(state: &State, now: Timestamp, here: &Place, id: &str) -> Result<(Fact, ()), Fault> {
    const CALL: &str = "ec2:DeleteSnapshot";
    let snapshot = state.disks.snapshot(here, CALL, id)?;
    let image = snapshot.image.as_ref().and_then(|image| state.disks.images.find(here, image, now));
    if let Some(image) = image {
        let message = format!("the snapshot {id} is currently in use by {}", image.id);
        return Err(refused(CALL, "InvalidSnapshot.InUse", message));
    }
    Ok((Fact::Disks(DiskFact::SnapshotDeleted { snapshot: id.to_owned() }), ()))
}
