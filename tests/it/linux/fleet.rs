//! Hosts in stages, and the inventory that tells of them.

use std::path::PathBuf;

use runbook_test_hosts::{Estate, Family, Host};

use crate::program::Place;

/// The stages, in the order in which they are patched.
pub const STAGES: [&str; 3] = ["dev", "staging", "production"];

/// All hosts of `hosts.yaml` at once: `select` says which updates.
pub const RUNBOOK: &str = r#"
runbook: patch-at-once
params:
  select: { type: string, default: all }
targets:
  all: { hosts: { inventory: hosts.yaml } }
steps:
  backup:
    uses: linux/backup
    targets: all
    with: { method: packages, keep: 1d }
  patch:
    needs: [backup]
    uses: linux/patch
    targets: all
    with: { select: "{{ params.select }}" }
    on_failure: [restore]
  healthy:
    needs: [patch]
    uses: check/http
    targets: all
    with: { url: "http://{{ target.private_ip }}:8480/healthz", within: 30s, every: 1s }
    on_failure: [restore]
  restore:
    uses: linux/restore
    targets: { failed_in: [patch, healthy] }
    with: { from: backup }
"#;

/// Hosts that get their packages from one repository.
pub struct Fleet {
    pub estate: Estate,
    hosts: Vec<Host>,
}

impl Fleet {
    /// Hosts of these families in each of these stages, up: `dev1`, `dev2`, ….
    pub fn new(name: &str, stages: &[&str], families: &[Family]) -> Self {
        let estate = Estate::new(name);
        let names = stages.iter().flat_map(|stage| {
            families.iter().enumerate().map(move |(n, family)| (*family, format!("{stage}{}", n + 1)))
        });
        let recipes: Vec<_> = names.map(|(family, name)| estate.recipe(family, &name)).collect();
        let hosts = estate.start(recipes);
        Self { estate, hosts }
    }

    /// All of them.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The hosts of a stage.
    pub fn stage(&self, stage: &str) -> impl Iterator<Item = &Host> + Clone {
        let stage = stage.to_owned();
        self.hosts.iter().filter(move |host| host.name().trim_end_matches(char::is_numeric) == stage)
    }

    /// A host by its name.
    pub fn host(&self, name: &str) -> &Host {
        self.hosts.iter().find(|host| host.name() == name).expect("there is such a host")
    }

    /// `hosts.yaml`, an inventory with a group for each stage. Whoever is not root there becomes it by sudo.
    pub fn inventory(&self, place: &Place, user: &str) -> PathBuf {
        let mut text = format!("inventory: hosts\nconnection: {{ user: {user} }}\ngroups:\n");
        for stage in STAGES {
            let entries: String = self.stage(stage).map(|host| format!("      {}\n", host.entry())).collect();
            if !entries.is_empty() {
                text += &format!("  {stage}:\n    hosts:\n{entries}");
            }
        }
        place.write("hosts.yaml", &text)
    }
}

/// Every package of a host: what `dpkg-query` or `rpm` says of it.
pub fn packages(host: &Host) -> String {
    match host.family() {
        Family::Debian => {
            host.run("dpkg-query -W -f '${Package} ${Architecture} ${Version} ${Status}\\n' | sort")
        }
        Family::Dnf | Family::Zypper => {
            host.run("rpm -qa --qf '%{NAME} %{ARCH} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n' | sort")
        }
    }
}

/// What the package manager has ever done on a host, by its own account.
pub fn past(host: &Host) -> String {
    match host.family() {
        Family::Debian => host.run("cat /var/log/dpkg.log /var/log/apt/history.log 2>/dev/null || true"),
        Family::Dnf | Family::Zypper => {
            host.run("rpm -qa --qf '%{NAME} %{VERSION}-%{RELEASE} %{INSTALLTIME} %{INSTALLTID}\\n' | sort")
        }
    }
}

/// Which version the demo service of a host says that it is, and with which status.
pub fn answer(host: &Host) -> (u16, String) {
    host.wait_until("does not answer", |host| host.http("/healthz").is_some());
    let (status, body) = host.http("/healthz").expect("it has just answered");
    let answer: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(answer["version"], answer["lib"], "{}: {body}", host.name());
    (status, answer["version"].as_str().expect("a version").to_owned())
}

/// Whether the host is in the middle of a transaction, in `runbook-slow`, and waits there.
pub fn is_in_the_middle(host: &Host) -> bool {
    host.exec("test -s /run/runbook-slow.waiting").code == 0
}

/// Waits until all of them are.
pub fn all_come_to_the_middle(hosts: &[Host]) {
    for host in hosts {
        host.wait_until("is not in the middle of a transaction", is_in_the_middle);
    }
}

/// Lets it go on.
pub fn let_go(host: &Host) {
    host.run("touch /run/runbook-slow.go");
}
