//! Choosing hosts, in Ansible's notation as far as it is sane.

use std::collections::BTreeSet;

use thiserror::Error;

use super::{glob, register::Register};
use crate::{document::nearest, target::HostEntry};

/// Which hosts: `web`, `web:db` (both), `web:&production` (those that are also in `production`), `web:!canary` (without
/// those), `web*` (every group and host whose name begins so), `all`. `,` may stand for `:`. The order does not matter,
/// as it does not in Ansible: first what is added, then what must be shared, then what is taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    kind: Kind,
    /// A name, or a glob.
    names: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Added,
    Shared,
    TakenOut,
}

/// Why a pattern chooses nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// A part is empty.
    #[error("a part of the pattern `{pattern}` is empty")]
    Empty {
        /// The pattern.
        pattern: String,
    },
    /// Something that Ansible has and this has not.
    #[error("`{part}` is {what}, which patterns do not have here: write names, `*` and `?`")]
    Foreign {
        /// The part.
        part: String,
        /// What it is.
        what: &'static str,
    },
    /// There is nothing of this name.
    #[error("`{part}` is no group and no host of the inventory{}", near.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    Unknown {
        /// The part, without its sign.
        part: String,
        /// The name that is most like it.
        near: Option<String>,
    },
    /// It chooses a host that cannot be reached.
    #[error("`{host}` cannot be reached: {why}; leave it out: `{pattern}:!{host}`")]
    Unfit {
        /// The pattern.
        pattern: String,
        /// The host.
        host: String,
        /// Why.
        why: String,
    },
}

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut parts = Vec::new();
        for part in text.split([':', ',']) {
            let part = part.trim();
            let (kind, names) = match part.split_at_checked(1) {
                Some(("&", names)) => (Kind::Shared, names),
                Some(("!", names)) => (Kind::TakenOut, names),
                _ => (Kind::Added, part),
            };
            let foreign = |what| Err(PatternError::Foreign { part: part.to_owned(), what });
            match names.chars().next() {
                None => return Err(PatternError::Empty { pattern: text.to_owned() }),
                Some('~') => return foreign("a regular expression"),
                Some('@') => return foreign("a file of hosts"),
                _ if names.contains('[') => return foreign("a range of hosts"),
                _ if names.chars().any(char::is_whitespace) => return foreign("more than one word"),
                Some(_) => parts.push(Part { kind, names: names.to_owned() }),
            }
        }
        // A pattern that only takes out or shares does so with all hosts.
        if parts.iter().all(|part| part.kind != Kind::Added) {
            parts.push(Part { kind: Kind::Added, names: "all".to_owned() });
        }
        parts.sort_by_key(|part| part.kind);
        Ok(Self { parts })
    }

    /// The names of the hosts that it chooses.
    ///
    /// # Errors
    /// A part of it names no group and no host.
    pub fn choose<'r>(&self, register: &'r Register) -> Result<BTreeSet<&'r str>, PatternError> {
        let mut chosen = BTreeSet::new();
        for part in &self.parts {
            let found = part.hosts(register)?;
            match part.kind {
                Kind::Added => chosen.extend(found),
                Kind::Shared => chosen.retain(|host| found.contains(host)),
                Kind::TakenOut => chosen.retain(|host| !found.contains(host)),
            }
        }
        Ok(chosen)
    }
}

impl Part {
    fn hosts<'r>(&self, register: &'r Register) -> Result<BTreeSet<&'r str>, PatternError> {
        let names = self.names.as_str();
        if names == "all" || names == "*" {
            return Ok(register.hosts.keys().map(String::as_str).collect());
        }
        if let Some(hosts) = register.groups.get(names) {
            return Ok(hosts.iter().map(String::as_str).collect());
        }
        if let Some((host, _)) = register.hosts.get_key_value(names) {
            return Ok([host.as_str()].into());
        }
        let is_glob = names.contains(['*', '?']);
        let meant = |name: &&String| is_glob && glob::matches(names, name);
        let groups: Vec<_> = register.groups.keys().filter(meant).collect();
        let hosts: Vec<_> = register.hosts.keys().filter(meant).collect();
        if groups.is_empty() && hosts.is_empty() {
            let known = register.groups.keys().chain(register.hosts.keys()).map(String::as_str);
            let near = nearest(names, known.chain(["all"])).map(str::to_owned);
            return Err(PatternError::Unknown { part: names.to_owned(), near });
        }
        let of_groups = groups.iter().flat_map(|group| &register.groups[*group]);
        Ok(of_groups.chain(hosts).map(String::as_str).collect())
    }
}

impl Register {
    /// The hosts that a pattern chooses; without one, all of them.
    ///
    /// # Errors
    /// [`PatternError`].
    pub fn select(&self, pattern: Option<&str>) -> Result<Vec<(&str, &HostEntry)>, PatternError> {
        let pattern = pattern.unwrap_or("all");
        let chosen = Pattern::parse(pattern)?.choose(self)?;
        if let Some((host, why)) = self.unfit.iter().find(|(host, _)| chosen.contains(host.as_str())) {
            let (pattern, host, why) = (pattern.to_owned(), host.clone(), why.clone());
            return Err(PatternError::Unfit { pattern, host, why });
        }
        Ok(chosen.into_iter().filter_map(|name| Some((name, self.hosts.get(name)?))).collect())
    }
}
