//! What is true of a world, for whoever checks laws in it: nothing that an action could ask.

use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use super::{World, shelf::Item};
use crate::ports::ec2::Which;

/// The tag of what a run makes.
const RUN: &str = "runbook:run";

/// The tag of the call that made it.
const TOKEN: &str = "runbook:token";

/// A way back that a run made: a snapshot, a recovery point, what a host keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayBack {
    /// Its id; what hosts keep has none of its own.
    pub id: Option<String>,
    /// The token of the call that made it.
    pub token: String,
    /// Of which machine.
    pub machine: TargetId,
    /// From when on a restore can use it; absent: never.
    pub usable_from: Option<Timestamp>,
}

impl World {
    /// The machines of the fleet file, without those that restores made.
    pub fn fleet_machines(&self) -> Vec<TargetId> {
        let inner = self.lock();
        let roster = &inner.state.roster;
        let listed = usize::try_from(roster.file.machines()).unwrap_or(usize::MAX);
        roster.machines.iter().take(listed).map(|card| card.id.clone()).collect()
    }

    /// Every way back that this run made and that was not deleted.
    pub fn ways_back_of(&self, run: &str) -> Vec<WayBack> {
        let inner = self.lock();
        let state = &inner.state;
        let ours = Which::Tagged { key: RUN.to_owned(), values: vec![run.to_owned()] };
        let token = |item: &dyn Item| item.tags().get(TOKEN).cloned().unwrap_or_default();
        let snapshots = state.disks.snapshots.kept(&ours).into_iter().filter_map(|snapshot| {
            Some(WayBack {
                id: Some(snapshot.id.clone()),
                token: token(snapshot),
                machine: snapshot.instance.clone()?,
                usable_from: snapshot.error.is_none().then_some(snapshot.ready),
            })
        });
        let points = state.vaults.points.kept(&ours).into_iter().map(|point| WayBack {
            id: Some(point.arn.clone()),
            token: token(point),
            machine: point.instance.clone(),
            usable_from: Some(point.ready),
        });
        let mut ways: Vec<WayBack> = snapshots.chain(points).collect();
        ways.extend(state.hosts.ways_back_of(run));
        ways
    }

    /// Every volume and image that bears this run's mark and was left behind (it was not deleted, and no machine has it): its
    /// id, and the token beside the mark.
    pub fn left_by(&self, run: &str) -> Vec<(String, String)> {
        let inner = self.lock();
        let disks = &inner.state.disks;
        let ours = Which::Tagged { key: RUN.to_owned(), values: vec![run.to_owned()] };
        let known =
            |item: &dyn Item, id: &str| (id.to_owned(), item.tags().get(TOKEN).cloned().unwrap_or_default());
        let volumes = disks.volumes.kept(&ours).into_iter().filter(|volume| volume.held.is_none());
        let volumes = volumes.map(|volume| known(volume, &volume.id));
        let images = disks.images.kept(&ours).into_iter().map(|image| known(image, &image.id));
        volumes.chain(images).collect()
    }
}
