//! What could be upgraded, out of two simulations and the version tables.

use std::collections::{BTreeMap, BTreeSet};

use runbook_steps::ports::linux::Update;

use super::simulation::Inst;
use crate::packages::Sections;

/// Updates, sorted by name. Held is what comes in the simulation that passes over holds and may remove packages, and
/// does not come in the one that does neither.
pub(super) fn read(printed: &str) -> Vec<Update> {
    let said = Sections::of(printed);
    let free: BTreeSet<(&str, &str, &str)> =
        said.lines("free").filter_map(Inst::read).map(|inst| (inst.name, inst.arch, inst.to)).collect();
    let repaired = repaired(&said);
    let mut updates: Vec<Update> = said
        .lines("everything")
        .filter_map(Inst::read)
        .filter(|inst| inst.from != Some(inst.to))
        .map(|inst| Update {
            name: inst.name.into(),
            arch: inst.arch.into(),
            from: inst.from.map(str::to_owned),
            to: inst.to.into(),
            security: inst.releases.iter().any(|release| is_security(release))
                || (inst.from.is_some() && repaired.contains(inst.name)),
            severity: None,
            advisories: Vec::new(),
            issued: None,
            origin: inst.releases.join(", "),
            held: !free.contains(&(inst.name, inst.arch, inst.to)),
        })
        .collect();
    updates.sort_by(|a, b| (&a.name, &a.arch).cmp(&(&b.name, &b.arch)));
    updates
}

/// `Debian-Security:12/bookworm-security`, `Ubuntu:22.04/jammy-security`, `UbuntuESM:18.04/bionic-infra-security`; the
/// suites of Debian 10 and before have no such end, only the label.
fn is_security(release: &str) -> bool {
    release.ends_with("-security") || release.starts_with("Debian-Security:")
}

/// Packages of which some version above the installed one stands in a security suite, by `apt-cache policy`: what is
/// offered may be a later version of another suite, and repairs the same.
fn repaired<'a>(said: &Sections<'a>) -> BTreeSet<&'a str> {
    // Versions stand from the highest down; three stars mark the installed one, which ends what is above it.
    let mut above: BTreeMap<&str, bool> = BTreeMap::new();
    let mut current = "";
    let mut counts = false;
    for line in said.lines("policy") {
        if !line.starts_with(' ') {
            let name = line.trim_end_matches(':');
            current = name.split_once(':').map_or(name, |(name, _)| name);
            counts = false;
        } else if line.trim() == "Version table:" {
            counts = true;
        } else if line.starts_with(" *** ") {
            counts = false;
        } else if counts && (line.contains("-security/") || line.contains("-security ")) {
            above.insert(current, true);
        }
    }
    above.into_keys().collect()
}
