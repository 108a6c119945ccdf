//! Which packages a host has, in which versions.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ports::linux::{Change, Package};

/// Versions by `name:arch`. Of what may be there in several versions (kernels of rpm), all of them, with spaces between.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Manifest(BTreeMap<String, String>);

fn key(name: &str, arch: &str) -> String {
    format!("{name}:{arch}")
}

impl Manifest {
    /// Of what is installed.
    pub fn of(packages: &[Package]) -> Self {
        let mut versions: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for package in packages {
            versions.entry(key(&package.name, &package.arch)).or_default().insert(&package.version);
        }
        let joined = |set: BTreeSet<&str>| set.into_iter().collect::<Vec<_>>().join(" ");
        Self(versions.into_iter().map(|(key, set)| (key, joined(set))).collect())
    }

    /// How many packages.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this version is installed.
    pub fn has(&self, name: &str, arch: &str, version: &str) -> bool {
        self.versions(&key(name, arch)).contains(version)
    }

    /// What changed until the other one.
    pub fn changes_to(&self, then: &Self) -> Vec<Change> {
        let keys: BTreeSet<&String> = self.0.keys().chain(then.0.keys()).collect();
        let mut changes = Vec::new();
        for key in keys.into_iter().filter(|key| self.0.get(*key) != then.0.get(*key)) {
            let (before, after) = (self.versions(key), then.versions(key));
            let mut gone = before.difference(&after);
            let mut came = after.difference(&before);
            // Of what may be there in several versions none becomes another.
            let beside = before.len() > 1 || after.len() > 1;
            loop {
                let from = gone.next();
                let to = if beside && from.is_some() { None } else { came.next() };
                if from.is_none() && to.is_none() {
                    break;
                }
                let (name, arch) = key.rsplit_once(':').unwrap_or((key, ""));
                changes.push(Change {
                    name: name.to_owned(),
                    arch: arch.to_owned(),
                    from: from.map(|version| (*version).to_owned()),
                    to: to.map(|version| (*version).to_owned()),
                });
            }
        }
        changes
    }

    /// A digest of all packages but those of these changes: the same as long as nothing else changes.
    pub fn rest(&self, changes: &[Change]) -> String {
        let left_out: BTreeSet<String> =
            changes.iter().map(|change| key(&change.name, &change.arch)).collect();
        let rest = self.0.iter().filter(|(key, _)| !left_out.contains(*key));
        let text: String = rest.map(|(key, versions)| format!("{key} {versions}\n")).collect();
        Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).to_string()
    }

    fn versions(&self, key: &str) -> BTreeSet<&str> {
        self.0.get(key).map(|versions| versions.split(' ').collect()).unwrap_or_default()
    }
}

/// A change in words: `nginx 1.22 → 1.23`.
pub(super) fn words(change: &Change) -> String {
    match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!("{} {from} → {to}", change.name),
        (None, Some(to)) => format!("{} {to} (new)", change.name),
        (Some(from), None) => format!("{} {from} (removed)", change.name),
        (None, None) => change.name.clone(),
    }
}

/// The first few of many, for a cause.
pub(super) fn few(words: impl Iterator<Item = String>) -> String {
    const FEW: usize = 5;
    let words: Vec<_> = words.collect();
    let more = words.len().saturating_sub(FEW);
    let shown = words[..words.len().min(FEW)].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::{Change, Manifest, Package};

    fn package(name: &str, version: &str) -> Package {
        Package { name: name.into(), arch: "x86_64".into(), version: version.into() }
    }

    fn change(name: &str, from: Option<&str>, to: Option<&str>) -> Change {
        let (from, to) = (from.map(str::to_owned), to.map(str::to_owned));
        Change { name: name.into(), arch: "x86_64".into(), from, to }
    }

    #[test]
    fn what_changed_is_known_also_of_what_is_there_twice() {
        let before = Manifest::of(&[
            package("bash", "5.1"),
            package("kernel", "5.14.0-1"),
            package("old", "1"),
            package("vim", "9"),
        ]);
        let after = Manifest::of(&[
            package("bash", "5.2"),
            package("kernel", "5.14.0-1"),
            package("kernel", "5.14.0-2"),
            package("new", "1"),
            package("vim", "9"),
        ]);
        let changes = before.changes_to(&after);
        let expected = [
            change("bash", Some("5.1"), Some("5.2")),
            change("kernel", None, Some("5.14.0-2")),
            change("new", None, Some("1")),
            change("old", Some("1"), None),
        ];
        assert_eq!(changes, expected);
        assert_eq!(before.rest(&changes), after.rest(&changes));
        assert_ne!(before.rest(&changes[1..]), after.rest(&changes[1..]));
        assert!(after.has("kernel", "x86_64", "5.14.0-2") && !before.has("kernel", "x86_64", "5.14.0-2"));
    }
    #[test]
    fn of_what_is_there_in_several_versions_none_becomes_another() {
        let of =
            |versions: [&str; 2]| Manifest::of(&versions.map(|version| package("kernel-default", version)));
        let changes = of(["6.4.0-1", "6.4.0-2"]).changes_to(&of(["6.4.0-2", "6.4.0-3"]));
        let expected = [
            change("kernel-default", Some("6.4.0-1"), None),
            change("kernel-default", None, Some("6.4.0-3")),
        ];
        assert_eq!(changes, expected);
    }
}
