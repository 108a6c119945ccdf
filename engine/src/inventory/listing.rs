//! What a source says.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::connection::Connection;

/// What one source says: a file, a program, a server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// For all hosts.
    pub all: Traits,
    /// Groups by name. `all` is none of them: it is every host.
    pub groups: BTreeMap<String, ListedGroup>,
    /// Hosts by name.
    pub hosts: BTreeMap<String, ListedHost>,
}

/// A group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListedGroup {
    /// The hosts that it names itself.
    pub hosts: BTreeSet<String>,
    /// Groups whose hosts are its hosts too.
    pub children: BTreeSet<String>,
    /// For its hosts.
    pub traits: Traits,
}

/// A host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListedHost {
    /// Its address; absent: its name.
    pub address: Option<String>,
    /// Why it cannot be reached by what we have: it is no host for us, and choosing it is an error.
    pub unfit: Option<String>,
    /// Its own.
    pub traits: Traits,
}

/// What can be said of a host, of a group, and of all hosts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traits {
    /// Variables.
    pub vars: BTreeMap<String, Value>,
    /// How it is reached.
    pub connection: Connection,
    /// What it serves.
    pub environment: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
}

impl Traits {
    /// These, and where they say nothing, those from farther away. A variable is taken whole from where it is nearest.
    #[must_use]
    pub fn or(self, farther: &Self) -> Self {
        let mut vars = farther.vars.clone();
        vars.extend(self.vars);
        Self {
            vars,
            connection: self.connection.or(&farther.connection),
            environment: self.environment.or_else(|| farther.environment.clone()),
            owner: self.owner.or_else(|| farther.owner.clone()),
        }
    }
}

impl Listing {
    /// This listing laid over what a source says: of the same host or group, this one's word holds, and a group has the
    /// hosts and children of both.
    #[must_use]
    pub fn over(self, source: Self) -> Self {
        let Self { all, mut groups, mut hosts } = source;
        for (name, group) in self.groups {
            let below = groups.remove(&name).unwrap_or_default();
            let ListedGroup { hosts: mut members, mut children, traits } = below;
            members.extend(group.hosts);
            children.extend(group.children);
            groups.insert(name, ListedGroup { hosts: members, children, traits: group.traits.or(&traits) });
        }
        for (name, host) in self.hosts {
            let below = hosts.remove(&name).unwrap_or_default();
            // Who writes down an address says that it is reached there.
            let unfit = if host.address.is_some() { host.unfit } else { host.unfit.or(below.unfit) };
            let address = host.address.or(below.address);
            hosts.insert(name, ListedHost { address, unfit, traits: host.traits.or(&below.traits) });
        }
        Self { all: self.all.or(&all), groups, hosts }
    }
}
