//! The machines of every group: computed, limited, in wave order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Combination, Refusal, Selection, making::List, problems::Problems, selection::used};
use crate::{
    diagnostic::{Diagnostic, Place},
    document::model::{Runbook, StepTargets},
    ids::{GroupName, TargetId},
    target::{Home, Target, TargetQuery},
};

/// The machines of the groups that steps use.
#[derive(Debug)]
pub(super) struct Machines {
    /// In wave order, limited.
    groups: BTreeMap<GroupName, List>,
    /// Groups that only the limit emptied.
    emptied: BTreeSet<GroupName>,
    limited: bool,
    /// Every machine of `groups`.
    targets: BTreeMap<TargetId, Arc<Target>>,
}

impl Machines {
    /// Computes and limits the groups that steps name.
    ///
    /// # Errors
    /// A used group without machines, and a limit that means nothing.
    pub(super) fn new(
        runbook: &Runbook,
        selection: &Selection,
        resolved: BTreeMap<GroupName, Vec<Target>>,
    ) -> Result<Self, Refusal> {
        let members = members(selection, &resolved);
        let allowed = allowed(&selection.limit, &members)?;
        let used: BTreeSet<&str> = used(runbook)
            .into_iter()
            .filter_map(|targets| match &targets.value {
                StepTargets::Group(name) => Some(name.as_str()),
                _ => None,
            })
            .collect();
        namesakes(runbook, selection, &resolved)?;
        let mut known = BTreeMap::new();
        for target in resolved.into_values().flatten() {
            known.entry(target.id.clone()).or_insert(target);
        }
        let mut machines = Self {
            groups: BTreeMap::new(),
            emptied: BTreeSet::new(),
            limited: allowed.is_some(),
            targets: BTreeMap::new(),
        };
        // In the order of the document, so that a machine's group is the first that it is in.
        for group in
            runbook.targets.iter().map(|group| group.name.value.as_str()).filter(|name| used.contains(name))
        {
            let name = GroupName::from(group);
            let mut ids = members.get(group).cloned().unwrap_or_default();
            if ids.is_empty() {
                return Err(Refusal::NoTargets { group: name });
            }
            if let Some(allowed) = &allowed {
                ids.retain(|id| allowed.contains(id));
                if ids.is_empty() {
                    machines.emptied.insert(name.clone());
                }
            }
            for id in &ids {
                if let Some(target) = known.remove(id) {
                    let target = Target { group: name.clone(), ..target };
                    machines.targets.insert(id.clone(), Arc::new(target));
                }
            }
            let mut list = ids;
            list.sort_by(|a, b| machines.order(a).cmp(&machines.order(b)));
            machines.groups.insert(name, list.into());
        }
        Ok(machines)
    }

    /// By name, then id.
    fn order<'a>(&'a self, id: &'a TargetId) -> (&'a str, &'a str) {
        (self.targets.get(id).map_or("", |target| &target.name), id.as_str())
    }

    /// A group's machines, in wave order.
    pub(super) fn group(&self, name: &str) -> Option<&List> {
        self.groups.get(name)
    }

    /// Whether a group has machines, but none within the limit.
    pub(super) fn emptied_by_limit(&self, name: &str) -> bool {
        self.emptied.contains(name)
    }

    /// Whether there is a limit.
    pub(super) fn limited(&self) -> bool {
        self.limited
    }

    pub(super) fn target(&self, id: &TargetId) -> Option<&Target> {
        self.targets.get(id).map(Arc::as_ref)
    }

    /// Sorts and removes doubles.
    pub(super) fn in_wave_order(&self, ids: impl IntoIterator<Item = TargetId>) -> List {
        let mut list: Vec<_> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        list.sort_by(|a, b| self.order(a).cmp(&self.order(b)));
        list.into()
    }

    pub(super) fn used_groups(&self) -> BTreeMap<GroupName, Vec<TargetId>> {
        self.groups.iter().map(|(name, list)| (name.clone(), list.to_vec())).collect()
    }

    pub(super) fn all(&self) -> BTreeMap<TargetId, Arc<Target>> {
        self.targets.clone()
    }
}

/// A host is known by its name alone, so two groups that mean different machines by one name cannot share a plan: one of
/// them would get the other's. An EC2 instance's id is its own.
fn namesakes(
    runbook: &Runbook,
    selection: &Selection,
    resolved: &BTreeMap<GroupName, Vec<Target>>,
) -> Result<(), Refusal> {
    let mut problems = Problems::default();
    let mut seen: BTreeMap<&TargetId, (&GroupName, &Target)> = BTreeMap::new();
    // In the order of the document, so that the later group is the one to be mended.
    for group in &runbook.targets {
        let name = GroupName::from(group.name.value.as_str());
        let Some((name, targets)) = resolved.get_key_value(&name) else { continue };
        for target in targets {
            let (first, other) = *seen.entry(&target.id).or_insert((name, target));
            let host = |target: &Target| matches!(target.home, Home::Host { .. });
            if !(host(target) || host(other)) {
                continue;
            }
            let Some(difference) = difference(other, target) else { continue };
            let at = |group: &GroupName| match selection.queries.get(group) {
                Some(TargetQuery::HostInventory { file, .. }) => format!("`{group}` ({file})"),
                _ => format!("`{group}`"),
            };
            let id = &target.id;
            let message = format!("`{id}` of {} is not `{id}` of {}: {difference}", at(name), at(first));
            problems.add(Diagnostic::error("ambiguous-host", message, group.name.place).hint(
                "a plan knows a host by its name: give one of the two another name, or describe it alike",
            ));
        }
    }
    problems.refuse_if_any()
}

/// What tells two targets of one id apart, in a few words; the group through which each was found does not.
fn difference(one: &Target, other: &Target) -> Option<String> {
    if *one == (Target { group: one.group.clone(), ..other.clone() }) {
        return None;
    }
    Some(match (&one.home, &other.home) {
        (Home::Host { address: first, .. }, Home::Host { address, .. }) if first != address => {
            format!("their addresses are {address} and {first}")
        }
        (Home::Host { connection: first, .. }, Home::Host { connection, .. }) if first != connection => {
            "they are reached in different ways".to_owned()
        }
        (Home::Host { .. }, Home::Host { .. }) => {
            "their variables, environment, owner or platform differ".to_owned()
        }
        _ => "one of them is an EC2 instance".to_owned(),
    })
}

/// The members of every group of a selection, combinations computed, without the limit.
pub(super) fn members(
    selection: &Selection,
    resolved: &BTreeMap<GroupName, Vec<Target>>,
) -> BTreeMap<GroupName, Vec<TargetId>> {
    let mut members = BTreeMap::new();
    for name in selection.queries.keys().chain(selection.combined.keys()) {
        compute(name, selection, resolved, &mut members, &mut BTreeSet::new());
    }
    members
}

fn compute(
    name: &GroupName,
    selection: &Selection,
    resolved: &BTreeMap<GroupName, Vec<Target>>,
    members: &mut BTreeMap<GroupName, Vec<TargetId>>,
    above: &mut BTreeSet<GroupName>,
) {
    // A group made of itself adds nothing to itself.
    if members.contains_key(name) || !above.insert(name.clone()) {
        return;
    }
    let answer = || {
        let targets = resolved.get(name).map_or(&[][..], Vec::as_slice);
        targets.iter().map(|target| target.id.clone()).collect::<BTreeSet<_>>()
    };
    let list = match selection.combined.get(name) {
        None => answer(),
        Some(Combination { all_of, minus }) => {
            let mut part = |group: &GroupName| -> BTreeSet<TargetId> {
                compute(group, selection, resolved, members, above);
                members.get(group).into_iter().flatten().cloned().collect()
            };
            let mut list = selection.queries.contains_key(name).then(answer);
            for group in all_of {
                let part = part(group);
                list = Some(match list {
                    None => part,
                    Some(list) => list.intersection(&part).cloned().collect(),
                });
            }
            let mut list = list.unwrap_or_default();
            for group in minus {
                let part = part(group);
                list.retain(|id| !part.contains(id));
            }
            list
        }
    };
    above.remove(name);
    members.insert(name.clone(), list.into_iter().collect());
}

/// The machines that `--limit` allows.
pub(super) fn allowed(
    limit: &[String],
    members: &BTreeMap<GroupName, Vec<TargetId>>,
) -> Result<Option<BTreeSet<TargetId>>, Refusal> {
    if limit.is_empty() {
        return Ok(None);
    }
    let known: BTreeSet<&TargetId> = members.values().flatten().collect();
    let mut allowed = BTreeSet::new();
    let mut problems = Vec::new();
    for entry in limit {
        if let Some(group) = members.get(entry.as_str()) {
            allowed.extend(group.iter().cloned());
        } else if let Some(id) = known.get(&TargetId::from(entry.as_str())) {
            allowed.insert((*id).clone());
        } else {
            let message = format!("the limit `{entry}` is neither a used target group nor a machine of one");
            let groups: Vec<&str> = members.keys().map(GroupName::as_str).collect();
            let problem = Diagnostic::error("unknown-limit", message, Place::whole(0));
            problems.push(problem.hint(format!("the groups are {}", groups.join(", "))));
        }
    }
    if problems.is_empty() { Ok(Some(allowed)) } else { Err(Refusal::Invalid(problems)) }
}
