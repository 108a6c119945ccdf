//! Instances and their status checks.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types as sdk;
use runbook_steps::ports::{
    ec2::{Attachment, Instance, InstanceStatus, Which},
    fault::{Fault, FaultKind},
};

use super::{
    filter::{self, Asked},
    tag,
};
use crate::{
    call::{Call, next},
    connection::Connection,
    invocation::timestamp,
    rate::Family,
};

pub(crate) const DESCRIBE: Call = Call::new("ec2:DescribeInstances", Family::Ec2Reading);

/// `DescribeInstanceStatus` takes so many ids.
const STATUSES_PER_CALL: usize = 100;

/// Instances, each with the account that it is in, by id.
pub(crate) type Found = BTreeMap<String, (String, Instance)>;

/// These instances; unknown ones are left out.
pub(crate) async fn by_id(connection: &Connection, ids: &[String]) -> Result<Found, Fault> {
    let which = Which::Ids(ids.to_vec());
    let found = filter::ask(&which, "instance-id", |asked: Asked| async move {
        pages(connection, asked.ids(), asked.filters(), asked.page()).await
    });
    let mut found: Found = found.await?.into_iter().collect();
    // Some servers do not know the filter.
    let wanted: BTreeSet<&String> = ids.iter().collect();
    found.retain(|id, _| wanted.contains(id));
    Ok(found)
}

/// The instances that pass these filters.
pub(crate) async fn passing(connection: &Connection, filters: &[sdk::Filter]) -> Result<Found, Fault> {
    Ok(pages(connection, None, Some(filters.to_vec()), Some(1000)).await?.into_iter().collect())
}

/// All pages. A filtered page may be empty and still name a next one.
async fn pages(
    connection: &Connection,
    ids: Option<Vec<String>>,
    filters: Option<Vec<sdk::Filter>>,
    page_size: Option<i32>,
) -> Result<Vec<(String, (String, Instance))>, Fault> {
    let mut found = Vec::new();
    let mut token = None;
    loop {
        let page = connection.read(DESCRIBE, |clients| {
            let call = clients.ec2.describe_instances().set_instance_ids(ids.clone());
            let call = call.set_filters(filters.clone()).set_max_results(page_size);
            call.set_next_token(token.clone()).send()
        });
        let page = page.await?;
        for reservation in page.reservations.unwrap_or_default() {
            let account = reservation.owner_id.unwrap_or_default();
            let instances = reservation.instances.unwrap_or_default();
            let instances = instances.iter().filter_map(read);
            found.extend(instances.map(|instance| (instance.id.clone(), (account.clone(), instance))));
        }
        token = match next(token, page.next_token) {
            Some(token) => Some(token),
            None => return Ok(found),
        };
    }
}

/// Status checks, stopped instances included. There is no filter by id, so a call with an unknown id is cut in two.
pub(super) async fn statuses(connection: &Connection, ids: &[String]) -> Result<Vec<InstanceStatus>, Fault> {
    const CALL: Call = Call::new("ec2:DescribeInstanceStatus", Family::Ec2Reading);
    let mut found = BTreeMap::new();
    let mut waiting: Vec<&[String]> = ids.chunks(STATUSES_PER_CALL).collect();
    while let Some(chunk) = waiting.pop() {
        let mut token = None;
        loop {
            let page = connection.read(CALL, |clients| {
                let call = clients.ec2.describe_instance_status().include_all_instances(true);
                call.set_instance_ids(Some(chunk.to_vec())).set_next_token(token.clone()).send()
            });
            let page = match page.await {
                Ok(page) => page,
                Err(fault) if fault.kind == FaultKind::NotFound => {
                    if chunk.len() > 1 {
                        let (first, second) = chunk.split_at(chunk.len() / 2);
                        waiting.extend([first, second]);
                    }
                    break;
                }
                Err(fault) => return Err(fault),
            };
            for status in page.instance_statuses.unwrap_or_default() {
                if let Some(status) = read_status(&status) {
                    found.insert(status.instance.clone(), status);
                }
            }
            token = match next(token, page.next_token) {
                Some(token) => Some(token),
                None => break,
            };
        }
    }
    Ok(found.into_values().collect())
}

fn read_status(status: &sdk::InstanceStatus) -> Option<InstanceStatus> {
    let word = |summary: Option<&sdk::InstanceStatusSummary>| {
        summary.and_then(sdk::InstanceStatusSummary::status).map_or("", |status| status.as_str()).to_owned()
    };
    Some(InstanceStatus {
        instance: status.instance_id()?.to_owned(),
        state: state(status.instance_state()),
        system: word(status.system_status()),
        reachability: word(status.instance_status()),
    })
}

fn state(state: Option<&sdk::InstanceState>) -> String {
    state.and_then(sdk::InstanceState::name).map_or("", |name| name.as_str()).to_owned()
}

/// An instance in the port's terms; `None` without an id.
pub(crate) fn read(instance: &sdk::Instance) -> Option<Instance> {
    let id = instance.instance_id()?.to_owned();
    let tags = tag::map(instance.tags.as_deref());
    Some(Instance {
        state: state(instance.state()),
        image: instance.image_id().unwrap_or_default().to_owned(),
        kind: instance.instance_type().map_or("", |kind| kind.as_str()).to_owned(),
        zone: instance.placement().and_then(sdk::Placement::availability_zone).unwrap_or_default().to_owned(),
        root_device: instance.root_device_name().unwrap_or_default().to_owned(),
        root_device_type: instance.root_device_type().map_or("", |kind| kind.as_str()).to_owned(),
        volumes: instance.block_device_mappings().iter().filter_map(|each| attachment(&id, each)).collect(),
        lifecycle: instance.instance_lifecycle().map(|word| word.as_str().to_owned()),
        auto_scaling_group: tags.get("aws:autoscaling:groupName").cloned(),
        hibernates: instance
            .hibernation_options()
            .and_then(sdk::HibernationOptions::configured)
            .unwrap_or(false),
        private_ip: instance.private_ip_address().map(str::to_owned),
        public_ip: instance.public_ip_address().map(str::to_owned),
        public_ip_is_elastic: elastic(instance),
        platform: instance.platform().map_or("", |platform| platform.as_str()).to_lowercase(),
        launched_at: instance.launch_time().and_then(timestamp),
        tags,
        id,
    })
}

fn attachment(instance: &str, mapping: &sdk::InstanceBlockDeviceMapping) -> Option<Attachment> {
    let ebs = mapping.ebs()?;
    Some(Attachment {
        volume: ebs.volume_id()?.to_owned(),
        instance: instance.to_owned(),
        device: mapping.device_name().unwrap_or_default().to_owned(),
        state: ebs.status().map_or("", |status| status.as_str()).to_owned(),
        delete_on_termination: ebs.delete_on_termination().unwrap_or(false),
    })
}

/// Whether the public address is an Elastic IP: then it belongs to an account and not to `amazon`.
fn elastic(instance: &sdk::Instance) -> bool {
    let Some(public) = instance.public_ip_address() else { return false };
    instance.network_interfaces().iter().filter_map(sdk::InstanceNetworkInterface::association).any(
        |association| {
            association.public_ip() == Some(public)
                && association.ip_owner_id().is_some_and(|owner| owner != "amazon")
        },
    )
}
