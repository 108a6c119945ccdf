//! What holds for each host in the end.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::{algo::toposort, graph::DiGraph};
use thiserror::Error;

use super::{
    listing::{Listing, Traits},
    secrecy,
};
use crate::{
    document::nearest,
    target::{HostEntry, host_name_defect},
};

/// Every host with all that holds for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Register {
    /// Hosts by name.
    pub hosts: BTreeMap<String, HostEntry>,
    /// The hosts of each group, those of its children too.
    pub groups: BTreeMap<String, BTreeSet<String>>,
    /// Hosts that cannot be reached by what we have, and why: choosing one is an error.
    pub unfit: BTreeMap<String, String>,
    /// Variables that may hold a secret and were left out, with the number of hosts that have them.
    pub withheld: BTreeMap<String, usize>,
}

/// What a defect is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A group.
    Group(String),
    /// A host.
    Host(String),
}

/// Why a listing makes no register.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ListingDefect {
    /// What it is in.
    pub subject: Subject,
    /// One lower-case sentence.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl ListingDefect {
    fn group(name: &str, message: String) -> Self {
        Self { subject: Subject::Group(name.to_owned()), message, hint: None }
    }

    fn host(name: &str, message: String) -> Self {
        Self { subject: Subject::Host(name.to_owned()), message, hint: None }
    }

    fn or_nearest<'a>(mut self, word: &str, known: impl IntoIterator<Item = &'a String>) -> Self {
        let near = nearest(word, known.into_iter().map(String::as_str));
        self.hint = near.map(|near| format!("did you mean `{near}`?"));
        self
    }
}

impl Register {
    /// What a listing comes to. As in Ansible, a nearer group's word goes before a farther one's: a child before its
    /// parents, and of groups that are equally far from the outermost one the later by name; a host's own word goes
    /// before all groups'.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn of(listing: &Listing) -> Result<Self, Vec<ListingDefect>> {
        let mut defects = unknown(listing);
        let order = match outermost_first(listing) {
            Ok(order) => order,
            Err(name) => {
                let message = format!("the group `{name}` is among its own children");
                defects.push(ListingDefect::group(&name, message));
                return Err(defects);
            }
        };
        let mut register = Self::default();
        // Children stand behind their parents: from the end on, every child's hosts are known.
        for name in order.iter().rev() {
            let group = &listing.groups[*name];
            let mut hosts = group.hosts.clone();
            for child in &group.children {
                hosts.extend(register.groups.get(child).into_iter().flatten().cloned());
            }
            register.groups.insert((*name).clone(), hosts);
        }
        let mut traits: BTreeMap<&str, Traits> =
            listing.hosts.keys().map(|name| (name.as_str(), listing.all.clone())).collect();
        for name in by_depth(listing, &order) {
            for host in &register.groups[name] {
                if let Some(found) = traits.get_mut(host.as_str()) {
                    *found = listing.groups[name].traits.clone().or(found);
                }
            }
        }
        for (name, host) in &listing.hosts {
            let found = host.traits.clone().or(&traits.remove(name.as_str()).unwrap_or_default());
            let (vars, withheld) = secrecy::without_secrets(found.vars);
            for var in withheld {
                *register.withheld.entry(var).or_default() += 1;
            }
            let entry = HostEntry {
                address: host.address.clone().unwrap_or_else(|| name.clone()),
                vars,
                connection: found.connection.settled(),
                environment: found.environment,
                owner: found.owner,
            };
            if let Some(defect) = host_name_defect(name) {
                defects.push(ListingDefect::host(name, defect));
            } else if let Some(defect) = entry.defect() {
                let message = format!("the host `{name}` cannot be reached: {defect}");
                defects.push(ListingDefect::host(name, message));
            }
            if let Some(why) = &host.unfit {
                register.unfit.insert(name.clone(), why.clone());
            }
            register.hosts.insert(name.clone(), entry);
        }
        if defects.is_empty() { Ok(register) } else { Err(defects) }
    }

    /// The groups that a host is in.
    pub fn groups_of<'r>(&'r self, host: &'r str) -> impl Iterator<Item = &'r str> {
        self.groups.iter().filter(move |(_, hosts)| hosts.contains(host)).map(|(name, _)| name.as_str())
    }
}

/// Children that are no groups, and names in groups that are no hosts.
fn unknown(listing: &Listing) -> Vec<ListingDefect> {
    let mut defects = Vec::new();
    for (name, group) in &listing.groups {
        for child in group.children.iter().filter(|child| !listing.groups.contains_key(*child)) {
            let message = format!("the group `{name}` has the child `{child}`, which is no group");
            defects.push(ListingDefect::group(name, message).or_nearest(child, listing.groups.keys()));
        }
        for host in group.hosts.iter().filter(|host| !listing.hosts.contains_key(*host)) {
            let message = format!("the group `{name}` names `{host}`, which is no host");
            defects.push(ListingDefect::group(name, message).or_nearest(host, listing.hosts.keys()));
        }
    }
    defects
}

/// The groups, parents before their children; or one that is in a circle.
fn outermost_first(listing: &Listing) -> Result<Vec<&String>, String> {
    let mut graph = DiGraph::<&String, ()>::new();
    let nodes: BTreeMap<&String, _> =
        listing.groups.keys().map(|name| (name, graph.add_node(name))).collect();
    for (name, group) in &listing.groups {
        for child in group.children.iter().filter_map(|child| nodes.get(child)) {
            graph.add_edge(nodes[name], *child, ());
        }
    }
    match toposort(&graph, None) {
        Ok(order) => Ok(order.into_iter().map(|node| graph[node]).collect()),
        Err(cycle) => Err(graph[cycle.node_id()].clone()),
    }
}

/// The groups by how many lie around them, then by name.
fn by_depth<'l>(listing: &'l Listing, order: &[&'l String]) -> Vec<&'l String> {
    let mut depth: BTreeMap<&String, usize> = BTreeMap::new();
    for name in order {
        let own = depth.get(*name).copied().unwrap_or(0);
        depth.insert(name, own);
        for child in listing.groups[*name].children.iter().filter(|child| listing.groups.contains_key(*child))
        {
            let known = depth.entry(child).or_default();
            *known = (*known).max(own + 1);
        }
    }
    let mut names: Vec<&String> = listing.groups.keys().collect();
    names.sort_by_key(|name| (depth.get(name).copied().unwrap_or(0), *name));
    names
}
