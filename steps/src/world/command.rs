//! Commands of the simulated Run Command: what becomes of each on each machine is decided when it is sent.

use std::time::Duration;

use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use serde::{Deserialize, Serialize};

use super::{
    fault_rule::{Label, RuleKind},
    fleet::Lasting,
    machine::Change,
    state::{State, Struck},
    time::later,
};
use crate::ports::ssm::{CommandRow, Invocation, InvocationStatus, SendCommand};

/// How long the agent takes to pick a command up.
const PICK_UP: Duration = Duration::from_secs(2);
/// A late result is this late unless the fleet says otherwise.
const LATE: Duration = Duration::from_secs(30 * 60);
/// The step limit that is written into AWS-RunPatchBaseline (DOMAIN 2.2).
const PATCH_LIMIT: Duration = Duration::from_secs(7200);

/// A command that was sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Command {
    pub id: String,
    pub document: String,
    pub comment: String,
    pub at: Timestamp,
    pub work: Work,
    pub parts: Vec<Part>,
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
    /// A script or a document that the world does not know. What is in it is nobody's business.
    Other {
        limit_s: u64,
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
    pub stderr: String,
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
    DeliveryTimedOut,
    Cancelled,
}

impl Work {
    /// What these parameters ask for.
    pub fn read(command: &SendCommand) -> Result<Self, String> {
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
                if one("commands").is_none() {
                    return Err(format!("{} needs `commands`", command.document));
                }
                let limit_s = match one("executionTimeout") {
                    None => 3600,
                    Some(text) => text
                        .parse::<u64>()
                        .ok()
                        .filter(|secs| (5..=172_800).contains(secs))
                        .ok_or_else(|| format!("executionTimeout cannot be `{text}`"))?,
                };
                Ok(Self::Other { limit_s })
            }
            _ => Ok(Self::Other { limit_s: 3600 }),
        }
    }

    /// `Install` or `Scan`.
    pub fn operation(&self) -> Option<&'static str> {
        match self {
            Self::Install { .. } => Some("Install"),
            Self::Scan { .. } => Some("Scan"),
            Self::Other { .. } => None,
        }
    }

    fn limit(&self) -> Duration {
        match self {
            Self::Install { .. } | Self::Scan { .. } => PATCH_LIMIT,
            Self::Other { limit_s } => Duration::from_secs(*limit_s),
        }
    }
}

impl Command {
    /// How lists show it.
    pub fn row(&self) -> CommandRow {
        CommandRow {
            command_id: self.id.clone(),
            comment: self.comment.clone(),
            document: self.document.clone(),
            requested_at: self.at,
            instances: self.parts.iter().map(|part| part.machine.clone()).collect(),
        }
    }
}

/// Decides what becomes of a command on one machine.
pub(super) fn decide(
    state: &State,
    machine: usize,
    work: &Work,
    delivery: Duration,
    now: Timestamp,
    label: Option<&Label>,
    struck: &mut Struck,
) -> Part {
    let id = state.roster.machines[machine].id.clone();
    let nth = state.machines[machine].effects;
    let lasting = |what| state.roster.lasting(state.seed, machine, what, nth);
    let mut hit = |kind| state.strike(machine, kind, label, struck);
    let part = |started, ended, end| Part {
        machine: id.clone(),
        started,
        ended,
        shown: ended,
        end,
        stderr: String::new(),
        changes: Vec::new(),
    };
    // The service gives up when both time-outs have passed, and cannot tell then whether it ran (DOMAIN 1.2).
    let given_up = later(now, delivery + work.limit());

    if hit(RuleKind::Refused).is_some() {
        return part(None, later(now, PICK_UP), End::AccessDenied);
    }
    if hit(RuleKind::Undeliverable).is_some() {
        return part(None, later(now, Duration::from_secs(30)), End::Undeliverable);
    }
    let Some(started) =
        state.machines[machine].up_from(later(now, PICK_UP)).filter(|at| *at <= later(now, delivery))
    else {
        return part(None, given_up, End::DeliveryTimedOut);
    };
    let lost = hit(RuleKind::DeliveryTimedOut);
    if lost.is_some_and(|rule| rule.ran == Some(false)) {
        return part(None, given_up, End::DeliveryTimedOut);
    }
    let mut done = if let Some(rule) = hit(RuleKind::CommandFailed) {
        let mut done = part(
            Some(started),
            later(started, lasting(Lasting::Command)),
            End::Failed(rule.exit.unwrap_or(1)),
        );
        done.stderr = rule.output.clone().unwrap_or_else(|| "simulated failure".into());
        if let Work::Install { reboot, snapshot_id } = work {
            let left = state.machines[machine].at(done.ended).patches.missing;
            let change = Change::Installed {
                left,
                failed: left.min(1),
                reboot: *reboot,
                snapshot_id: snapshot_id.clone(),
            };
            done.changes.push((done.ended, change));
        }
        done
    } else if hit(RuleKind::CommandTimedOut).is_some() {
        part(Some(started), later(started, work.limit()), End::ExecutionTimedOut)
    } else {
        match work {
            Work::Other { .. } => {
                let ended = later(started, lasting(Lasting::Command));
                let condition = state.machines[machine].at(ended);
                let end = match (condition.up, condition.healthy) {
                    (true, true) => End::Success,
                    _ => End::Failed(1),
                };
                part(Some(started), ended, end)
            }
            Work::Scan { .. } | Work::Install { .. }
                if state.machines[machine].patching_until.is_some_and(|until| until > started) =>
            {
                // Two patch operations at a time disturb each other (DOMAIN 2.5).
                let mut done = part(Some(started), later(started, Duration::from_secs(10)), End::Failed(1));
                done.stderr = "another patch operation is running".into();
                done
            }
            Work::Scan { snapshot_id } => {
                let ended = later(started, lasting(Lasting::Scan));
                let mut done = part(Some(started), ended, End::Success);
                done.changes.push((ended, Change::Scanned { snapshot_id: snapshot_id.clone() }));
                done
            }
            Work::Install { reboot, snapshot_id } => {
                let before = state.machines[machine].at(started).patches;
                if before.missing == 0 && before.pending_reboot == 0 {
                    let ended = later(started, lasting(Lasting::Scan));
                    let mut done = part(Some(started), ended, End::Success);
                    let nothing = Change::Installed {
                        left: 0,
                        failed: 0,
                        reboot: *reboot,
                        snapshot_id: snapshot_id.clone(),
                    };
                    done.changes.push((ended, nothing));
                    done
                } else {
                    let installed = later(started, lasting(Lasting::Patch));
                    let left = hit(RuleKind::Incomplete).map_or(0, |rule| rule.patches.unwrap_or(1));
                    let left = left.min(before.missing);
                    let mut changes = vec![(
                        installed,
                        Change::Installed {
                            left,
                            failed: 0,
                            reboot: *reboot,
                            snapshot_id: snapshot_id.clone(),
                        },
                    )];
                    if let Some(rule) = hit(RuleKind::UnhealthyAfterPatch) {
                        changes.push((
                            later(installed, rule.after.unwrap_or_default().get()),
                            Change::Health(false),
                        ));
                    }
                    let mut done = part(Some(started), installed, End::Success);
                    if *reboot {
                        let down = later(installed, Duration::from_secs(5));
                        changes.push((down, Change::Down));
                        if hit(RuleKind::SilentAfterReboot).is_some() {
                            (done.ended, done.end) = (given_up, End::DeliveryTimedOut);
                        } else {
                            let up = later(down, lasting(Lasting::Boot));
                            changes.push((up, Change::Up));
                            done.ended = later(up, PICK_UP);
                        }
                    }
                    done.changes = changes;
                    done
                }
            }
        }
    };
    done.shown = done.ended;
    if lost.is_some() {
        (done.shown, done.end) = (given_up.max(done.ended), End::DeliveryTimedOut);
    } else if let Some(rule) = hit(RuleKind::LateResult) {
        done.shown = later(done.ended, rule.after.map_or(LATE, |after| after.get()));
    }
    done
}

impl Part {
    /// How the service shows it.
    pub fn show(&self, now: Timestamp, with_output: bool) -> Invocation {
        let over = now >= self.shown;
        let started = self.started.is_some_and(|at| at <= now);
        let (status, details) = match (over, started) {
            (true, _) => self.end.words(),
            (false, true) => (InvocationStatus::Running, "InProgress"),
            (false, false) => (InvocationStatus::Running, "Pending"),
        };
        let ran = over && !matches!(self.end, End::Undeliverable | End::AccessDenied | End::DeliveryTimedOut);
        Invocation {
            instance: self.machine.clone(),
            status,
            details: details.into(),
            exit_code: match self.end {
                End::Success if over => Some(0),
                End::Failed(code) if over => Some(code),
                _ => None,
            },
            ended_at: ran.then_some(self.ended),
            stdout: (with_output && over).then(String::new),
            stderr: (with_output && over).then(|| self.stderr.clone()),
        }
    }

    /// Somebody asks to cancel it: what has not begun does not, a script is killed, an installation goes on to its
    /// end (DOMAIN 1.5).
    pub fn cancel(&mut self, work: &Work, now: Timestamp) {
        if now >= self.shown {
            return;
        }
        let begun = self.started.is_some_and(|at| at <= now);
        let heard_soon = self.end != End::DeliveryTimedOut;
        if begun && heard_soon && !matches!(work, Work::Other { .. }) {
            return;
        }
        if !begun {
            self.started = None;
        }
        self.end = End::Cancelled;
        self.ended = later(now, Duration::from_secs(5));
        self.shown = self.ended;
    }
}

impl End {
    fn words(self) -> (InvocationStatus, &'static str) {
        match self {
            Self::Success => (InvocationStatus::Succeeded, "Success"),
            Self::Failed(_) => (InvocationStatus::Failed, "Failed"),
            Self::ExecutionTimedOut => (InvocationStatus::ExecutionTimedOut, "ExecutionTimedOut"),
            Self::Undeliverable => (InvocationStatus::NeverRan, "Undeliverable"),
            Self::AccessDenied => (InvocationStatus::Refused, "AccessDenied"),
            Self::DeliveryTimedOut => (InvocationStatus::Unclear, "DeliveryTimedOut"),
            Self::Cancelled => (InvocationStatus::Unclear, "Cancelled"),
        }
    }
}
