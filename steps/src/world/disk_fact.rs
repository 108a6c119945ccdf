//! Volumes, snapshots and images: what happened to them.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use serde::{Deserialize, Serialize};

use super::{
    image::Image,
    place::Place,
    refusal::refused,
    replacement::Replacement,
    shelf::Shelf,
    snapshot::Snapshot,
    state::State,
    token::Token,
    volume::{Held, Volume},
};
use crate::ports::fault::Fault;

/// One effect on volumes, snapshots or images, or on tags.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DiskFact {
    /// `ec2:CreateSnapshots`.
    SnapshotsCreated { instance: TargetId, snapshots: Vec<Snapshot> },
    /// `ec2:DeleteSnapshot`.
    SnapshotDeleted { snapshot: String },
    /// `ec2:CreateVolume`.
    VolumeCreated { volume: Box<Volume>, machines: Vec<TargetId>, token: Token },
    /// `ec2:DeleteVolume`.
    VolumeDeleted { volume: String },
    /// `ec2:AttachVolume`.
    Attached { volume: String, held: Held },
    /// `ec2:DetachVolume`.
    Detached { volume: String, instance: TargetId, until: Timestamp },
    /// `ec2:ModifyInstanceAttribute`.
    TerminationSet { volume: String, instance: TargetId, value: bool },
    /// `ec2:CreateTags`.
    Tagged { resources: Vec<String>, tags: BTreeMap<String, String> },
    /// `ec2:DeleteTags`: these keys, where stated only with this value; none: all.
    Untagged { resources: Vec<String>, tags: BTreeMap<String, Option<String>> },
    /// `ec2:DeregisterImage`.
    ImageDeregistered { image: String },
}

/// All volumes, snapshots and images.
#[derive(Debug, Default)]
pub(super) struct Disks {
    pub volumes: Shelf<Volume>,
    pub snapshots: Shelf<Snapshot>,
    pub images: Shelf<Image>,
    pub replacements: Shelf<Replacement>,
    /// The snapshots of each volume, in the order in which they were taken.
    pub taken_of: HashMap<String, Vec<String>>,
    /// The replacement that was begun last on each machine.
    pub last_replacement: HashMap<TargetId, String>,
}

impl Disks {
    /// A snapshot that is there for whoever writes.
    pub fn snapshot(&self, here: &Place, call: &'static str, id: &str) -> Result<&Snapshot, Fault> {
        let there = self.snapshots.get(id).filter(|snapshot| here.sees(&snapshot.place));
        there.filter(|snapshot| snapshot.deleted.is_none()).ok_or_else(|| {
            refused(call, "InvalidSnapshot.NotFound", format!("the snapshot '{id}' does not exist"))
        })
    }

    pub fn add_snapshot(&mut self, snapshot: Snapshot) {
        self.taken_of.entry(snapshot.volume.clone()).or_default().push(snapshot.id.clone());
        self.snapshots.insert(snapshot);
    }
}

impl State {
    pub(super) fn apply_to_disks(&mut self, at: Timestamp, fact: &DiskFact) {
        match fact {
            DiskFact::SnapshotsCreated { instance, snapshots } => {
                self.touch(instance);
                for snapshot in snapshots {
                    self.named += 1;
                    self.disks.add_snapshot(snapshot.clone());
                }
            }
            DiskFact::SnapshotDeleted { snapshot } => {
                if let Some(snapshot) = self.disks.snapshots.get_mut(snapshot) {
                    snapshot.deleted = Some(at);
                }
            }
            DiskFact::VolumeCreated { volume, token, .. } => {
                self.named += 1;
                self.keep(token, &volume.id);
                self.disks.volumes.insert((**volume).clone());
            }
            DiskFact::VolumeDeleted { volume } => {
                if let Some(volume) = self.disks.volumes.get_mut(volume) {
                    volume.deleted = Some(at);
                }
            }
            DiskFact::Attached { volume, held } => {
                self.touch(&held.instance);
                self.hold(volume, held.clone());
            }
            DiskFact::Detached { volume, instance, until } => {
                self.touch(instance);
                self.release(volume, *until);
            }
            DiskFact::TerminationSet { volume, instance, value } => {
                self.touch(instance);
                if let Some(held) = self.disks.volumes.get_mut(volume).and_then(|volume| volume.held.as_mut())
                {
                    held.delete_on_termination = *value;
                }
            }
            DiskFact::Tagged { resources, tags } => {
                for id in resources {
                    self.tag(id, tags);
                }
            }
            DiskFact::Untagged { resources, tags } => {
                for id in resources {
                    self.untag(id, tags);
                }
            }
            DiskFact::ImageDeregistered { image } => {
                if let Some(image) = self.disks.images.get_mut(image) {
                    image.deregistered = Some(at);
                }
            }
        }
    }

    /// A machine holds a volume from now on.
    pub(super) fn hold(&mut self, id: &str, held: Held) {
        let Some(place) = self.roster.by_id(&held.instance) else { return };
        let root = held.device == super::instance::root_device_name(&self.roster, place);
        self.machines[place].volumes.insert(held.device.clone(), id.to_owned());
        if let Some(volume) = self.disks.volumes.get_mut(id) {
            if root && !volume.root_of.contains(&held.instance) {
                volume.root_of.push(held.instance.clone());
            }
            volume.left = None;
            volume.held = Some(held);
        }
    }

    /// Nothing holds a volume any more.
    pub(super) fn release(&mut self, id: &str, until: Timestamp) {
        let Some(volume) = self.disks.volumes.get_mut(id) else { return };
        let Some(held) = volume.held.take() else { return };
        if let Some(place) = self.roster.by_id(&held.instance) {
            self.machines[place].volumes.remove(&held.device);
        }
        volume.left = Some((held, until));
    }

    /// Whether there is such a resource.
    pub(super) fn has(&self, here: &Place, id: &str) -> bool {
        let disks = &self.disks;
        disks.volumes.get(id).is_some_and(|volume| volume.deleted.is_none() && here.sees(&volume.place))
            || disks.snapshots.get(id).is_some_and(|shot| shot.deleted.is_none() && here.sees(&shot.place))
            || disks
                .images
                .get(id)
                .is_some_and(|image| image.deregistered.is_none() && here.sees(&image.place))
            || disks.replacements.get(id).is_some_and(|task| here.sees(&task.place))
            || self.roster.find(id).is_some_and(|machine| {
                self.roster.machines[machine].id.as_str() == id && here.sees(self.roster.place(machine))
            })
    }

    fn tag(&mut self, id: &str, tags: &BTreeMap<String, String>) {
        let disks = &mut self.disks;
        let _ = disks.volumes.tag(id, tags)
            || disks.snapshots.tag(id, tags)
            || disks.images.tag(id, tags)
            || disks.replacements.tag(id, tags);
        if let Some(machine) = self.roster.find(id) {
            self.roster.machines[machine].tags.extend(tags.clone());
        }
    }

    fn untag(&mut self, id: &str, tags: &BTreeMap<String, Option<String>>) {
        let keeps = |key: &String, value: &String| {
            // Those of AWS itself stay.
            key.starts_with("aws:")
                || !(tags.is_empty()
                    || tags
                        .get(key)
                        .is_some_and(|wanted| wanted.as_ref().is_none_or(|wanted| wanted == value)))
        };
        let disks = &mut self.disks;
        let _ = disks.volumes.untag(id, keeps)
            || disks.snapshots.untag(id, keeps)
            || disks.images.untag(id, keeps)
            || disks.replacements.untag(id, keeps);
        if let Some(machine) = self.roster.find(id) {
            self.roster.machines[machine].tags.retain(|key, value| keeps(key, value));
        }
    }

    /// Keeps a token with what was made.
    pub(super) fn keep(&mut self, token: &Token, made: &str) {
        if !token.key.is_empty() {
            self.tokens.insert(token.key.clone(), (token.asked, made.to_owned()));
        }
    }
}
