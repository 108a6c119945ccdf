//! The fleet file: which machines there are, how long things take, what goes wrong, and who answers gates.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use runbook_engine::duration::Span;
use serde::{Deserialize, Deserializer, de::Error};

use super::{fault_rule::FaultRule, people::Person};

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
    /// What goes wrong.
    #[serde(default)]
    pub faults: Vec<FaultRule>,
    /// Who answers gates.
    #[serde(default)]
    pub people: Vec<Person>,
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
    /// The Region; absent: the default one.
    #[serde(default)]
    pub region: Option<String>,
    /// How many EBS volumes each has, root included.
    #[serde(default = "one")]
    pub volumes: u32,
    /// Patches that wait to be installed.
    #[serde(default)]
    pub pending: PendingPatches,
    /// How long things take here, where it differs.
    #[serde(default)]
    pub durations: Durations,
}

fn one() -> u32 {
    1
}

/// What kind of machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
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

/// How long things take: `4m`, or `3m..8m` to be drawn from the seed for each machine and time.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Durations {
    /// A snapshot until it is completed (`2m..6m`).
    #[serde(default)]
    pub snapshot: Option<SpanRange>,
    /// Installing patches, without the reboot (`4m..12m`).
    #[serde(default)]
    pub patch: Option<SpanRange>,
    /// Scanning for patches (`20s..60s`).
    #[serde(default)]
    pub scan: Option<SpanRange>,
    /// Replacing volumes from snapshots, without the boot (`3m..6m`).
    #[serde(default)]
    pub restore: Option<SpanRange>,
    /// A boot (`45s..90s`).
    #[serde(default)]
    pub boot: Option<SpanRange>,
    /// A script, or a document that the world does not know (`5s..20s`).
    #[serde(default)]
    pub command: Option<SpanRange>,
    /// A program on this machine (`1s`).
    #[serde(default)]
    pub program: Option<SpanRange>,
}

/// What takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// A snapshot until it is completed.
    Snapshot,
    /// Installing patches.
    Patch,
    /// Scanning.
    Scan,
    /// Replacing volumes.
    Restore,
    /// A boot.
    Boot,
    /// A script or document.
    Command,
    /// A program on this machine.
    Program,
}

impl Lasting {
    /// The word that it goes by, in fleet files and in draws.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Patch => "patch",
            Self::Scan => "scan",
            Self::Restore => "restore",
            Self::Boot => "boot",
            Self::Command => "command",
            Self::Program => "program",
        }
    }

    fn usual(self) -> SpanRange {
        let (from, to) = match self {
            Self::Snapshot => (120, 360),
            Self::Patch => (240, 720),
            Self::Scan => (20, 60),
            Self::Restore => (180, 360),
            Self::Boot => (45, 90),
            Self::Command => (5, 20),
            Self::Program => (1, 1),
        };
        SpanRange { from: Span::from_secs(from), to: Span::from_secs(to) }
    }
}

impl Durations {
    fn stated(&self, what: Lasting) -> Option<SpanRange> {
        match what {
            Lasting::Snapshot => self.snapshot,
            Lasting::Patch => self.patch,
            Lasting::Scan => self.scan,
            Lasting::Restore => self.restore,
            Lasting::Boot => self.boot,
            Lasting::Command => self.command,
            Lasting::Program => self.program,
        }
    }

    /// What holds for a group: its own word, else the fleet's, else the usual.
    pub fn of(&self, fleet: &Self, what: Lasting) -> SpanRange {
        self.stated(what).or_else(|| fleet.stated(what)).unwrap_or_else(|| what.usual())
    }
}

/// A duration, or two that something lies between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanRange {
    /// At least.
    pub from: Span,
    /// At most.
    pub to: Span,
}

impl SpanRange {
    /// The value at this point of the range (any number: it is taken modulo the range).
    pub fn pick(self, draw: u64) -> Duration {
        let width = self.to.as_secs() - self.from.as_secs();
        Duration::from_secs(self.from.as_secs() + draw % (width + 1))
    }
}

impl<'de> Deserialize<'de> for SpanRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (from, to) = text.split_once("..").unwrap_or((&text, &text));
        match (Span::parse(from), Span::parse(to)) {
            (Some(from), Some(to)) if from <= to => Ok(Self { from, to }),
            _ => Err(D::Error::custom(format!("`{text}` is not a duration like 4m, or a range like 3m..8m"))),
        }
    }
}
