//! Which machines there are: EC2 instances by tags, by ids, by resource group.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use aws_sdk_ec2::types::{Filter, Instance};
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
    connection::{Clients, Door},
    fault::{fault, invalid},
    machine,
    run_command::next,
};

const CALL: &str = "ec2:DescribeInstances";

/// A filter takes so many values.
const VALUES_PER_FILTER: usize = 200;

/// Instances with their account, by id.
type Found = BTreeMap<TargetId, (String, Instance)>;

#[async_trait]
impl Inventory for Aws {
    async fn resolve(&self, group: &GroupName, query: &TargetQuery) -> Result<Vec<Target>, Fault> {
        let TargetQuery::Aws { tags, ids, resource_group, region, role, external_id } = query else {
            return Err(invalid(CALL, format!("group `{group}` does not ask for EC2 instances")));
        };
        let connection = self.connection(Door::new(region.as_deref(), role.as_deref(), None));
        let clients = connection.clients(CALL).await?;
        let mut wanted: Option<BTreeSet<TargetId>> = (!ids.is_empty()).then(|| ids.iter().cloned().collect());
        if let Some(name) = resource_group {
            let members = members(clients, name).await?;
            wanted = Some(match wanted {
                Some(ids) => ids.intersection(&members).cloned().collect(),
                None => members,
            });
        }
        let mut filters: Vec<Filter> =
            tags.iter().map(|(key, values)| filter(&format!("tag:{key}"), values.clone())).collect();
        // Terminated ones stay visible for an hour.
        let alive = ["pending", "running", "stopping", "stopped"].map(str::to_owned);
        filters.push(filter("instance-state-name", alive.to_vec()));
        let found = match &wanted {
            Some(ids) => by_id(clients, ids, &filters).await?,
            None => described(clients, &filters).await?,
        };
        if let Some(missing) = ids.iter().find(|id| tags.is_empty() && !found.contains_key(*id)) {
            return Err(Fault {
                call: CALL,
                kind: FaultKind::NotFound,
                code: None,
                message: format!("there is no instance {missing} in {}", clients.region),
            });
        }
        let home = |account: &String| Home::Aws {
            account: Some(account.clone()).filter(|account| !account.is_empty()),
            region: Some(clients.region.clone()),
            role: role.clone(),
            external_id: external_id.clone(),
        };
        Ok(found
            .values()
            .filter(|(_, instance)| !machine::is_gone(instance))
            .filter_map(|(account, instance)| machine::target(instance, group, home(account)))
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
            let clients = connection.clients(CALL).await?;
            let ids = planned.iter().map(|target| target.id.clone()).collect();
            let found = by_id(clients, &ids, &[]).await?;
            for target in planned {
                let instance = found.get(&target.id).map(|(_, instance)| instance);
                if let Some(cause) = machine::change(target, instance) {
                    changes.insert(target.id.clone(), cause);
                }
            }
        }
        Ok(changes)
    }
}

/// Ids go into a filter and not into the call's own list, where one that is gone fails the whole call.
async fn by_id(clients: &Clients, ids: &BTreeSet<TargetId>, filters: &[Filter]) -> Result<Found, Fault> {
    let mut found = Found::new();
    let all: Vec<String> = ids.iter().map(ToString::to_string).collect();
    for chunk in all.chunks(VALUES_PER_FILTER) {
        let mut filters = filters.to_vec();
        filters.push(filter("instance-id", chunk.to_vec()));
        found.extend(described(clients, &filters).await?);
    }
    // Some servers do not know this filter.
    found.retain(|id, _| ids.contains(id));
    Ok(found)
}

/// All pages. A filtered page may be empty and still name a next one; machines that move between pages come once.
async fn described(clients: &Clients, filters: &[Filter]) -> Result<Found, Fault> {
    let mut found = Found::new();
    let mut token = None;
    loop {
        let page = clients
            .ec2
            .describe_instances()
            .set_filters(Some(filters.to_vec()))
            .max_results(1000)
            .set_next_token(token.clone())
            .send()
            .await
            .map_err(|error| fault(CALL, &error))?;
        for reservation in page.reservations.unwrap_or_default() {
            let account = reservation.owner_id.unwrap_or_default();
            for instance in reservation.instances.unwrap_or_default() {
                let Some(id) = instance.instance_id().map(TargetId::new) else { continue };
                found.insert(id, (account.clone(), instance));
            }
        }
        token = match next(token, page.next_token) {
            Some(token) => Some(token),
            None => return Ok(found),
        };
    }
}

/// The instances of a resource group.
async fn members(clients: &Clients, group: &str) -> Result<BTreeSet<TargetId>, Fault> {
    const CALL: &str = "resource-groups:ListGroupResources";
    let mut members = BTreeSet::new();
    let mut token = None;
    loop {
        let call = clients.groups.list_group_resources().group(group).max_results(50);
        let page = call.set_next_token(token.clone()).send().await.map_err(|error| fault(CALL, &error))?;
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

fn filter(name: &str, values: Vec<String>) -> Filter {
    Filter::builder().name(name).set_values(Some(values)).build()
}
