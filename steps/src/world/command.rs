//! Commands of the simulated Run Command: what becomes of each on each machine is decided when it is sent.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use serde::{Deserialize, Serialize};

use super::{
    account::{SendRequest, SentCommand},
    machine::Change,
    place::Place,
    sending::Limit,
    time::later,
};
use crate::ports::ssm::{CommandRow, Progress};

/// A patch report reaches the service this much after the operation (facts: Patch states).
pub(super) const UPLOAD: Duration = Duration::from_secs(3);
/// The step limit that is written into AWS-RunPatchBaseline (facts: AWS-RunPatchBaseline).
const PATCH_LIMIT: Duration = Duration::from_secs(7200);

/// A command that was sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Command {
    pub id: String,
    #[serde(default)]
    pub place: Place,
    pub document: String,
    pub comment: String,
    pub parameters: BTreeMap<String, Vec<String>>,
    /// What chose its machines, where it was not their ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<(String, Vec<String>)>,
    pub max_concurrency: String,
    pub max_errors: String,
    /// The delivery time-out.
    pub delivery: Duration,
    pub at: Timestamp,
    pub seen_from: Timestamp,
    pub work: Work,
    pub parts: Vec<Part>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<Timestamp>,
}

/// What a command does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Work {
    Install {
        reboot: bool,
        snapshot_id: Option<String>,
    },
    Scan {
        snapshot_id: Option<String>,
    },
    /// A script that prints the boot id.
    BootId {
        limit_s: u64,
    },
    /// A script that asks the agent for a reboot, and is run again after it.
    Twice {
        limit_s: u64,
    },
    /// A script or a document that the world does not know. What is in it is nobody's business.
    Other {
        limit_s: u64,
        /// The token of its guard, which lets one delivery do something on a machine.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        guard: Option<String>,
    },
}

/// One machine's part of a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Part {
    pub machine: TargetId,
    /// When the agent starts it; absent: never.
    pub started: Option<Timestamp>,
    /// When it is over.
    pub ended: Timestamp,
    /// When the service shows that.
    pub shown: Timestamp,
    pub end: End,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr: String,
    /// Since when lists have it, where that is later than for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_from: Option<Timestamp>,
    /// Until its end is shown, its status is a word that nobody knows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strange: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<(Timestamp, Change)>,
}

/// How a part ends, in the words of `StatusDetails`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum End {
    Success,
    Failed(i32),
    ExecutionTimedOut,
    Undeliverable,
    AccessDenied,
    /// The document does not fit the system.
    InvalidPlatform,
    DeliveryTimedOut,
    /// Its command went over its errors before.
    Terminated,
    Cancelled,
}

impl Work {
    /// What these parameters ask for.
    pub fn read(command: &SendRequest) -> Result<Self, String> {
        let one =
            |name: &str| command.parameters.get(name).and_then(|values| values.first()).map(String::as_str);
        let known =
            |names: &[&str]| match command.parameters.keys().find(|key| !names.contains(&key.as_str())) {
                Some(key) => Err(format!("`{key}` is no parameter of {}", command.document)),
                None => Ok(()),
            };
        match command.document.as_str() {
            "AWS-RunPatchBaseline" => {
                known(&[
                    "Operation",
                    "RebootOption",
                    "SnapshotId",
                    "InstallOverrideList",
                    "BaselineOverride",
                ])?;
                let snapshot_id = one("SnapshotId").filter(|id| !id.is_empty()).map(str::to_owned);
                match (one("Operation"), one("RebootOption").unwrap_or("RebootIfNeeded")) {
                    (Some("Scan"), _) => Ok(Self::Scan { snapshot_id }),
                    (Some("Install"), "RebootIfNeeded") => Ok(Self::Install { reboot: true, snapshot_id }),
                    (Some("Install"), "NoReboot") => Ok(Self::Install { reboot: false, snapshot_id }),
                    (Some("Install"), other) => Err(format!("RebootOption cannot be `{other}`")),
                    (other, _) => Err(format!("Operation cannot be `{}`", other.unwrap_or_default())),
                }
            }
            "AWS-RunShellScript" | "AWS-RunPowerShellScript" => {
                known(&["commands", "executionTimeout", "workingDirectory"])?;
                let Some(lines) = command.parameters.get("commands") else {
                    return Err(format!("{} needs `commands`", command.document));
                };
                let limit_s = match one("executionTimeout") {
                    None => 3600,
                    Some(text) => text
                        .parse::<u64>()
                        .ok()
                        .filter(|secs| (5..=172_800).contains(secs))
                        .ok_or_else(|| format!("executionTimeout cannot be `{text}`"))?,
                };
                Ok(script(lines, limit_s))
            }
            _ => Ok(Self::Other { limit_s: 3600, guard: None }),
        }
    }

    /// `Install`, `Scan`, `Boot` for a script that says which boot it is, or `Guarded` for one under a guard.
    pub fn operation(&self) -> Option<&'static str> {
        match self {
            Self::Install { .. } => Some("Install"),
            Self::Scan { .. } => Some("Scan"),
            Self::BootId { .. } => Some("Boot"),
            Self::Other { guard: Some(_), .. } => Some("Guarded"),
            Self::Twice { .. } | Self::Other { .. } => None,
        }
    }

    /// What makes several deliveries of it one.
    pub fn guard(&self) -> Option<&String> {
        match self {
            Self::Other { guard, .. } => guard.as_ref(),
            _ => None,
        }
    }

    /// Whether it is a patch operation.
    pub fn patches(&self) -> bool {
        matches!(self, Self::Install { .. } | Self::Scan { .. })
    }

    pub fn snapshot_id(&self) -> Option<String> {
        match self {
            Self::Install { snapshot_id, .. } | Self::Scan { snapshot_id } => snapshot_id.clone(),
            Self::BootId { .. } | Self::Twice { .. } | Self::Other { .. } => None,
        }
    }

    /// How long it may run.
    pub fn limit(&self) -> Duration {
        match self {
            Self::Install { .. } | Self::Scan { .. } => PATCH_LIMIT,
            Self::BootId { limit_s } | Self::Twice { limit_s } | Self::Other { limit_s, .. } => {
                Duration::from_secs(*limit_s)
            }
        }
    }
}

impl Command {
    /// How lists show it.
    pub fn row(&self, now: Timestamp) -> CommandRow {
        let over = || self.parts.iter().filter(|part| part.shown <= now);
        let wrong = |part: &&Part| part.end.is_error() || part.end == End::DeliveryTimedOut;
        CommandRow {
            command_id: self.id.clone(),
            comment: self.comment.clone(),
            document: self.document.clone(),
            requested_at: self.at,
            // Of one that was sent to tags, the service lists none.
            instances: match self.targets.is_empty() {
                true => self.parts.iter().map(|part| part.machine.clone()).collect(),
                false => Vec::new(),
            },
            progress: Some(Progress {
                targets: self.parts.len() as u32,
                completed: over().count() as u32,
                errors: over().filter(wrong).count() as u32,
            }),
        }
    }

    /// The machine of one of its parts goes down under it.
    pub fn cut_off(&mut self, part: usize, at: Timestamp) {
        let given_up = later(self.at, self.delivery + self.work.limit());
        let part = &mut self.parts[part];
        if part.started.is_some_and(|started| started <= at) && part.ended > at && part.shown > at {
            (part.ended, part.shown, part.end) = (given_up, given_up.max(part.shown), End::DeliveryTimedOut);
        }
    }

    /// Whether not every part of it is over.
    pub fn is_executing(&self, now: Timestamp) -> bool {
        self.parts.iter().any(|part| part.shown > now)
    }

    /// Everything that the service tells of it.
    pub fn show(&self, now: Timestamp) -> SentCommand {
        let (status, details) = self.status(now);
        let over = || self.parts.iter().filter(|part| part.shown <= now);
        let instances = match self.targets.is_empty() {
            true => self.parts.iter().map(|part| part.machine.clone()).collect(),
            false => Vec::new(),
        };
        SentCommand {
            id: self.id.clone(),
            request: SendRequest {
                document: self.document.clone(),
                instances,
                targets: self.targets.clone(),
                parameters: self.parameters.clone(),
                comment: self.comment.clone(),
                delivery_timeout: self.delivery,
                max_concurrency: self.max_concurrency.clone(),
                max_errors: self.max_errors.clone(),
            },
            requested_at: self.at,
            expires_at: later(self.at, self.delivery + self.work.limit()),
            status: status.to_owned(),
            details: details.to_owned(),
            target_count: self.parts.len() as u32,
            completed_count: over().count() as u32,
            error_count: over().filter(|part| part.end.is_error()).count() as u32,
            delivery_timed_out_count: over().filter(|part| part.end == End::DeliveryTimedOut).count() as u32,
            parts: self.parts.iter().filter(|part| part.is_seen(now)).map(|part| part.sent(now)).collect(),
        }
    }

    /// `Status` and `StatusDetails` of the command (facts: Statuses of a command).
    fn status(&self, now: Timestamp) -> (&'static str, &'static str) {
        let parts = &self.parts;
        if parts.is_empty() {
            return ("Success", "NoInstancesInTag");
        }
        if self.is_executing(now) {
            let begun =
                parts.iter().any(|part| part.shown <= now || part.started.is_some_and(|at| at <= now));
            return match (self.cancelled, begun) {
                (Some(_), _) => ("Cancelling", "Cancelling"),
                (None, true) => ("InProgress", "InProgress"),
                (None, false) => ("Pending", "Pending"),
            };
        }
        let all = |end: &dyn Fn(&Part) -> bool| parts.iter().all(end);
        let errors = parts.iter().filter(|part| part.end.is_error()).count();
        let most = Limit::read(&self.max_errors).map_or(0, |limit| limit.of(parts.len()));
        if errors > most || all(&|part| part.end == End::Undeliverable) {
            ("Failed", "Failed")
        } else if all(&|part| part.end == End::AccessDenied) {
            ("Failed", "AccessDenied")
        } else if parts.iter().any(|part| part.end == End::Cancelled) {
            ("Cancelled", "Cancelled")
        } else if parts.iter().any(|part| part.end == End::DeliveryTimedOut) {
            ("TimedOut", "Incomplete")
        } else {
            // Nodes that never ran hide behind this.
            ("Success", "Success")
        }
    }
}

/// What a script does, as far as the world knows scripts.
fn script(lines: &[String], limit_s: u64) -> Work {
    let text = lines.join("\n");
    let has = |what: &str| text.contains(what);
    // A guarded script has words of the guard in it, which are not what it is for.
    let guard = text.split_once("rbg_token='").and_then(|(_, rest)| rest.split_once('\''));
    let guard = guard.map(|(token, _)| token.to_owned());
    if guard.is_none() && (has("/proc/sys/kernel/random/boot_id") || has("LastBootUpTime")) {
        Work::BootId { limit_s }
    } else if guard.is_none() && (has("exit 194") || has("exit 3010")) {
        Work::Twice { limit_s }
    } else {
        Work::Other { limit_s, guard }
    }
}
