//! Images that this account owns.

use std::collections::BTreeMap;

use aws_sdk_ec2::types as sdk;
use runbook_steps::ports::{
    ec2::{Image, Which},
    fault::Fault,
};

use super::{
    filter::{self, Asked},
    tag,
};
use crate::{
    call::{Call, next},
    connection::Connection,
    rate::Family,
};

const CALL: Call = Call::new("ec2:DescribeImages", Family::Ec2Reading);

pub(super) async fn described(connection: &Connection, which: &Which) -> Result<Vec<Image>, Fault> {
    let found = filter::ask(which, "image-id", |asked| pages(connection, asked)).await?;
    let found: BTreeMap<_, _> = found.into_iter().map(|each| (each.id.clone(), each)).collect();
    Ok(found.into_values().collect())
}

async fn pages(connection: &Connection, asked: Asked) -> Result<Vec<Image>, Fault> {
    let mut found = Vec::new();
    let mut token = None;
    loop {
        let page = connection.read(CALL, |clients| {
            let call = clients.ec2.describe_images().owners("self").set_image_ids(asked.ids());
            let call = call.set_filters(asked.filters()).set_max_results(asked.page());
            call.set_next_token(token.clone()).send()
        });
        let page = page.await?;
        found.extend(page.images.unwrap_or_default().iter().filter_map(read));
        token = match next(token, page.next_token) {
            Some(token) => Some(token),
            None => return Ok(found),
        };
    }
}

fn read(image: &sdk::Image) -> Option<Image> {
    let snapshots = image.block_device_mappings().iter();
    let snapshots = snapshots.filter_map(|mapping| mapping.ebs()?.snapshot_id().map(str::to_owned));
    Some(Image {
        id: image.image_id()?.to_owned(),
        state: image.state().map_or("", |state| state.as_str()).to_owned(),
        snapshots: snapshots.collect(),
        created_at: image.creation_date().and_then(|text| text.parse().ok()),
        tags: tag::map(image.tags.as_deref()),
    })
}
