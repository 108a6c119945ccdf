//! Hosts as a fleet file: what they said of themselves, to rehearse on.

use std::collections::BTreeMap;

use jiff::Timestamp;
use runbook_engine::{ids::TargetId, target::Home};
use runbook_steps::{
    ports::linux::{Facts, Manager, Update},
    world::package_manager,
};
use serde::Serialize;
use serde_json::Value;

use super::{inventory_page::Roll, words::moment};
use crate::inventory::gather::Gathered;

/// A fleet file of the hosts that were asked, in YAML. Hosts that are alike stand together; one that gave no answer is
/// there, and is `unreachable`.
pub fn page(roll: &Roll, name: &str, now: Timestamp) -> String {
    let mut alike: BTreeMap<String, Vec<&TargetId>> = BTreeMap::new();
    let mut silent = Vec::new();
    for (id, answer) in roll.gathered.iter().flatten() {
        let answer = answer.as_ref().ok();
        if answer.is_none() {
            silent.push(scalar(id.as_str()));
        }
        alike.entry(traits(roll.groups_of(id), answer)).or_default().push(id);
    }
    let mut text = format!(
        "# The hosts of `{name}` as they were on {}. Write down what is known of them besides: `services` that they run,\n\
         # `reboot: true` at packages that need one, `bad: true` at a version that breaks them, `faults`.\n\
         fleet: {}\nstart: {}\ngroups:\n",
        moment(now),
        scalar(name),
        now.strftime("%Y-%m-%dT%H:%M:%SZ")
    );
    for (number, (traits, ids)) in alike.iter().enumerate() {
        text += &format!("  - name: alike-{}\n    kind: host\n    hosts:\n", number + 1);
        for id in ids {
            text += &format!("      {}\n", host(roll, id));
        }
        text += traits;
    }
    if !silent.is_empty() {
        text += &format!("faults:\n  - {{ kind: unreachable, targets: [{}] }}\n", silent.join(", "));
    }
    text
}

/// The same for a program.
pub fn to_json(page: &str) -> Value {
    serde_yaml::from_str(page).unwrap_or_default()
}

/// A host, as a runbook or an inventory writes it down.
fn host(roll: &Roll, id: &TargetId) -> String {
    let mut keys = Vec::new();
    if let Some(target) = roll.machines.get(id) {
        if let Home::Host { address, connection } = &target.home {
            keys.push(format!("address: {}", scalar(address)));
            if !connection.is_empty() {
                keys.push(format!("connection: {}", json(connection)));
            }
        }
        let words = [("environment", &target.environment), ("owner", &target.owner)];
        keys.extend(
            words.iter().filter_map(|(key, word)| Some(format!("{key}: {}", scalar(word.as_ref()?)))),
        );
        if !target.vars.is_empty() {
            keys.push(format!("vars: {}", json(&target.vars)));
        }
    }
    format!("{}: {{ {} }}", scalar(id.as_str()), keys.join(", "))
}

/// All that hosts which are alike share: groups, system, packages.
fn traits(groups: &[String], answer: Option<&Gathered>) -> String {
    let list = |words: &[String]| words.iter().map(|word| scalar(word)).collect::<Vec<_>>().join(", ");
    let mut text = format!("    groups: [{}]\n", list(groups));
    let Some(Gathered { facts, updates }) = answer else {
        return text + "    pending: { missing: 0 }\n";
    };
    text += &format!("    os: {}\n", scalar(&system(facts)));
    for (key, words) in [("snapshots", &facts.snapshots), ("automatic", &facts.automatic)] {
        if !words.is_empty() {
            text += &format!("    {key}: [{}]\n", list(words));
        }
    }
    if updates.is_empty() {
        return text + "    pending: { missing: 0 }\n";
    }
    text += "    packages:\n";
    for update in updates {
        text += &format!("      - {}\n", package(update));
    }
    text
}

/// The system in the words of fleet files. One that the simulated world does not know is played by one with the same
/// package manager.
fn system(facts: &Facts) -> String {
    let own = [facts.os.as_str(), facts.os_version.as_str()];
    let own = own.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("-");
    if package_manager(&own) == Some(facts.manager) {
        return own;
    }
    let usual = match facts.manager {
        Manager::Apt => "debian-12",
        Manager::Dnf => "rocky-9",
        Manager::Dnf5 => "fedora-41",
        Manager::Yum => "centos-7",
        Manager::Zypper => "sles-15.6",
    };
    usual.to_owned()
}

fn package(update: &Update) -> String {
    let mut keys = vec![format!("name: {}", scalar(&update.name))];
    keys.extend(update.from.as_ref().map(|version| format!("version: {}", scalar(version))));
    keys.push(format!("next: {}", scalar(&update.to)));
    let told = [("security", update.security), ("held", update.held), ("reboot", is_kernel(&update.name))];
    keys.extend(told.iter().filter(|(_, so)| *so).map(|(key, _)| format!("{key}: true")));
    keys.extend(update.severity.map(|severity| format!("severity: {}", json(&severity))));
    keys.extend(update.issued.map(|issued| format!("issued: {issued}")));
    format!("{{ {} }}", keys.join(", "))
}

/// Whether a package is a kernel, by the names that the distributions give theirs: a new one runs after a reboot.
fn is_kernel(name: &str) -> bool {
    let kernels = ["kernel", "kernel-core", "kernel-rt-core", "kernel-default", "kernel-uek"];
    name.starts_with("linux-image-") || kernels.contains(&name)
}

/// A text of YAML: in quotes where it could be read as something else.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/');
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let word = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let means_more = word.iter().any(|word| text.eq_ignore_ascii_case(word));
    if begins && !means_more && text.chars().all(plain) { text.to_owned() } else { json(&text) }
}

/// JSON is YAML.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
