//! The fleet file: which machines there are, how long things take, what goes wrong, and who answers gates.

use std::collections::BTreeMap;

use jiff::Timestamp;
use runbook_engine::{connection::Connection, duration::Span};
use serde::Deserialize;

use super::{
    alarm::AlarmEntry,
    durations::Durations,
    fault_rule::FaultRule,
    hardware::{Disks, PublicIp, RootDevice},
    linux::PackageEntry,
    people::Person,
    roster::FleetError,
    vault::VaultEntry,
};

/// A fleet file, as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetFile {
    /// Its name.
    pub fleet: String,
    /// What it shows.
    #[serde(default)]
    pub description: Option<String>,
    /// When the world begins; a fixed Monday morning unless given, never the time of day.
    #[serde(default = "first_morning")]
    pub start: Timestamp,
    /// How many seconds of the world one real second is, where somebody watches. Absent: the world always jumps.
    #[serde(default)]
    pub speed: Option<u32>,
    /// How long actions wait between two searches before "not found" means "not applied" (`Settings::settle`).
    #[serde(default = "one_minute")]
    pub settle: Span,
    /// How long a write stays invisible to searches; shorter than `settle`.
    #[serde(default = "three_seconds")]
    pub lag: Span,
    /// How long things take.
    #[serde(default)]
    pub durations: Durations,
    /// The machines.
    pub groups: Vec<MachineGroup>,
    /// Vaults of AWS Backup; none stated: one called `Default`, in every account and Region.
    #[serde(default)]
    pub vaults: Vec<VaultEntry>,
    /// CloudWatch alarms.
    #[serde(default)]
    pub alarms: Vec<AlarmEntry>,
    /// What goes wrong.
    #[serde(default)]
    pub faults: Vec<FaultRule>,
    /// Who answers gates.
    #[serde(default)]
    pub people: Vec<Person>,
}

impl FleetFile {
    /// Reads a fleet file.
    ///
    /// # Errors
    /// It is not YAML, or has other keys. That it makes sense is checked when a world is made of it.
    pub fn read(text: &str) -> Result<Self, FleetError> {
        serde_yaml::from_str(text).map_err(|error| FleetError::Syntax(error.to_string()))
    }

    /// How many machines it has.
    pub fn machines(&self) -> u64 {
        self.groups.iter().map(|group| u64::from(group.count)).sum()
    }
}

fn first_morning() -> Timestamp {
    // Monday, 5 January 2026, 08:00 UTC.
    Timestamp::constant(1_767_600_000, 0)
}

fn one_minute() -> Span {
    Span::from_mins(1)
}

fn three_seconds() -> Span {
    Span::from_secs(3)
}

/// Machines that are alike.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineGroup {
    /// Its name; faults may name it.
    pub name: String,
    /// How many.
    #[serde(default = "one")]
    pub count: u32,
    /// What the machines are called: `{n}` is the number, from 1, filled with zeros to one width.
    #[serde(default)]
    pub names: Option<String>,
    /// Hosts by name, written down as in a runbook or an inventory, in place of `count` and `names`.
    #[serde(default)]
    pub hosts: BTreeMap<String, Option<HostOfFleet>>,
    /// The groups of an inventory that its hosts are in; absent: one, which is called like this.
    #[serde(default)]
    pub groups: Option<Vec<String>>,
    /// EC2 instances, or hosts of our own.
    #[serde(default)]
    pub kind: MachineKind,
    /// `linux` or `windows`.
    #[serde(default)]
    pub platform: Platform,
    /// EC2 tags; `Name` is added.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Variables of hosts.
    #[serde(default)]
    pub vars: BTreeMap<String, serde_json::Value>,
    /// What hosts serve: `production`.
    #[serde(default)]
    pub environment: Option<String>,
    /// Who answers for hosts.
    #[serde(default)]
    pub owner: Option<String>,
    /// The account, twelve digits; absent: whichever is asked for, `000000000000` where none is. Who brings no role is
    /// in the first account of the file.
    #[serde(default)]
    pub account: Option<String>,
    /// The Region; absent: whichever is asked for.
    #[serde(default)]
    pub region: Option<String>,
    /// The Availability Zone of the Region, as a letter; `a` unless given.
    #[serde(default = "first_zone")]
    pub zone: String,
    /// The instance type; `m7g.large` unless given.
    #[serde(default = "usual_type")]
    pub instance_type: String,
    /// `ebs`, or `instance-store`: then it cannot be stopped, and has no snapshots.
    #[serde(default)]
    pub root_device: RootDevice,
    /// How many EBS volumes each has, root included.
    #[serde(default = "one")]
    pub volumes: u32,
    /// What these volumes are.
    #[serde(default)]
    pub disks: Disks,
    /// Spot instances.
    #[serde(default)]
    pub spot: bool,
    /// The Auto Scaling group that they belong to; the tag `aws:autoscaling:groupName` says so too.
    #[serde(default)]
    pub auto_scaling_group: Option<String>,
    /// A public address: `auto` is another one after a stop, `elastic` stays.
    #[serde(default)]
    pub public_ip: Option<PublicIp>,
    /// Whether hibernation is configured.
    #[serde(default)]
    pub hibernates: bool,
    /// Patches that wait to be installed.
    #[serde(default)]
    pub pending: PendingPatches,
    /// What a host runs: id and version of os-release, `debian-12` unless given. Its package manager follows from it.
    #[serde(default)]
    pub os: Option<String>,
    /// The packages of a host; none stated: as many made-up ones as `pending` counts.
    #[serde(default)]
    pub packages: Vec<PackageEntry>,
    /// The services of a host: they run while it is well.
    #[serde(default)]
    pub services: Vec<String>,
    /// Ways to snapshot a host, best first: `snapper`, `btrfs`, `lvm-thin`, `lvm`.
    #[serde(default)]
    pub snapshots: Vec<String>,
    /// What installs packages on a host by itself: `unattended-upgrades`.
    #[serde(default)]
    pub automatic: Vec<String>,
    /// How long things take here, where it differs.
    #[serde(default)]
    pub durations: Durations,
}

impl MachineGroup {
    /// How many machines it has.
    pub fn size(&self) -> u32 {
        if self.hosts.is_empty() { self.count } else { self.hosts.len() as u32 }
    }

    /// What is written down of the host with this name.
    pub fn host(&self, name: &str) -> Option<&HostOfFleet> {
        self.hosts.get(name)?.as_ref()
    }

    /// The groups of an inventory that its hosts are in.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        let own = self.groups.is_none().then_some(self.name.as_str());
        self.groups.iter().flatten().map(String::as_str).chain(own)
    }
}

/// A host with a name of its own: what its group says of all hosts goes behind what is said here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostOfFleet {
    /// Its address; absent: a made-up one.
    #[serde(default)]
    pub address: Option<String>,
    /// Its variables.
    #[serde(default)]
    pub vars: BTreeMap<String, serde_json::Value>,
    /// How the real one is reached: the plan says it, nobody tries.
    #[serde(default)]
    pub connection: Connection,
    /// What it serves.
    #[serde(default)]
    pub environment: Option<String>,
    /// Who answers for it.
    #[serde(default)]
    pub owner: Option<String>,
}

fn one() -> u32 {
    1
}

fn first_zone() -> String {
    "a".into()
}

fn usual_type() -> String {
    "m7g.large".into()
}

/// What kind of machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineKind {
    /// EC2 instances.
    #[default]
    Ec2,
    /// Hosts of our own: their id is their name.
    Host,
}

/// What they run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Linux.
    #[default]
    Linux,
    /// Windows.
    Windows,
}

impl Platform {
    /// The word that plans use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Windows => "windows",
        }
    }
}

/// Patches that wait to be installed on a machine.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingPatches {
    /// All of them.
    #[serde(default)]
    pub missing: u32,
    /// Those of compliance level CRITICAL.
    #[serde(default)]
    pub critical: u32,
    /// Those that are classed as security.
    #[serde(default)]
    pub security: u32,
}

impl Default for PendingPatches {
    fn default() -> Self {
        Self { missing: 12, critical: 1, security: 4 }
    }
}
