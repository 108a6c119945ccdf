//! Hosts to play with: starts hosts with these names, prints how an inventory of Ansible writes them down, and ends them
//! when standard input ends.
//!
//! `cargo run -p runbook-test-hosts -- web1 dnf:db1 zypper:app1 loopback:web2`, and elsewhere `ssh -F …/ssh_config web1`.
//! Updates of `runbook-demo` (plain) and `runbook-secure` (security) are published.

use std::io::{Read, Write};

use runbook_test_hosts::{Estate, Family};

fn main() {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let estate = Estate::new("by hand");
    let hosts = estate.start(names.iter().map(|name| match name.split_once(':') {
        Some(("dnf", name)) => estate.recipe(Family::Dnf, name),
        Some(("zypper", name)) => estate.recipe(Family::Zypper, name),
        Some((_, name)) => estate.recipe(Family::Debian, name).on_loopback(),
        None => estate.recipe(Family::Debian, name),
    }));
    estate.repository().publish("runbook-demo", "1.2-1");
    estate.repository().publish_security("runbook-secure", "1.1-1");
    let mut out = std::io::stdout().lock();
    for host in &hosts {
        writeln!(out, "{}", host.ansible_as("ops")).expect("somebody reads");
    }
    writeln!(out, "# ssh -F {} NAME; they end with standard input (Ctrl-D)", estate.ssh_config().display())
        .expect("somebody reads");
    out.flush().expect("somebody reads");
    std::io::stdin().read_to_end(&mut Vec::new()).expect("standard input ends");
}
