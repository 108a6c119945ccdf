//! Snapshots. The owner is always stated: without it EC2 walks through everybody's public ones.

use std::collections::BTreeMap;

use aws_sdk_ec2::{
    Client, operation::create_snapshots::builders::CreateSnapshotsFluentBuilder, types as sdk,
};
use runbook_steps::ports::{
    ec2::{CreateSnapshots, Snapshot, Which},
    fault::Fault,
};

use super::{
    filter::{self, Asked, VALUES_PER_FILTER, filter},
    tag,
};
use crate::{
    call::{Call, next},
    connection::Connection,
    invocation::timestamp,
    rate::Family,
};

const CALL: Call = Call::new("ec2:DescribeSnapshots", Family::Ec2Reading);

pub(super) async fn described(connection: &Connection, which: &Which) -> Result<Vec<Snapshot>, Fault> {
    let found = filter::ask(which, "snapshot-id", |asked: Asked| async move {
        pages(connection, asked.ids(), asked.filters(), asked.page()).await
    });
    let found: BTreeMap<_, _> = found.await?.into_iter().map(|each| (each.id.clone(), each)).collect();
    Ok(found.into_values().collect())
}

pub(super) async fn pending(
    connection: &Connection,
    volumes: &[String],
) -> Result<BTreeMap<String, u32>, Fault> {
    let mut counts: BTreeMap<String, u32> = volumes.iter().map(|volume| (volume.clone(), 0)).collect();
    for chunk in volumes.chunks(VALUES_PER_FILTER) {
        let filters = vec![
            filter("volume-id", chunk.to_vec()),
            filter("status", vec![sdk::SnapshotState::Pending.as_str().to_owned()]),
        ];
        let found = pages(connection, None, Some(filters), Some(1000)).await?;
        let found: BTreeMap<String, Snapshot> =
            found.into_iter().map(|each| (each.id.clone(), each)).collect();
        for snapshot in found.into_values() {
            *counts.entry(snapshot.volume).or_default() += 1;
        }
    }
    Ok(counts)
}

async fn pages(
    connection: &Connection,
    ids: Option<Vec<String>>,
    filters: Option<Vec<sdk::Filter>>,
    page_size: Option<i32>,
) -> Result<Vec<Snapshot>, Fault> {
    let mut found = Vec::new();
    let mut token = None;
    loop {
        let page = connection.read(CALL, |clients| {
            let call = clients.ec2.describe_snapshots().owner_ids("self").set_snapshot_ids(ids.clone());
            let call = call.set_filters(filters.clone()).set_max_results(page_size);
            call.set_next_token(token.clone()).send()
        });
        let page = page.await?;
        found.extend(page.snapshots.unwrap_or_default().iter().filter_map(read));
        token = match next(token, page.next_token) {
            Some(token) => Some(token),
            None => return Ok(found),
        };
    }
}

pub(super) fn request(client: &Client, request: &CreateSnapshots) -> CreateSnapshotsFluentBuilder {
    let without = (!request.without.is_empty()).then(|| request.without.clone());
    let specification = sdk::InstanceSpecification::builder()
        .instance_id(&request.instance)
        .set_exclude_data_volume_ids(without)
        .build();
    client
        .create_snapshots()
        .instance_specification(specification)
        .description(&request.description)
        .set_tag_specifications(tag::specification(sdk::ResourceType::Snapshot, &request.tags))
}

fn read(snapshot: &sdk::Snapshot) -> Option<Snapshot> {
    Some(Snapshot {
        id: snapshot.snapshot_id()?.to_owned(),
        volume: snapshot.volume_id().unwrap_or_default().to_owned(),
        state: snapshot.state().map_or("", |state| state.as_str()).to_owned(),
        message: snapshot.state_message().filter(|message| !message.is_empty()).map(str::to_owned),
        progress: snapshot.progress().unwrap_or_default().to_owned(),
        size_gib: snapshot.volume_size().and_then(|size| u32::try_from(size).ok()).unwrap_or(0),
        encrypted: snapshot.encrypted().unwrap_or(false),
        started_at: snapshot.start_time().and_then(timestamp),
        tags: tag::map(snapshot.tags.as_deref()),
    })
}

/// One of a set that was just taken.
pub(super) fn taken(snapshot: &sdk::SnapshotInfo) -> Option<Snapshot> {
    Some(Snapshot {
        id: snapshot.snapshot_id()?.to_owned(),
        volume: snapshot.volume_id().unwrap_or_default().to_owned(),
        state: snapshot.state().map_or("", |state| state.as_str()).to_owned(),
        message: None,
        progress: snapshot.progress().unwrap_or_default().to_owned(),
        size_gib: snapshot.volume_size().and_then(|size| u32::try_from(size).ok()).unwrap_or(0),
        encrypted: snapshot.encrypted().unwrap_or(false),
        started_at: snapshot.start_time().and_then(timestamp),
        tags: tag::map(snapshot.tags.as_deref()),
    })
}
