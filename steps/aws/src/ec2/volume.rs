//! Volumes: described, made from snapshots, attached and detached.

use std::collections::BTreeMap;

use aws_sdk_ec2::{
    Client,
    operation::{
        attach_volume::builders::AttachVolumeFluentBuilder,
        create_volume::{CreateVolumeOutput, builders::CreateVolumeFluentBuilder},
        detach_volume::builders::DetachVolumeFluentBuilder,
        modify_instance_attribute::builders::ModifyInstanceAttributeFluentBuilder,
    },
    types as sdk,
};
use runbook_steps::ports::{
    ec2::{Attachment, CreateVolume, Volume, Which},
    fault::Fault,
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

const CALL: Call = Call::new("ec2:DescribeVolumes", Family::Ec2Reading);

pub(super) async fn described(connection: &Connection, which: &Which) -> Result<Vec<Volume>, Fault> {
    let found = filter::ask(which, "volume-id", |asked| pages(connection, asked)).await?;
    let found: BTreeMap<_, _> = found.into_iter().map(|each| (each.id.clone(), each)).collect();
    Ok(found.into_values().collect())
}

async fn pages(connection: &Connection, asked: Asked) -> Result<Vec<Volume>, Fault> {
    let mut found = Vec::new();
    let mut token = None;
    loop {
        let page = connection.read(CALL, |clients| {
            let call = clients.ec2.describe_volumes().set_volume_ids(asked.ids());
            let call = call.set_filters(asked.filters()).set_max_results(asked.page());
            call.set_next_token(token.clone()).send()
        });
        let page = page.await?;
        found.extend(page.volumes.unwrap_or_default().iter().filter_map(read));
        token = match next(token, page.next_token) {
            Some(token) => Some(token),
            None => return Ok(found),
        };
    }
}

fn read(volume: &sdk::Volume) -> Option<Volume> {
    let kind = volume.volume_type().map_or("", |kind| kind.as_str());
    // EC2 shows derived numbers for other types, and refuses them when a volume is made.
    let provisioned = matches!(kind, "gp3" | "io1" | "io2");
    Some(Volume {
        id: volume.volume_id()?.to_owned(),
        state: volume.state().map_or("", |state| state.as_str()).to_owned(),
        size_gib: count(volume.size()).unwrap_or(0),
        iops: count(volume.iops()).filter(|_| provisioned),
        throughput: count(volume.throughput()).filter(|_| kind == "gp3"),
        kind: kind.to_owned(),
        encrypted: volume.encrypted().unwrap_or(false),
        kms_key: volume.kms_key_id().filter(|key| !key.is_empty()).map(str::to_owned),
        zone: volume.availability_zone().unwrap_or_default().to_owned(),
        snapshot: volume.snapshot_id().filter(|id| !id.is_empty()).map(str::to_owned),
        created_at: volume.create_time().and_then(timestamp),
        attachments: volume.attachments().iter().map(attachment).collect(),
        tags: tag::map(volume.tags.as_deref()),
    })
}

fn attachment(attachment: &sdk::VolumeAttachment) -> Attachment {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Attachment {
        volume: text(attachment.volume_id()),
        instance: text(attachment.instance_id()),
        device: text(attachment.device()),
        state: attachment.state().map_or("", |state| state.as_str()).to_owned(),
        delete_on_termination: attachment.delete_on_termination().unwrap_or(false),
    }
}

/// The volume that was made.
pub(super) fn made(answer: CreateVolumeOutput) -> Option<Volume> {
    let volume = sdk::Volume::builder()
        .set_volume_id(answer.volume_id)
        .set_state(answer.state)
        .set_size(answer.size)
        .set_volume_type(answer.volume_type)
        .set_iops(answer.iops)
        .set_throughput(answer.throughput)
        .set_encrypted(answer.encrypted)
        .set_kms_key_id(answer.kms_key_id)
        .set_availability_zone(answer.availability_zone)
        .set_snapshot_id(answer.snapshot_id)
        .set_create_time(answer.create_time)
        .set_attachments(answer.attachments)
        .set_tags(answer.tags)
        .build();
    read(&volume)
}

pub(super) fn request(client: &Client, request: &CreateVolume) -> CreateVolumeFluentBuilder {
    client
        .create_volume()
        .snapshot_id(&request.snapshot)
        .availability_zone(&request.zone)
        .size(number(request.size_gib))
        .volume_type(sdk::VolumeType::from(request.kind.as_str()))
        .set_iops(request.iops.map(number))
        .set_throughput(request.throughput.map(number))
        // A snapshot that is encrypted makes encrypted volumes; `false` beside a key is refused.
        .set_encrypted(request.encrypted.then_some(true))
        .set_kms_key_id(request.kms_key.clone())
        .set_tag_specifications(tag::specification(sdk::ResourceType::Volume, &request.tags))
        .client_token(&request.token)
}

pub(super) fn attach(client: &Client, request: &Attachment) -> AttachVolumeFluentBuilder {
    client.attach_volume().volume_id(&request.volume).instance_id(&request.instance).device(&request.device)
}

pub(super) fn detach(client: &Client, request: &Attachment) -> DetachVolumeFluentBuilder {
    client.detach_volume().volume_id(&request.volume).instance_id(&request.instance).device(&request.device)
}

pub(super) fn keep_or_delete(client: &Client, request: &Attachment) -> ModifyInstanceAttributeFluentBuilder {
    let ebs = sdk::EbsInstanceBlockDeviceSpecification::builder()
        .volume_id(&request.volume)
        .delete_on_termination(request.delete_on_termination)
        .build();
    let mapping =
        sdk::InstanceBlockDeviceMappingSpecification::builder().device_name(&request.device).ebs(ebs).build();
    client.modify_instance_attribute().instance_id(&request.instance).block_device_mappings(mapping)
}

fn count(number: Option<i32>) -> Option<u32> {
    number.and_then(|number| u32::try_from(number).ok())
}

fn number(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
