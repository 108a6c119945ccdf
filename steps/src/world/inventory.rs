//! Which machines there are in the simulated world.

use std::collections::BTreeMap;

use async_trait::async_trait;
use runbook_engine::{
    ids::{GroupName, TargetId},
    target::{Home, HostEntry, Target, TargetQuery},
};

use super::{door::Door, ec2::volume_id, fault_rule::RuleKind, fleet::MachineKind, roster::Roster};
use crate::ports::{fault::Fault, inventory::Inventory};

/// What every simulated EC2 machine was made from.
const IMAGE: &str = "ami-00000000000000001";

#[async_trait]
impl Inventory for Door {
    async fn resolve(&self, group: &GroupName, query: &TargetQuery) -> Result<Vec<Target>, Fault> {
        self.world
            .read(self.label(), "ec2:DescribeInstances", &[], |state, now| {
                let roster = &state.roster;
                let there = |machine: &usize| !state.is_gone(*machine, now, false);
                Ok(match query {
                    TargetQuery::Aws { tags, ids, resource_group, region, role, .. } => (0..roster
                        .machines
                        .len())
                        .filter(|machine| roster.group(*machine).kind == MachineKind::Ec2)
                        .filter(|machine| ids.is_empty() || ids.contains(&roster.machines[*machine].id))
                        .filter(|machine| has_tags(roster, *machine, tags))
                        .filter(|machine| {
                            let name = &roster.group(*machine).name;
                            resource_group.as_ref().is_none_or(|wanted| wanted == name)
                        })
                        .filter(|machine| {
                            let region = region.as_ref();
                            region.is_none()
                                || roster.group(*machine).region.as_ref().is_none_or(|r| Some(r) == region)
                        })
                        .filter(there)
                        .map(|machine| instance(roster, machine, group, region.clone(), role.clone()))
                        .collect(),
                    TargetQuery::Hosts { hosts } => {
                        hosts.iter().map(|(name, entry)| host(name, entry, "linux", group)).collect()
                    }
                    TargetQuery::HostInventory { group: wanted, .. } => (0..roster.machines.len())
                        .filter(|machine| roster.group(*machine).kind == MachineKind::Host)
                        .filter(|machine| {
                            wanted.as_ref().is_none_or(|wanted| *wanted == roster.group(*machine).name)
                        })
                        .filter(there)
                        .map(|machine| {
                            let (card, of) = (&roster.machines[machine], roster.group(machine));
                            let entry = HostEntry { address: card.private_ip.clone(), vars: of.vars.clone() };
                            host(&card.name, &entry, of.platform.as_str(), group)
                        })
                        .collect(),
                })
            })
            .await
    }

    async fn inspect(&self, targets: &[Target]) -> Result<BTreeMap<TargetId, String>, Fault> {
        let ids: Vec<_> = targets.iter().map(|target| target.id.clone()).collect();
        self.world
            .read(self.label(), "ec2:DescribeInstances", &ids, |state, now| {
                let mut refused = BTreeMap::new();
                for target in targets.iter().filter(|target| matches!(target.home, Home::Aws { .. })) {
                    let machine =
                        state.roster.by_id(&target.id).filter(|machine| !state.is_gone(*machine, now, true));
                    let Some(machine) = machine else {
                        refused.insert(target.id.clone(), "the machine is gone".to_owned());
                        continue;
                    };
                    let replaced = state.roster.rules_for(machine, RuleKind::Replaced, None).next().is_some();
                    let image = if replaced { "ami-00000000000000002" } else { IMAGE };
                    if let Some(planned) = target.image.as_deref().filter(|planned| *planned != image) {
                        let cause = format!("its image is {image}, the planned one was {planned}");
                        refused.insert(target.id.clone(), cause);
                    }
                }
                Ok(refused)
            })
            .await
    }
}

fn has_tags(roster: &Roster, machine: usize, tags: &BTreeMap<String, Vec<String>>) -> bool {
    let has = &roster.machines[machine].tags;
    tags.iter().all(|(key, values)| has.get(key).is_some_and(|value| values.contains(value)))
}

fn instance(
    roster: &Roster,
    machine: usize,
    group: &GroupName,
    region: Option<String>,
    role: Option<String>,
) -> Target {
    let card = &roster.machines[machine];
    Target {
        id: card.id.clone(),
        name: card.tags.get("Name").unwrap_or(&card.name).clone(),
        group: group.clone(),
        private_ip: Some(card.private_ip.clone()),
        tags: card.tags.clone(),
        vars: BTreeMap::new(),
        platform: roster.group(machine).platform.as_str().into(),
        image: Some(IMAGE.into()),
        root_volume: Some(volume_id(&card.id, 0)),
        ec2: None,
        home: Home::Aws { account: Some("000000000000".into()), region, role, external_id: None },
    }
}

fn host(name: &str, entry: &HostEntry, platform: &str, group: &GroupName) -> Target {
    Target {
        id: TargetId::new(name),
        name: name.to_owned(),
        group: group.clone(),
        private_ip: Some(entry.address.clone()),
        tags: BTreeMap::new(),
        vars: entry.vars.clone(),
        platform: platform.to_owned(),
        image: None,
        root_volume: None,
        ec2: None,
        home: Home::Host { address: entry.address.clone() },
    }
}
