//! What moves about a machine: its patches, its boots, its health.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{fleet::PendingPatches, time::later};

/// The agent says that it is there every five minutes (DOMAIN 2.10).
const PING: i64 = 300;

/// A machine as it is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    pub patches: Patches,
    pub healthy: bool,
    /// A program of the runner made it sick, and another one can mend it.
    pub spoiled: bool,
    /// System and agent run.
    pub up: bool,
    pub boots: u32,
    pub booted_at: Timestamp,
    pub down_at: Timestamp,
    /// The last report of a patch operation.
    pub report: Option<PatchReport>,
    /// What the last installation was to do about reboots.
    pub reboot_option: Option<&'static str>,
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
    pub ended_at: Timestamp,
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
        /// The report's patch snapshot.
        snapshot_id: Option<String>,
    },
    /// A scan ended.
    Scanned {
        /// The report's patch snapshot.
        snapshot_id: Option<String>,
    },
    /// It becomes healthy or sick.
    Health(bool),
    /// A program of the runner made it sick, …
    Spoiled,
    /// … or did its work on it, which mends what another program spoiled.
    Mended,
    /// Its volumes are those of a backup again.
    Restored {
        /// The patches as they were then.
        patches: Patches,
        /// Whether it is healthy.
        healthy: bool,
    },
}

/// A machine: how it is, and what is already known to come.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    condition: Condition,
    /// In the order of time.
    future: Vec<(Timestamp, Change)>,
    /// Until when a patch operation runs on it.
    pub patching_until: Option<Timestamp>,
    /// How many effects it has seen: what draws depend on.
    pub effects: u32,
}

impl Machine {
    pub fn new(start: Timestamp, pending: PendingPatches) -> Self {
        let PendingPatches { missing, critical, security } = pending;
        let condition = Condition {
            patches: Patches { missing, critical, security, pending_reboot: 0 },
            healthy: true,
            spoiled: false,
            up: true,
            boots: 1,
            // It has been running for a while.
            booted_at: start.checked_sub(Duration::from_secs(30 * 86_400)).unwrap_or(start),
            down_at: start,
            report: None,
            reboot_option: None,
        };
        Self { condition, future: Vec::new(), patching_until: None, effects: 0 }
    }

    /// How it is now.
    pub fn now(&mut self, now: Timestamp) -> &Condition {
        let due = self.future.partition_point(|(at, _)| *at <= now);
        for (at, change) in self.future.drain(..due) {
            self.condition.apply(at, &change);
        }
        &self.condition
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
        if self.at(from).up {
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

    /// What was to come does not: its volumes are replaced.
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
                self.boots += 1;
                self.booted_at = at;
                self.patches.pending_reboot = 0;
            }
            Change::Installed { left, failed, reboot, snapshot_id } => {
                self.reboot_option = Some(if *reboot { "RebootIfNeeded" } else { "NoReboot" });
                let left = *left;
                let installed = self.patches.missing.saturating_sub(left);
                self.patches = Patches {
                    missing: left,
                    critical: self.patches.critical.min(left),
                    security: self.patches.security.min(left),
                    pending_reboot: self.patches.pending_reboot + installed,
                };
                // The report of an installation knows no missing patches, only failed ones (DOMAIN 2.7).
                self.report = Some(PatchReport {
                    operation: "Install",
                    snapshot_id: snapshot_id.clone(),
                    ended_at: at,
                    patches: Patches { missing: 0, ..self.patches },
                    failed: *failed,
                });
            }
            Change::Scanned { snapshot_id } => {
                self.report = Some(PatchReport {
                    operation: "Scan",
                    snapshot_id: snapshot_id.clone(),
                    ended_at: at,
                    patches: self.patches,
                    failed: 0,
                });
            }
            Change::Health(healthy) => (self.healthy, self.spoiled) = (*healthy, false),
            Change::Spoiled => (self.healthy, self.spoiled) = (false, true),
            Change::Mended => {
                self.healthy |= self.spoiled;
                self.spoiled = false;
            }
            // The service still shows the patched state until the next scan (DOMAIN 4.4).
            Change::Restored { patches, healthy } => {
                self.patches = *patches;
                (self.healthy, self.spoiled) = (*healthy, false);
            }
        }
    }

    /// When the agent was heard last.
    pub fn last_ping(&self, now: Timestamp) -> Timestamp {
        let heard = if self.up { now } else { self.down_at };
        let ping =
            Timestamp::from_second(heard.as_second() - heard.as_second().rem_euclid(PING)).unwrap_or(heard);
        ping.max(self.booted_at)
    }

    /// Whether the service still takes the agent for connected: it learns of a loss when a ping is missing.
    pub fn online(&self, now: Timestamp) -> bool {
        self.up || now < later(self.last_ping(now), Duration::from_secs(PING as u64 + 60))
    }
}
