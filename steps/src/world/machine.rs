//! What moves about a machine: its power, its boots, what its root volume holds.

use std::time::Duration;

use jiff::Timestamp;
use litemap::LiteMap;
use serde::{Deserialize, Serialize};

use super::{fleet::PendingPatches, linux::Stock, time::later};
use crate::ports::linux;

/// The agent says that it is there every five minutes (facts: The agent).
const PING: i64 = 300;

/// A machine as it is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub power: Power,
    /// What the root volume that it booted from holds.
    pub content: Content,
    /// The system runs.
    pub up: bool,
    /// So does the agent, where the system does.
    pub agent: bool,
    pub boots: u32,
    /// How often it was started since the world began: an address that is not elastic changes with it.
    pub starts: u32,
    pub launched_at: Timestamp,
    pub booted_at: Timestamp,
    pub down_at: Timestamp,
    /// The last report of a patch operation.
    pub report: Option<PatchReport>,
    /// The one before it, which the service shows until the last one has reached it.
    pub report_before: Option<PatchReport>,
    /// What the last installation was to do about reboots.
    pub reboot_option: Option<&'static str>,
    /// The packages and services of a host of our own; empty for EC2 instances.
    pub stock: Stock,
    /// A host that runs, and that nobody reaches.
    pub cut_off: bool,
}

/// The states of an instance that it does not leave at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Power {
    Pending,
    Running,
    Stopping,
    Stopped,
}

impl Power {
    /// The word of EC2.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }
}

/// What a root volume holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Content {
    pub patches: Patches,
    pub healthy: bool,
    /// A program of the runner made it sick, and another one can mend it.
    pub spoiled: bool,
    /// Whether a machine comes up from it.
    pub boots: bool,
}

impl Default for Content {
    fn default() -> Self {
        Self { patches: Patches::default(), healthy: true, spoiled: false, boots: true }
    }
}

/// How a machine's patches stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Patches {
    pub missing: u32,
    pub critical: u32,
    pub security: u32,
    pub pending_reboot: u32,
}

/// What the last patch operation reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PatchReport {
    pub operation: &'static str,
    pub snapshot_id: Option<String>,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    /// When the service has it.
    pub shown: Timestamp,
    pub patches: Patches,
    pub failed: u32,
}

/// What happens to a machine at a moment that is already known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Change {
    /// It goes down.
    Down,
    /// It is up again, after a boot.
    Up,
    /// An installation ended.
    Installed {
        /// Patches left, and those whose installation failed.
        left: u32,
        /// Those of them whose installation failed.
        failed: u32,
        /// Whether it was to reboot.
        reboot: bool,
        /// Its report.
        report: Reported,
    },
    /// A scan ended.
    Scanned {
        /// Its report.
        report: Reported,
    },
    /// It becomes healthy or sick.
    Health(bool),
    /// A program of the runner made it sick, …
    Spoiled,
    /// … or did its work on it, which mends what another program spoiled.
    Mended,
    /// It comes to this state.
    Power(Power),
    /// Nothing boots from its root volume any more.
    Broken,
    /// The agent ends, and nothing starts it before the next boot.
    AgentLost,
    /// Another root volume takes the place of the one that it has.
    RootReplaced {
        /// The new one.
        volume: String,
        /// What it holds.
        content: Content,
    },
    /// Its root volume is taken away, and none put in its place.
    RootLost,
    /// Packages of a host changed.
    Packages {
        /// Which.
        changes: Vec<linux::Change>,
        /// What is half done now.
        broken: Vec<String>,
        /// What waits for a reboot besides.
        reboot: Vec<String>,
    },
    /// A service of a host was started or stopped.
    Service {
        /// Which.
        name: String,
        /// It runs.
        active: bool,
    },
    /// A host is as it was in a snapshot.
    Reverted {
        /// Its packages.
        stock: Box<Stock>,
        /// The rest of it.
        content: Content,
    },
    /// Nobody reaches it any more, or again.
    CutOff(bool),
}

/// What a patch operation tells the service besides what it found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reported {
    pub snapshot_id: Option<String>,
    pub started_at: Timestamp,
    pub shown: Timestamp,
}

/// A machine: how it is, and what is already known to come.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    condition: Condition,
    /// In the order of time.
    future: Vec<(Timestamp, Change)>,
    /// Until when a patch operation runs on it.
    pub patching_until: Option<Timestamp>,
    /// When somebody else patches it.
    pub foreign_patching: Option<(Timestamp, Timestamp)>,
    /// Its parts of commands that may still run: number of the command and of the part.
    pub parts: Vec<(usize, usize)>,
    /// Its volumes, by device. A list: they are one or two mostly, and a tree for each of ten thousand machines would be
    /// nearly empty.
    pub volumes: LiteMap<String, String>,
    /// How many effects it has seen: what draws depend on.
    pub effects: u32,
}

impl Machine {
    /// One that has been running for a while.
    pub fn new(start: Timestamp, pending: PendingPatches) -> Self {
        let PendingPatches { missing, critical, security } = pending;
        let before = start.checked_sub(Duration::from_secs(30 * 86_400)).unwrap_or(start);
        let patches = Patches { missing, critical, security, pending_reboot: 0 };
        let condition = Condition {
            power: Power::Running,
            content: Content { patches, ..Content::default() },
            up: true,
            agent: true,
            boots: 1,
            starts: 0,
            launched_at: before,
            booted_at: before,
            down_at: start,
            report: None,
            report_before: None,
            reboot_option: None,
            stock: Stock::default(),
            cut_off: false,
        };
        Self {
            condition,
            future: Vec::new(),
            patching_until: None,
            foreign_patching: None,
            parts: Vec::new(),
            volumes: LiteMap::new(),
            effects: 0,
        }
    }

    /// One that was made just now, from a root volume that holds this.
    pub fn launched(at: Timestamp, content: Content) -> Self {
        let mut machine = Self::new(at, PendingPatches::default());
        let condition = &mut machine.condition;
        (condition.power, condition.up, condition.boots) = (Power::Pending, false, 0);
        (condition.launched_at, condition.booted_at, condition.content) = (at, at, content);
        machine
    }

    /// How it is now: as of the moment up to which the world was settled.
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// How it is now, to be changed.
    pub fn condition_mut(&mut self) -> &mut Condition {
        &mut self.condition
    }

    /// Takes the next change that is due.
    pub fn take_due(&mut self, until: Timestamp) -> Option<(Timestamp, Change)> {
        (self.future.first()?.0 <= until).then(|| self.future.remove(0))
    }

    /// A change takes place.
    pub fn change(&mut self, at: Timestamp, change: &Change) {
        self.condition.apply(at, change);
    }

    /// How it will be, as far as is known.
    pub fn at(&self, then: Timestamp) -> Condition {
        let mut condition = self.condition.clone();
        for (at, change) in self.future.iter().take_while(|(at, _)| *at <= then) {
            condition.apply(*at, change);
        }
        condition
    }

    /// When it is up, counted from `from`; `None`: not as far as is known.
    pub fn up_from(&self, from: Timestamp) -> Option<Timestamp> {
        if self.at(from).heard() {
            return Some(from);
        }
        self.future.iter().find(|(at, change)| *at > from && *change == Change::Up).map(|(at, _)| *at)
    }

    /// Something is now known to come.
    pub fn expect(&mut self, changes: impl IntoIterator<Item = (Timestamp, Change)>) {
        self.future.extend(changes);
        self.future.sort_by_key(|(at, _)| *at);
    }

    /// What was known to come does not: its command was cancelled before it began.
    pub fn unexpect(&mut self, changes: &[(Timestamp, Change)]) {
        self.future.retain(|change| !changes.contains(change));
    }

    /// What its system was about to do does not come: it is stopped. What is in its root volume stays there.
    pub fn interrupt(&mut self) {
        self.future.retain(|(_, change)| matches!(change, Change::Health(_)));
        self.patching_until = None;
    }

    /// What was to come does not: its root volume is replaced.
    pub fn forget_future(&mut self) {
        self.future.clear();
        self.patching_until = None;
    }
}

impl Condition {
    fn apply(&mut self, at: Timestamp, change: &Change) {
        match change {
            Change::Down => {
                self.up = false;
                self.down_at = at;
            }
            Change::Up => {
                self.up = true;
                self.agent = true;
                self.boots += 1;
                self.booted_at = at;
                self.content.patches.pending_reboot = 0;
                self.stock.reboot.clear();
            }
            Change::Installed { left, failed, reboot, report } => {
                self.reboot_option = Some(if *reboot { "RebootIfNeeded" } else { "NoReboot" });
                let left = *left;
                let before = self.content.patches;
                let patches = Patches {
                    missing: left,
                    critical: before.critical.min(left),
                    security: before.security.min(left),
                    pending_reboot: before.pending_reboot + before.missing.saturating_sub(left),
                };
                self.content.patches = patches;
                // The report of an installation knows no missing patches, only failed ones
                // (facts: Patch states).
                self.report("Install", at, report, Patches { missing: 0, ..patches }, *failed);
            }
            Change::Scanned { report } => self.report("Scan", at, report, self.content.patches, 0),
            Change::Health(healthy) => (self.content.healthy, self.content.spoiled) = (*healthy, false),
            Change::Spoiled => (self.content.healthy, self.content.spoiled) = (false, true),
            Change::Mended => {
                self.content.healthy |= self.content.spoiled;
                self.content.spoiled = false;
            }
            Change::Power(power) => self.power = *power,
            Change::Broken => self.content.boots = false,
            Change::AgentLost => {
                self.agent = false;
                self.down_at = at;
            }
            // The service still shows the patched state until the next scan (facts: Replacing a root volume).
            Change::RootReplaced { content, .. } => self.content = *content,
            Change::RootLost => self.content = Content { boots: false, ..Content::default() },
            Change::Packages { changes, broken, reboot } => {
                self.stock.changed(changes);
                self.stock.broken.clone_from(broken);
                self.stock.reboot.extend(reboot.iter().cloned());
                self.stock.changed_at = Some(at);
            }
            Change::Service { name, active: true } => {
                self.stock.stopped.remove(name);
            }
            Change::Service { name, active: false } => {
                self.stock.stopped.insert(name.clone());
            }
            Change::Reverted { stock, content } => {
                self.stock = (**stock).clone();
                self.content = *content;
            }
            Change::CutOff(cut_off) => self.cut_off = *cut_off,
        }
    }

    fn report(
        &mut self,
        operation: &'static str,
        ended_at: Timestamp,
        reported: &Reported,
        patches: Patches,
        failed: u32,
    ) {
        let Reported { snapshot_id, started_at, shown } = reported.clone();
        let report = PatchReport { operation, snapshot_id, started_at, ended_at, shown, patches, failed };
        self.report_before = self.report.replace(report);
    }

    /// The last report that the service has.
    pub fn report_at(&self, now: Timestamp) -> Option<&PatchReport> {
        [&self.report, &self.report_before].into_iter().flatten().find(|report| report.shown <= now)
    }

    /// Whether it does what it is for.
    pub fn is_well(&self) -> bool {
        self.up && self.content.healthy
    }

    /// Whether the agent runs.
    pub fn heard(&self) -> bool {
        self.up && self.agent
    }

    /// When the agent was heard last.
    pub fn last_ping(&self, now: Timestamp) -> Timestamp {
        let heard = if self.heard() { now } else { self.down_at };
        let ping =
            Timestamp::from_second(heard.as_second() - heard.as_second().rem_euclid(PING)).unwrap_or(heard);
        ping.max(self.booted_at)
    }

    /// Whether the service still takes the agent for connected: it learns of a loss when a ping is missing.
    pub fn online(&self, now: Timestamp) -> bool {
        self.heard() || now < later(self.last_ping(now), Duration::from_secs(PING as u64 + 60))
    }
}
