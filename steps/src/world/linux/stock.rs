//! What is installed on a host, and what its package manager would do.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    ports::linux::{Change, Manager, Order, Package, Severity, Update, Wanted},
    world::fleet::MachineGroup,
};

/// A package of a group of hosts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageEntry {
    /// Its name.
    pub name: String,
    /// What is installed when the world begins; absent: nothing.
    #[serde(default)]
    pub version: Option<String>,
    /// What the repositories have; absent: what is installed.
    #[serde(default)]
    pub next: Option<String>,
    /// It repairs a vulnerability.
    #[serde(default)]
    pub security: bool,
    /// How bad that is.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// When its advisory was issued.
    #[serde(default)]
    pub issued: Option<Timestamp>,
    /// The host holds it back.
    #[serde(default)]
    pub held: bool,
    /// It needs a reboot.
    #[serde(default)]
    pub reboot: bool,
    /// A host that has the next version is sick.
    #[serde(default)]
    pub bad: bool,
    /// Packages that come along with the next version.
    #[serde(default)]
    pub brings: Vec<String>,
}

/// Names for hosts whose packages nobody wrote down.
const USUAL: [&str; 12] = [
    "linux-image",
    "openssl",
    "libc-bin",
    "curl",
    "systemd",
    "openssh-server",
    "sudo",
    "tzdata",
    "bash",
    "perl-base",
    "vim",
    "rsync",
];

/// The packages of a group: as written, else made up from the counts of what is pending.
pub fn packages(group: &MachineGroup) -> Vec<PackageEntry> {
    if !group.packages.is_empty() {
        return group.packages.clone();
    }
    let of = |number: u32| {
        let name =
            USUAL.get(number as usize).map_or_else(|| format!("package-{number}"), |name| (*name).into());
        let security = number < group.pending.security;
        let severity = match (security, number < group.pending.critical) {
            (false, _) => None,
            (true, true) => Some(Severity::Critical),
            (true, false) => Some(Severity::Important),
        };
        PackageEntry {
            name,
            version: Some("1.0-1".into()),
            next: Some("1.0-2".into()),
            security,
            severity,
            issued: None,
            held: false,
            reboot: number == 0,
            bad: false,
            brings: Vec::new(),
        }
    };
    (0..group.pending.missing).map(of).collect()
}

/// What installs packages on a system of this name (`debian-12`).
pub fn manager(os: &str) -> Option<Manager> {
    let (id, version) = os.split_once('-').unwrap_or((os, ""));
    let major = version.split('.').next().unwrap_or_default();
    Some(match (id, major) {
        ("debian" | "ubuntu", _) => Manager::Apt,
        ("rhel" | "centos", "7") | ("amzn", "2") => Manager::Yum,
        ("rhel" | "centos" | "rocky" | "almalinux" | "ol" | "amzn", _) => Manager::Dnf,
        ("fedora", _) => Manager::Dnf5,
        ("sles" | "opensuse", _) => Manager::Zypper,
        _ => return None,
    })
}

/// The architecture, as a package manager calls it.
pub fn arch(manager: Manager) -> &'static str {
    match manager {
        Manager::Apt => "amd64",
        _ => "x86_64",
    }
}

/// What moves about a host's packages and services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// Versions by name.
    pub packages: BTreeMap<String, String>,
    /// What a transaction left half done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<String>,
    /// What waits for a reboot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reboot: Vec<String>,
    /// Services that somebody stopped.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub stopped: BTreeSet<String>,
    /// When packages were changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
}

/// Why an order cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// A version is not to be had.
    Missing(String),
    /// The package manager will not do it.
    Refused(String),
}

/// The packages of a host, and what is to be had of them.
#[derive(Debug)]
pub struct Shelf<'a> {
    pub entries: &'a [PackageEntry],
    pub stock: &'a Stock,
    pub arch: &'static str,
    /// Since when every repository has later versions than the fleet file says.
    pub republished: bool,
    /// Package files that the host keeps.
    pub kept: Option<&'a BTreeMap<String, String>>,
}

impl Shelf<'_> {
    /// What the repositories have of a package.
    pub fn next(&self, entry: &PackageEntry) -> Option<String> {
        let next = entry.next.as_ref()?;
        Some(if self.republished { format!("{next}.1") } else { next.clone() })
    }

    /// What newer versions are known.
    pub fn pending(&self) -> Vec<Update> {
        let update = |entry: &PackageEntry| {
            let installed = self.stock.packages.get(&entry.name)?;
            let to = self.next(entry).filter(|next| next != installed)?;
            Some(Update {
                name: entry.name.clone(),
                arch: self.arch.to_owned(),
                from: Some(installed.clone()),
                to,
                security: entry.security,
                severity: entry.severity,
                advisories: Vec::new(),
                issued: entry.issued,
                origin: "simulated".to_owned(),
                held: entry.held,
            })
        };
        let mut pending: Vec<_> = self.entries.iter().filter_map(update).collect();
        pending.sort_by(|a, b| a.name.cmp(&b.name));
        pending
    }

    /// What is installed.
    pub fn installed(&self) -> Vec<Package> {
        let package = |(name, version): (&String, &String)| Package {
            name: name.clone(),
            arch: self.arch.to_owned(),
            version: version.clone(),
        };
        self.stock.packages.iter().map(package).collect()
    }

    /// What an order would change.
    pub fn rehearse(&self, order: &Order) -> Result<Vec<Change>, Unfit> {
        let mut changes = BTreeMap::new();
        for wanted in &order.wanted {
            self.want(order, wanted, &mut changes)?;
        }
        Ok(changes.into_values().collect())
    }

    fn want(
        &self,
        order: &Order,
        wanted: &Wanted,
        changes: &mut BTreeMap<String, Change>,
    ) -> Result<(), Unfit> {
        let name = &wanted.name;
        let installed = self.stock.packages.get(name);
        if installed == wanted.version.as_ref() {
            return Ok(());
        }
        let Some(version) = &wanted.version else {
            if !order.back {
                return Err(Unfit::Refused(format!("{name} would be removed")));
            }
            self.change(name, None, changes);
            return Ok(());
        };
        let entry = self.entries.iter().find(|entry| entry.name == *name);
        let next = entry.and_then(|entry| self.next(entry));
        let forward = next.as_ref() == Some(version);
        let kept = self.kept.and_then(|kept| kept.get(name)) == Some(version);
        if !forward && !kept {
            return Err(Unfit::Missing(format!("version {version} of {name} was not found")));
        }
        if !forward && !order.back {
            return Err(Unfit::Refused(format!("{name} would be downgraded to {version}")));
        }
        if entry.is_some_and(|entry| entry.held) && !order.held_too {
            return Err(Unfit::Refused(format!("{name} is held")));
        }
        self.change(name, Some(version.clone()), changes);
        if let Some(entry) = entry.filter(|_| forward) {
            for brought in &entry.brings {
                let of = self.entries.iter().find(|other| other.name == *brought);
                let version = of.and_then(|of| self.next(of).or_else(|| of.version.clone()));
                let version = version.unwrap_or_else(|| "1.0-1".to_owned());
                if self.stock.packages.get(brought) != Some(&version) {
                    self.change(brought, Some(version), changes);
                }
            }
        }
        Ok(())
    }

    fn change(&self, name: &str, to: Option<String>, changes: &mut BTreeMap<String, Change>) {
        let (arch, from) = (self.arch.to_owned(), self.stock.packages.get(name).cloned());
        changes.insert(name.to_owned(), Change { name: name.to_owned(), arch, from, to });
    }

    /// Whether a host with these packages is sick of them.
    pub fn is_sick_of(&self, packages: &BTreeMap<String, String>) -> bool {
        self.entries
            .iter()
            .filter(|entry| entry.bad)
            .any(|entry| entry.next.is_some() && packages.get(&entry.name) == entry.next.as_ref())
    }
}

impl Stock {
    /// What a host of this group has when the world begins.
    pub fn of(group: &MachineGroup) -> Self {
        let installed = |entry: PackageEntry| Some((entry.name, entry.version?));
        Self { packages: packages(group).into_iter().filter_map(installed).collect(), ..Self::default() }
    }

    /// The same with these changes.
    pub fn changed(&mut self, changes: &[Change]) {
        for change in changes {
            match &change.to {
                Some(to) => self.packages.insert(change.name.clone(), to.clone()),
                None => self.packages.remove(&change.name),
            };
        }
    }
}
