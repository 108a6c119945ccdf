//! Which versions of which packages were tested, and which broke a machine.
//!
//! What installed packages says so by its outputs: `platform`, and `changed`, a list of `name`, `arch`, `from` and `to`.
//! The machines of the runbook's `patchset: { from: … }` test; every other machine is given what they verified.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{ScopeName, StepPath, TargetId};

/// What machines installed and verified, by platform.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    /// By platform and package: the exact version to install.
    #[serde(default)]
    pub platforms: BTreeMap<String, BTreeMap<String, String>>,
    /// By platform and package: further versions that were verified.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub also: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// By platform: packages that went away on machines that came out verified.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub removed: BTreeMap<String, BTreeSet<String>>,
}

impl Tested {
    /// Whether a version came out verified.
    pub fn holds(&self, platform: &str, name: &str, version: &str) -> bool {
        let first = self.platforms.get(platform).and_then(|names| names.get(name));
        first.is_some_and(|first| first == version)
            || self
                .also
                .get(platform)
                .and_then(|names| names.get(name))
                .is_some_and(|also| also.contains(version))
    }

    /// How many packages it holds, by platform.
    pub fn counts(&self) -> BTreeMap<&str, usize> {
        self.platforms.iter().map(|(platform, names)| (platform.as_str(), names.len())).collect()
    }

    /// Adds what an earlier run tested. Where both have a version of a package, the newer run's is the one to install.
    pub(crate) fn join(&mut self, earlier: &Self, wanted: impl Fn(&str, &str, &str) -> bool) {
        for (platform, names) in &earlier.platforms {
            for (name, version) in names {
                let also = earlier.also.get(platform).and_then(|names| names.get(name)).into_iter().flatten();
                for version in std::iter::once(version).chain(also) {
                    if wanted(platform, name, version) && !self.holds(platform, name, version) {
                        self.add(platform, name, version);
                    }
                }
            }
        }
        for (platform, names) in &earlier.removed {
            let installed = self.platforms.get(platform);
            let gone = names.iter().filter(|name| installed.is_none_or(|names| !names.contains_key(*name)));
            let gone: BTreeSet<String> = gone.cloned().collect();
            if !gone.is_empty() {
                self.removed.entry(platform.clone()).or_default().extend(gone);
            }
        }
    }

    /// The first version of a package is the one to install.
    pub(crate) fn add(&mut self, platform: &str, name: &str, version: &str) {
        let names = self.platforms.entry(platform.to_owned()).or_default();
        if !names.contains_key(name) {
            names.insert(name.to_owned(), version.to_owned());
        } else {
            let also = self.also.entry(platform.to_owned()).or_default();
            also.entry(name.to_owned()).or_default().insert(version.to_owned());
        }
    }
}

/// One version of a package on one platform.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// `debian-12-amd64`.
    pub platform: String,
    /// The package.
    pub name: String,
    /// As the package manager writes it.
    pub version: String,
}

impl Version {
    pub(crate) fn new(platform: &str, name: &str, version: &str) -> Self {
        Self { platform: platform.to_owned(), name: name.to_owned(), version: version.to_owned() }
    }
}

/// A version that is not installed any more, because a machine did not come out well with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Barred {
    /// The version.
    pub package: Version,
    /// The first machine that failed with it.
    pub broke: TargetId,
}

/// The patchset of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patchset {
    /// The step whose machines test.
    pub from: StepPath,
    /// What the run that this one retries had tested and barred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carried: Option<Carried>,
}

/// What a run takes over from the one that it retries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// What was locked there.
    pub tested: Tested,
    /// What was barred there, at its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub barred: Vec<Barred>,
    /// How machines came out with what they installed, there and in the runs that it retried.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

/// Machines that came out alike with the same versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Evidence {
    /// The outermost rollout in which they were installed; none where the task stands in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<ScopeName>,
    /// What it had to do with the patchset.
    pub part: Part,
    /// They came out verified; else they failed.
    pub verified: bool,
    /// The machines.
    pub machines: BTreeSet<TargetId>,
    /// What they installed.
    pub packages: BTreeSet<Version>,
}

/// What a task has to do with the patchset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// It installs what it finds: what comes out verified is tested.
    Tests,
    /// It installs exactly what was tested.
    Takes,
}

/// What an action installed on one machine: versions by package, none where the package went away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Installed {
    pub(crate) platform: String,
    pub(crate) packages: BTreeMap<String, BTreeSet<String>>,
}

impl Installed {
    /// What an action's outputs for one machine say. What cannot be read was not tested.
    pub(crate) fn read(outputs: &Value) -> Option<Self> {
        let platform = outputs.get("platform")?.as_str()?.to_owned();
        let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for change in outputs.get("changed")?.as_array()? {
            let Some(name) = change.get("name").and_then(Value::as_str) else { continue };
            let to = change.get("to").and_then(Value::as_str);
            packages.entry(name.to_owned()).or_default().extend(to.map(str::to_owned));
        }
        Some(Self { platform, packages })
    }
}
