//! EC2 of the simulated world: the port. What each call does is in the files of what it is about.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use super::{
    account::Account,
    attachment,
    disk_fact::DiskFact,
    image, instance,
    place::Place,
    refusal::refused,
    replacement,
    shelf::{Item, Shelf},
    snapshot,
    state::{Fact, State, Struck},
    volume,
};
use crate::ports::{
    ec2::{
        Attachment, CreateSnapshots, CreateVolume, Ec2, Image, Instance, InstanceStatus, Proof,
        ReplaceRootVolume, ReplaceTask, Snapshot, Volume, Which,
    },
    fault::Fault,
};

/// The most resources that are tagged at once.
const MOST_TAGGED: usize = 1000;

impl Account {
    /// A call that reads what is on a shelf.
    async fn look<T: Item, S: Send>(
        &self,
        call: &'static str,
        which: &Which,
        shelf: impl Fn(&State) -> &Shelf<T> + Send + Sync,
        show: impl Fn(&T, Timestamp) -> S + Send + Sync,
    ) -> Result<Vec<S>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), call, &[], |state, now| {
                let found = shelf(state).seen(&here, which, now);
                Ok(found.into_iter().map(|item| show(item, now)).collect())
            })
            .await
    }

    /// A call that writes.
    pub(super) async fn act<T: Send>(
        &self,
        call: &'static str,
        machines: &[TargetId],
        decide: impl FnOnce(&State, Timestamp, &Place, &mut Struck) -> Result<(Fact, T), Fault> + Send,
    ) -> Result<T, Fault> {
        let here = self.place.clone();
        let decide =
            move |state: &mut State, now: Timestamp, struck: &mut Struck| decide(state, now, &here, struck);
        self.world.write(self.label(), call, machines, decide).await
    }

    /// The machine that holds a volume.
    pub(super) fn holder(&self, volume: &str) -> Vec<TargetId> {
        let inner = self.world.lock();
        let volume = inner.state.disks.volumes.get(volume);
        volume.and_then(|volume| volume.held.as_ref()).map(|held| held.instance.clone()).into_iter().collect()
    }
}

#[async_trait]
impl Ec2 for Account {
    async fn instances(&self, ids: &[TargetId]) -> Result<Vec<Instance>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ec2:DescribeInstances", ids, |state, now| {
                let found = ids.iter().filter_map(|id| instance::find(state, &here, id, now));
                Ok(found.map(|machine| instance::show(state, machine, now)).collect())
            })
            .await
    }

    async fn statuses(&self, ids: &[TargetId]) -> Result<Vec<InstanceStatus>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ec2:DescribeInstanceStatus", ids, |state, now| {
                let found = ids.iter().filter_map(|id| instance::find(state, &here, id, now));
                Ok(found.map(|machine| instance::status(state, machine, now)).collect())
            })
            .await
    }

    async fn snapshots(&self, which: &Which) -> Result<Vec<Snapshot>, Fault> {
        let call = "ec2:DescribeSnapshots";
        self.look(call, which, |state| &state.disks.snapshots, |snapshot, now| snapshot.show(now)).await
    }

    async fn pending_snapshots(&self, volumes: &[String]) -> Result<BTreeMap<String, u32>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ec2:DescribeSnapshots", &[], |state, now| {
                let pending = |volume: &String| {
                    let taken = state.disks.taken_of.get(volume).into_iter().flatten();
                    let seen = taken.filter_map(|id| state.disks.snapshots.find(&here, id, now));
                    (volume.clone(), seen.filter(|snapshot| snapshot.state(now) == "pending").count() as u32)
                };
                Ok(volumes.iter().map(pending).filter(|(_, pending)| *pending > 0).collect())
            })
            .await
    }

    async fn volumes(&self, which: &Which) -> Result<Vec<Volume>, Fault> {
        let call = "ec2:DescribeVolumes";
        self.look(call, which, |state| &state.disks.volumes, |volume, now| volume.show(now)).await
    }

    async fn images(&self, which: &Which) -> Result<Vec<Image>, Fault> {
        let call = "ec2:DescribeImages";
        self.look(call, which, |state| &state.disks.images, |image, now| image.show(now)).await
    }

    async fn replace_tasks(&self, which: &Which) -> Result<Vec<ReplaceTask>, Fault> {
        let call = "ec2:DescribeReplaceRootVolumeTasks";
        self.look(call, which, |state| &state.disks.replacements, |task, now| task.show(now)).await
    }

    async fn create_snapshots(&self, request: &CreateSnapshots) -> Result<Vec<Snapshot>, Fault> {
        let machines = [TargetId::new(&request.instance)];
        self.act("ec2:CreateSnapshots", &machines, |state, now, here, struck| {
            snapshot::create(state, now, here, request, self.label(), struck)
        })
        .await
    }

    async fn create_volume(&self, request: &CreateVolume) -> Result<Volume, Fault> {
        let known = self
            .world
            .lock()
            .state
            .disks
            .snapshots
            .get(&request.snapshot)
            .and_then(|snapshot| snapshot.instance.clone());
        let machines: Vec<_> = known.into_iter().collect();
        self.act("ec2:CreateVolume", &machines, |state, now, here, struck| {
            volume::create(state, now, here, request, self.label(), struck)
        })
        .await
    }

    async fn attach_volume(&self, request: &Attachment) -> Result<(), Fault> {
        let machines = [TargetId::new(&request.instance)];
        self.act("ec2:AttachVolume", &machines, |state, now, here, _| {
            attachment::attach(state, now, here, request)
        })
        .await
    }

    async fn detach_volume(&self, request: &Attachment) -> Result<(), Fault> {
        let machines = self.holder(&request.volume);
        self.act("ec2:DetachVolume", &machines, |state, now, here, _| {
            attachment::detach(state, now, here, request)
        })
        .await
    }

    async fn set_delete_on_termination(&self, request: &Attachment) -> Result<(), Fault> {
        let machines = [TargetId::new(&request.instance)];
        self.act("ec2:ModifyInstanceAttribute", &machines, |state, now, here, _| {
            attachment::set_delete_on_termination(state, now, here, request)
        })
        .await
    }

    async fn replace_root_volume(&self, request: &ReplaceRootVolume) -> Result<ReplaceTask, Fault> {
        let machines = [TargetId::new(&request.instance)];
        self.act(replacement::CALL, &machines, |state, now, here, struck| {
            replacement::create(state, now, here, request, self.label(), struck)
        })
        .await
    }

    async fn stop_instances(&self, ids: &[TargetId]) -> Result<(), Fault> {
        self.act("ec2:StopInstances", ids, |state, now, here, _| instance::stop(state, now, here, ids)).await
    }

    async fn start_instances(&self, ids: &[TargetId]) -> Result<(), Fault> {
        self.act("ec2:StartInstances", ids, |state, now, here, struck| {
            instance::start(state, now, here, ids, self.label(), struck)
        })
        .await
    }

    async fn reboot_instances(&self, ids: &[TargetId]) -> Result<(), Fault> {
        self.act("ec2:RebootInstances", ids, |state, now, here, struck| {
            instance::reboot(state, now, here, ids, self.label(), struck)
        })
        .await
    }

    async fn create_tags(&self, resources: &[String], tags: &BTreeMap<String, String>) -> Result<(), Fault> {
        const CALL: &str = "ec2:CreateTags";
        let (resources, tags) = (resources.to_vec(), tags.clone());
        self.act(CALL, &[], move |state, _, here, _| {
            if resources.is_empty() || resources.len() > MOST_TAGGED {
                let message = format!("{} resources in one call", resources.len());
                return Err(refused(CALL, "InvalidParameterValue", message));
            }
            if let Some(key) = tags.keys().find(|key| key.starts_with("aws:")) {
                let message = format!("tag keys starting with 'aws:' are reserved: '{key}'");
                return Err(refused(CALL, "InvalidParameterValue", message));
            }
            all_there(state, here, CALL, &resources)?;
            Ok((Fact::Disks(DiskFact::Tagged { resources, tags }), ()))
        })
        .await
    }

    async fn delete_snapshot(&self, id: &str) -> Result<(), Fault> {
        self.act("ec2:DeleteSnapshot", &[], |state, now, here, _| snapshot::delete(state, now, here, id))
            .await
    }

    async fn delete_volume(&self, id: &str) -> Result<(), Fault> {
        self.act("ec2:DeleteVolume", &[], |state, now, here, _| volume::delete(state, now, here, id)).await
    }

    async fn deregister_image(&self, id: &str) -> Result<(), Fault> {
        self.act("ec2:DeregisterImage", &[], |state, now, here, _| image::deregister(state, now, here, id))
            .await
    }

    async fn prove(&self, right: &Proof) -> Result<(), Fault> {
        self.world.prove(self.label(), right.call(), &right.machines()).await
    }
}

/// One id that is not there fails the whole call.
pub(super) fn all_there(
    state: &State,
    here: &Place,
    call: &'static str,
    ids: &[String],
) -> Result<(), Fault> {
    match ids.iter().find(|id| !state.has(here, id)) {
        Some(id) => Err(refused(call, &unknown(id), format!("the ID '{id}' does not exist"))),
        None => Ok(()),
    }
}

/// The code for an id that nobody has.
fn unknown(id: &str) -> String {
    let kind = match id.split('-').next().unwrap_or_default() {
        "i" => "InvalidInstanceID",
        "vol" => "InvalidVolume",
        "snap" => "InvalidSnapshot",
        "ami" => "InvalidAMIID",
        _ => "InvalidID",
    };
    format!("{kind}.NotFound")
}
