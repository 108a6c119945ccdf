//! Which machines there are: EC2 instances by tags, by ids, by resource group.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_sdk_ec2::types::Filter;
use runbook_engine::{
    ids::{GroupName, TargetId},
    target::{Home, Target, TargetQuery},
};
use runbook_steps::ports::{
    fault::{Fault, FaultKind},
    inventory::Inventory,
};

use crate::{
    Aws,
    call::{Call, next},
    connection::{Connection, Door},
    ec2::{
        VALUES_PER_FILTER, filter,
        instance::{self, DESCRIBE, Found},
    },
    fault::invalid,
    machine,
    rate::Family,
};

#[async_trait]
impl Inventory for Aws {
    async fn resolve(&self, group: &GroupName, query: &TargetQuery) -> Result<Vec<Target>, Fault> {
        let TargetQuery::Aws { tags, ids, resource_group, region, role, external_id } = query else {
            return Err(invalid(DESCRIBE.name, format!("group `{group}` does not ask for EC2 instances")));
        };
        let door = Door {
            region: region.clone(),
            role: role.clone(),
            external_id: external_id.clone(),
            account: None,
        };
        let connection = self.connection(door);
        let region = connection.opened(DESCRIBE).await?.region.clone();
        let mut wanted: Option<BTreeSet<TargetId>> = (!ids.is_empty()).then(|| ids.iter().cloned().collect());
        if let Some(name) = resource_group {
            let members = members(&connection, name).await?;
            wanted = Some(match wanted {
                Some(ids) => ids.intersection(&members).cloned().collect(),
                None => members,
            });
        }
        let mut found = match &wanted {
            Some(ids) if tags.is_empty() => instance::by_id(&connection, &names(ids)).await?,
            wanted => {
                let mut filters: Vec<Filter> =
                    tags.iter().map(|(key, values)| filter(&format!("tag:{key}"), values.clone())).collect();
                // Terminated ones stay visible for an hour.
                let alive = ["pending", "running", "stopping", "stopped"].map(str::to_owned);
                filters.push(filter("instance-state-name", alive.to_vec()));
                passing(&connection, filters, wanted.as_ref().map(names)).await?
            }
        };
        found.retain(|_, (_, instance)| !machine::is_gone(instance));
        if let Some(missing) = ids.iter().find(|id| tags.is_empty() && !found.contains_key(id.as_str())) {
            return Err(Fault {
                call: DESCRIBE.name,
                kind: FaultKind::NotFound,
                code: None,
                message: format!("there is no instance {missing} in {region}"),
            });
        }
        let home = |account: &String| Home::Aws {
            account: Some(account.clone()).filter(|account| !account.is_empty()),
            region: Some(region.clone()),
            role: role.clone(),
            external_id: external_id.clone(),
        };
        Ok(found
            .values()
            .map(|(account, instance)| machine::target(instance, group, home(account)))
            .collect())
    }

    async fn inspect(&self, targets: &[Target]) -> Result<BTreeMap<TargetId, String>, Fault> {
        let mut doors: BTreeMap<Door, Vec<&Target>> = BTreeMap::new();
        for target in targets.iter().filter(|target| matches!(target.home, Home::Aws { .. })) {
            doors.entry(Door::to(&target.home)).or_default().push(target);
        }
        let mut changes = BTreeMap::new();
        for (door, planned) in doors {
            let connection = self.connection(door);
            let ids: Vec<String> = planned.iter().map(|target| target.id.to_string()).collect();
            let found = instance::by_id(&connection, &ids).await?;
            for target in planned {
                let instance = found.get(target.id.as_str()).map(|(_, instance)| instance);
                if let Some(cause) = machine::change(target, instance) {
                    changes.insert(target.id.clone(), cause);
                }
            }
        }
        Ok(changes)
    }
}

/// The instances that pass these filters; of these ids, where there are some.
async fn passing(
    connection: &Connection,
    filters: Vec<Filter>,
    ids: Option<Vec<String>>,
) -> Result<Found, Fault> {
    let Some(ids) = ids else { return instance::passing(connection, &filters).await };
    let mut found = Found::new();
    for chunk in ids.chunks(VALUES_PER_FILTER) {
        let mut filters = filters.clone();
        filters.push(filter("instance-id", chunk.to_vec()));
        found.extend(instance::passing(connection, &filters).await?);
    }
    // Some servers do not know this filter.
    found.retain(|id, _| ids.contains(id));
    Ok(found)
}

fn names(ids: &BTreeSet<TargetId>) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// The instances of a resource group.
async fn members(connection: &Connection, group: &str) -> Result<BTreeSet<TargetId>, Fault> {
    const CALL: Call = Call::new("resource-groups:ListGroupResources", Family::Other);
    let mut members = BTreeSet::new();
    let mut token = None;
    loop {
        let page = connection.read(CALL, |clients| {
            let call = clients.groups.list_group_resources().group(group).max_results(50);
            call.set_next_token(token.clone()).send()
        });
        let page = page.await?;
        for resource in page.resources.unwrap_or_default() {
            // arn:aws:ec2:eu-central-1:123456789012:instance/i-0123456789abcdef0
            let arn = resource.identifier.and_then(|identifier| identifier.resource_arn).unwrap_or_default();
            if let Some((_, id)) = arn.split_once(":instance/") {
                members.insert(TargetId::new(id));
            }
        }
        token = match next(token, page.next_token) {
            Some(token) => Some(token),
            None => return Ok(members),
        };
    }
}
