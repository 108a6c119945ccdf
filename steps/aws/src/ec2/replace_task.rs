//! Replacements of root volumes.

use std::collections::BTreeMap;

use aws_sdk_ec2::{
    Client, operation::create_replace_root_volume_task::builders::CreateReplaceRootVolumeTaskFluentBuilder,
    types as sdk,
};
use runbook_steps::ports::{
    ec2::{ReplaceRootVolume, ReplaceTask, Which},
    fault::{Fault, FaultKind},
};

use super::tag;
use crate::{
    call::{Call, next},
    connection::Connection,
    rate::Family,
};

const CALL: Call = Call::new("ec2:DescribeReplaceRootVolumeTasks", Family::Ec2Reading);

/// A call takes so many ids, and a page holds so many tasks.
const IDS_PER_CALL: usize = 50;
const PAGE: i32 = 50;

/// The only documented filter is `instance-id`, so tags are compared here; and a call with an unknown id is cut in two.
pub(super) async fn described(connection: &Connection, which: &Which) -> Result<Vec<ReplaceTask>, Fault> {
    let mut found = BTreeMap::new();
    match which {
        Which::Tagged { key, values } => {
            for task in pages(connection, None).await? {
                let value = task.tags.get(key);
                if value.is_some_and(|value| values.is_empty() || values.contains(value)) {
                    found.insert(task.id.clone(), task);
                }
            }
        }
        Which::Ids(ids) => {
            let mut waiting: Vec<&[String]> = ids.chunks(IDS_PER_CALL).collect();
            while let Some(chunk) = waiting.pop() {
                match pages(connection, Some(chunk)).await {
                    Ok(tasks) => found.extend(tasks.into_iter().map(|task| (task.id.clone(), task))),
                    Err(fault) if fault.kind == FaultKind::NotFound => {
                        if chunk.len() > 1 {
                            let (first, second) = chunk.split_at(chunk.len() / 2);
                            waiting.extend([first, second]);
                        }
                    }
                    Err(fault) => return Err(fault),
                }
            }
        }
    }
    Ok(found.into_values().collect())
}

async fn pages(connection: &Connection, ids: Option<&[String]>) -> Result<Vec<ReplaceTask>, Fault> {
    let mut found = Vec::new();
    let mut token = None;
    loop {
        let page = connection.read(CALL, |clients| {
            let call = clients.ec2.describe_replace_root_volume_tasks();
            let call = call.set_replace_root_volume_task_ids(ids.map(<[String]>::to_vec));
            call.set_max_results(ids.is_none().then_some(PAGE)).set_next_token(token.clone()).send()
        });
        let page = page.await?;
        found.extend(page.replace_root_volume_tasks.unwrap_or_default().iter().filter_map(read));
        token = match next(token, page.next_token) {
            Some(token) => Some(token),
            None => return Ok(found),
        };
    }
}

/// The old root is kept: it is deleted when the machine is known to be well, by whoever collects artifacts.
pub(super) fn request(
    client: &Client,
    request: &ReplaceRootVolume,
) -> CreateReplaceRootVolumeTaskFluentBuilder {
    let tags = tag::specification(sdk::ResourceType::ReplaceRootVolumeTask, &request.tags);
    client
        .create_replace_root_volume_task()
        .instance_id(&request.instance)
        .snapshot_id(&request.snapshot)
        .set_tag_specifications(tags)
        .client_token(&request.token)
}

pub(super) fn read(task: &sdk::ReplaceRootVolumeTask) -> Option<ReplaceTask> {
    Some(ReplaceTask {
        id: task.replace_root_volume_task_id()?.to_owned(),
        instance: task.instance_id().unwrap_or_default().to_owned(),
        state: task.task_state().map_or("", |state| state.as_str()).to_owned(),
        snapshot: task.snapshot_id().filter(|id| !id.is_empty()).map(str::to_owned),
        started_at: task.start_time().and_then(|text| text.parse().ok()),
        tags: tag::map(task.tags.as_deref()),
    })
}
