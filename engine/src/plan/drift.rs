//! Whether the fleet is still the planned one.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Plan, machines::members};
use crate::{
    ids::{GroupName, TargetId},
    target::Target,
};

impl Plan {
    /// How the fleet differs from the plan, one phrase a difference; empty: it does not. `resolved` is what the
    /// inventories answer now to `selection.queries`. What `--limit` left out of the plan does not count.
    pub fn drift(&self, resolved: &BTreeMap<GroupName, Vec<Target>>) -> Vec<String> {
        let members = members(&self.selection, resolved);
        let allowed = self.allowed(&members);
        let mut differences = Vec::new();
        for (group, planned) in &self.groups {
            let planned: BTreeSet<&TargetId> = planned.iter().collect();
            let now = members.get(group).into_iter().flatten();
            let now: BTreeSet<&TargetId> =
                now.filter(|id| allowed.as_ref().is_none_or(|list| list.contains(id.as_str()))).collect();
            differences.extend(planned.difference(&now).map(|id| format!("{id} is no longer in `{group}`")));
            differences.extend(now.difference(&planned).map(|id| format!("{id} is new in `{group}`")));
        }
        // In whichever group it is found, it must be the planned one.
        let mut found: BTreeMap<&TargetId, Vec<&Target>> = BTreeMap::new();
        for target in resolved.values().flatten() {
            found.entry(&target.id).or_default().push(target);
        }
        for (id, planned) in &self.targets {
            let mut told = Vec::new();
            for now in found.get(id).into_iter().flatten() {
                changes(planned, now, &mut told);
            }
            told.dedup();
            differences.extend(told);
        }
        differences
    }

    /// The machines within the limit, those of its groups and those that it names; absent: there is none.
    fn allowed<'m>(&'m self, members: &'m BTreeMap<GroupName, Vec<TargetId>>) -> Option<BTreeSet<&'m str>> {
        if self.selection.limit.is_empty() {
            return None;
        }
        let mut list = BTreeSet::new();
        for entry in &self.selection.limit {
            match members.get(entry.as_str()) {
                Some(group) => list.extend(group.iter().map(TargetId::as_str)),
                None => {
                    list.insert(entry.as_str());
                }
            }
        }
        Some(list)
    }
}

/// Everything that texts, waves and actions were made of.
fn changes(planned: &Target, now: &Target, differences: &mut Vec<String>) {
    let Target {
        id,
        name,
        group: _,
        private_ip,
        tags,
        vars,
        environment,
        owner,
        platform,
        image,
        root_volume,
        ec2,
        home,
    } = planned;
    let mut compare = |what: &str, was: Option<String>, is: Option<String>| {
        if was != is {
            let say = |value: Option<String>| value.unwrap_or_else(|| "nothing".into());
            differences.push(format!("the {what} of {id} was {} and is {}", say(was), say(is)));
        }
    };
    compare("name", Some(name.clone()), Some(now.name.clone()));
    compare("address", private_ip.clone(), now.private_ip.clone());
    compare("environment", environment.clone(), now.environment.clone());
    compare("owner", owner.clone(), now.owner.clone());
    compare("platform", Some(platform.clone()), Some(now.platform.clone()));
    compare("image", image.clone(), now.image.clone());
    compare("root volume", root_volume.clone(), now.root_volume.clone());
    // A plan that was made without them says nothing of them.
    if let Some(facts) = ec2 {
        compare("way to restore it", Some(json(facts)), now.ec2.as_ref().map(json));
    }
    compare("home", Some(json(home)), Some(json(&now.home)));
    for tag in tags.keys().chain(now.tags.keys()).collect::<BTreeSet<_>>() {
        compare(&format!("tag `{tag}`"), tags.get(tag).cloned(), now.tags.get(tag).cloned());
    }
    for var in vars.keys().chain(now.vars.keys()).collect::<BTreeSet<_>>() {
        compare(&format!("variable `{var}`"), vars.get(var).map(json), now.vars.get(var).map(json));
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
