//! Which machines there are in the simulated world.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{
    ids::{GroupName, TargetId},
    inventory::Register,
    target::{Ec2Facts, Home, HostEntry, Target, TargetQuery},
};

use super::{
    door::Door, fleet::MachineKind, hardware::PublicIp, instance::image, place::Place, roster::Roster,
    state::State,
};
use crate::ports::{
    fault::{Fault, FaultKind},
    inventory::Inventory,
};

#[async_trait]
impl Inventory for Door {
    async fn resolve(&self, group: &GroupName, query: &TargetQuery) -> Result<Vec<Target>, Fault> {
        self.world
            .read(self.label(), "ec2:DescribeInstances", &[], |state, now| {
                let roster = &state.roster;
                let there = |machine: &usize| !state.is_gone(*machine, now, false);
                Ok(match query {
                    TargetQuery::Aws { tags, ids, resource_group, region, role, external_id } => {
                        let account = role.as_deref().and_then(account_of).unwrap_or(roster.first_account());
                        let here = Place { account: Some(account.to_owned()), region: region.clone() };
                        let home = Home::Aws {
                            account: Some(account.to_owned()),
                            region: region.clone(),
                            role: role.clone(),
                            external_id: external_id.clone(),
                        };
                        (0..roster.machines.len())
                            .filter(|machine| roster.group(*machine).kind == MachineKind::Ec2)
                            .filter(|machine| here.sees(roster.place(*machine)))
                            .filter(|machine| ids.is_empty() || ids.contains(&roster.machines[*machine].id))
                            .filter(|machine| has_tags(roster, *machine, tags))
                            .filter(|machine| {
                                let name = &roster.group(*machine).name;
                                resource_group.as_ref().is_none_or(|wanted| wanted == name)
                            })
                            .filter(there)
                            .map(|machine| instance(state, machine, now, group, home.clone()))
                            .collect()
                    }
                    TargetQuery::Hosts { hosts } => hosts
                        .iter()
                        .map(|(name, entry)| entry.clone().into_target(name, "linux", group))
                        .collect(),
                    TargetQuery::HostInventory { group: pattern, .. } => {
                        let hosts = (0..roster.machines.len())
                            .filter(|machine| roster.group(*machine).kind == MachineKind::Host)
                            .filter(there);
                        return chosen(roster, hosts, pattern.as_deref(), group);
                    }
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
                    let image = image(state, machine, now);
                    if let Some(planned) = target.image.as_deref().filter(|planned| *planned != image) {
                        let cause = format!("its image is {image}, the planned one was {planned}");
                        refused.insert(target.id.clone(), cause);
                        continue;
                    }
                    let root = state.root(machine).map_or("none", String::as_str);
                    if let Some(planned) = target.root_volume.as_deref().filter(|planned| *planned != root) {
                        let cause = format!("its root volume is {root}, the planned one was {planned}");
                        refused.insert(target.id.clone(), cause);
                    }
                }
                Ok(refused)
            })
            .await
    }
}

/// The hosts that a pattern means: whatever inventory a runbook names, the fleet's groups of hosts are its groups.
fn chosen(
    roster: &Roster,
    hosts: impl Iterator<Item = usize>,
    pattern: Option<&str>,
    group: &GroupName,
) -> Result<Vec<Target>, Fault> {
    let mut register = Register::default();
    let mut platforms = BTreeMap::new();
    for machine in hosts {
        let (card, of) = (&roster.machines[machine], roster.group(machine));
        let own = of.host(&card.name).cloned().unwrap_or_default();
        let entry = HostEntry {
            address: card.private_ip.clone(),
            vars: of.vars.clone().into_iter().chain(own.vars).collect(),
            connection: own.connection,
            environment: own.environment.or_else(|| of.environment.clone()),
            owner: own.owner.or_else(|| of.owner.clone()),
        };
        platforms.insert(card.name.as_str(), of.platform.as_str());
        for group in of.groups() {
            register.groups.entry(group.to_owned()).or_default().insert(card.name.clone());
        }
        register.hosts.insert(card.name.clone(), entry);
    }
    let chosen = register.select(pattern).map_err(|error| Fault {
        call: "hosts:inventory",
        kind: FaultKind::NotFound,
        code: None,
        message: format!("the simulated fleet: {error}"),
    })?;
    let target = |(name, entry): (&str, &HostEntry)| {
        let platform = platforms.get(name).copied().unwrap_or("linux");
        entry.clone().into_target(name, platform, group)
    };
    Ok(chosen.into_iter().map(target).collect())
}

fn has_tags(roster: &Roster, machine: usize, tags: &BTreeMap<String, Vec<String>>) -> bool {
    let has = &roster.machines[machine].tags;
    tags.iter().all(|(key, values)| has.get(key).is_some_and(|value| values.contains(value)))
}

/// The account in a role's ARN.
fn account_of(role: &str) -> Option<&str> {
    role.split(':').nth(4).filter(|account| !account.is_empty())
}

fn instance(state: &State, machine: usize, now: Timestamp, group: &GroupName, home: Home) -> Target {
    let (card, of) = (&state.roster.machines[machine], state.roster.group(machine));
    let holder = &state.machines[machine];
    Target {
        id: card.id.clone(),
        name: card.tags.get("Name").unwrap_or(&card.name).clone(),
        group: group.clone(),
        private_ip: Some(card.private_ip.clone()),
        tags: card.tags.clone(),
        vars: BTreeMap::new(),
        environment: None,
        owner: None,
        platform: of.platform.as_str().into(),
        image: Some(image(state, machine, now).to_owned()),
        root_volume: state.root(machine).cloned(),
        ec2: Some(Ec2Facts {
            root_device_type: of.root_device.as_str().to_owned(),
            volumes: holder.volumes.len() as u32,
            zone: state.zone(machine),
            spot: of.spot,
            auto_scaling_group: of.auto_scaling_group.clone(),
            public_ip_changes: of.public_ip == Some(PublicIp::Auto),
            hibernates: of.hibernates,
        }),
        home,
    }
}
