//! How long things take in the simulated world.

use std::time::Duration;

use runbook_engine::duration::Span;
use serde::{Deserialize, Deserializer, de::Error};

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
    /// An instance until it is stopped (`20s..40s`).
    #[serde(default)]
    pub stop: Option<SpanRange>,
    /// A started instance until it is running, without the boot (`5s..15s`).
    #[serde(default)]
    pub start: Option<SpanRange>,
    /// A backup job of AWS Backup, from its start (`10m..20m`).
    #[serde(default)]
    pub backup: Option<SpanRange>,
    /// A restore job of AWS Backup, without the boot (`10m..20m`).
    #[serde(default)]
    pub rebuild: Option<SpanRange>,
}

/// What takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Stopping an instance.
    Stop,
    /// Starting one.
    Start,
    /// A backup job.
    Backup,
    /// A restore job, which makes a new instance.
    Rebuild,
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
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Backup => "backup",
            Self::Rebuild => "rebuild",
        }
    }

    /// What it usually takes.
    pub fn usual(self) -> SpanRange {
        let (from, to) = match self {
            Self::Snapshot => (120, 360),
            Self::Patch => (240, 720),
            Self::Scan => (20, 60),
            Self::Restore => (180, 360),
            Self::Boot => (45, 90),
            Self::Command => (5, 20),
            Self::Program => (1, 1),
            Self::Stop => (20, 40),
            Self::Start => (5, 15),
            Self::Backup | Self::Rebuild => (600, 1200),
        };
        SpanRange { from: Span::from_secs(from), to: Span::from_secs(to) }
    }
}

impl Durations {
    /// Says how long it takes.
    pub fn state(&mut self, what: Lasting, range: SpanRange) {
        let stated = match what {
            Lasting::Snapshot => &mut self.snapshot,
            Lasting::Patch => &mut self.patch,
            Lasting::Scan => &mut self.scan,
            Lasting::Restore => &mut self.restore,
            Lasting::Boot => &mut self.boot,
            Lasting::Command => &mut self.command,
            Lasting::Program => &mut self.program,
            Lasting::Stop => &mut self.stop,
            Lasting::Start => &mut self.start,
            Lasting::Backup => &mut self.backup,
            Lasting::Rebuild => &mut self.rebuild,
        };
        *stated = Some(range);
    }

    /// What is said of it, if anything.
    pub fn stated(&self, what: Lasting) -> Option<SpanRange> {
        match what {
            Lasting::Snapshot => self.snapshot,
            Lasting::Patch => self.patch,
            Lasting::Scan => self.scan,
            Lasting::Restore => self.restore,
            Lasting::Boot => self.boot,
            Lasting::Command => self.command,
            Lasting::Program => self.program,
            Lasting::Stop => self.stop,
            Lasting::Start => self.start,
            Lasting::Backup => self.backup,
            Lasting::Rebuild => self.rebuild,
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
