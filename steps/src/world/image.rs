//! Images of this account: those that AWS Backup makes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    disk_fact::DiskFact,
    place::Place,
    refusal::refused,
    shelf::Item,
    state::{Fact, State},
};
use crate::ports::{ec2::Image as Shown, fault::Fault};

/// An image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Image {
    pub id: String,
    #[serde(default)]
    pub place: Place,
    pub made: Timestamp,
    /// Until then it is `pending`.
    pub ready: Timestamp,
    pub snapshots: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deregistered: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

impl Item for Image {
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
        self.made
    }

    fn gone_from(&self) -> Option<Timestamp> {
        self.deregistered
    }
}

impl Image {
    pub fn show(&self, now: Timestamp) -> Shown {
        Shown {
            id: self.id.clone(),
            state: if now < self.ready { "pending" } else { "available" }.to_owned(),
            snapshots: self.snapshots.clone(),
            created_at: Some(self.made),
            tags: self.tags.clone(),
        }
    }
}

/// `DeregisterImage`. Its snapshots stay (facts: CreateSnapshots).
pub(super) fn deregister(state: &State, now: Timestamp, here: &Place, id: &str) -> Result<(Fact, ()), Fault> {
    const CALL: &str = "ec2:DeregisterImage";
    if state.disks.images.find(here, id, now).is_none() {
        return Err(refused(CALL, "InvalidAMIID.NotFound", format!("the image id '{id}' does not exist")));
    }
    Ok((Fact::Disks(DiskFact::ImageDeregistered { image: id.to_owned() }), ()))
}
