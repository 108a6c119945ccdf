//! Inventories of hosts: our own files, Ansible's as ansible-core reads them, programs, and servers with pages.

mod ansible;
mod files;
mod gather;
mod programs;
mod server;

use crate::program::Place;

/// A runbook with these groups, each in a step of its own.
fn runbook(groups: &[(&str, &str)]) -> String {
    let mut text = "runbook: hosts\ntargets:\n".to_owned();
    for (name, group) in groups {
        text += &format!("  {name}: {group}\n");
    }
    text += "steps:\n";
    for (name, _) in groups {
        text += &format!(
            "  look-{name}: {{ uses: check/tcp, targets: {name}, with: {{ host: \"{{{{ target.private_ip }}}}\", port: 22 }} }}\n"
        );
    }
    text
}

/// The ids of the hosts that are shown for an inventory file.
#[track_caller]
fn shown(place: &Place, file: &str) -> Vec<String> {
    let shown = place.run(&["inventory", "--json", "--inventory", &path(place, file)]).exits(0).json();
    let hosts = shown["hosts"].as_array().expect("hosts");
    hosts.iter().map(|host| host["id"].as_str().expect("an id").to_owned()).collect()
}

fn path(place: &Place, file: &str) -> String {
    place.path(file).display().to_string()
}
