//! Rights, proved by dry runs: the service checks them, changes nothing, and answers with an error either way.

use std::collections::BTreeMap;

use runbook_engine::ids::TargetId;
use runbook_steps::ports::{ec2::Proof, fault::Fault};

use super::{replace_task, snapshot, tag, volume};
use crate::{call::Call, connection::Connection, rate::Family};

/// Makes the dry run. A success comes as the fault with the code `DryRunOperation`. It changes nothing, so it may be
/// repeated like a reading call.
pub(super) async fn ask(connection: &Connection, right: &Proof) -> Result<(), Fault> {
    let call = Call::new(right.call(), Family::Ec2Writing);
    let ids = |ids: &[TargetId]| Some(ids.iter().map(ToString::to_string).collect::<Vec<_>>());
    match right {
        Proof::CreateSnapshots(request) => connection
            .read(call, |clients| snapshot::request(&clients.ec2, request).dry_run(true).send())
            .await
            .map(drop),
        Proof::CreateVolume(request) => connection
            .read(call, |clients| volume::request(&clients.ec2, request).dry_run(true).send())
            .await
            .map(drop),
        Proof::AttachVolume(request) => connection
            .read(call, |clients| volume::attach(&clients.ec2, request).dry_run(true).send())
            .await
            .map(drop),
        Proof::DetachVolume(request) => connection
            .read(call, |clients| volume::detach(&clients.ec2, request).dry_run(true).send())
            .await
            .map(drop),
        Proof::ModifyInstanceAttribute(request) => connection
            .read(call, |clients| volume::keep_or_delete(&clients.ec2, request).dry_run(true).send())
            .await
            .map(drop),
        Proof::ReplaceRootVolume(request) => connection
            .read(call, |clients| replace_task::request(&clients.ec2, request).dry_run(true).send())
            .await
            .map(drop),
        Proof::StopInstances(machines) => connection
            .read(call, |clients| {
                clients.ec2.stop_instances().set_instance_ids(ids(machines)).dry_run(true).send()
            })
            .await
            .map(drop),
        Proof::StartInstances(machines) => connection
            .read(call, |clients| {
                clients.ec2.start_instances().set_instance_ids(ids(machines)).dry_run(true).send()
            })
            .await
            .map(drop),
        Proof::RebootInstances(machines) => connection
            .read(call, |clients| {
                clients.ec2.reboot_instances().set_instance_ids(ids(machines)).dry_run(true).send()
            })
            .await
            .map(drop),
        Proof::CreateTags(resources) => {
            let tags = BTreeMap::from([("runbook:run".to_owned(), String::new())]);
            connection
                .read(call, |clients| {
                    let call = clients.ec2.create_tags().set_resources(Some(resources.clone()));
                    call.set_tags(Some(tag::tags(&tags))).dry_run(true).send()
                })
                .await
                .map(drop)
        }
        Proof::DeleteSnapshot(id) => connection
            .read(call, |clients| clients.ec2.delete_snapshot().snapshot_id(id).dry_run(true).send())
            .await
            .map(drop),
        Proof::DeleteVolume(id) => connection
            .read(call, |clients| clients.ec2.delete_volume().volume_id(id).dry_run(true).send())
            .await
            .map(drop),
    }
}
