//! What goes wrong: the `faults:` of a fleet file.

use std::fmt;

use runbook_engine::duration::Span;
use serde::{Deserialize, Serialize};

/// One thing that goes wrong, and where.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// What.
    pub kind: RuleKind,
    /// In which step: its last id, its path, or the task's whole name; absent: in every one.
    #[serde(default)]
    pub step: Option<String>,
    /// On which machines: name, id, group, or `group/3` for the third of a group; absent: on every one.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Only on so many of these machines, drawn from the seed.
    #[serde(default)]
    pub count: Option<u32>,
    /// In which attempt of the step; absent: in every one.
    #[serde(default)]
    pub attempt: Option<u32>,
    /// How many times: for each machine, or for each call where the kind is about calls. Absent: always; for the
    /// kinds about calls, once.
    #[serde(default)]
    pub times: Option<u32>,
    /// How much later, where the kind says so.
    #[serde(default)]
    pub after: Option<Span>,
    /// Which call, where the kind is about calls: `ssm:SendCommand`. Absent: every one that writes.
    #[serde(default)]
    pub call: Option<String>,
    /// With which job, where the kind is about jobs on hosts: `install`, `install-back`, `repair`, `refresh`, `keep`,
    /// `script`, `reboot`, `capture`, `revert`.
    #[serde(default)]
    pub job: Option<String>,
    /// Of which document, where the kind is about commands.
    #[serde(default)]
    pub document: Option<String>,
    /// The exit code (`command_failed`; 1).
    #[serde(default)]
    pub exit: Option<i32>,
    /// What is printed on standard error (`command_failed`), or why (`snapshot_error`, `backup_failed`,
    /// `backup_issues`, `restore_failed` of AWS Backup).
    #[serde(default)]
    pub output: Option<String>,
    /// Whether the command ran all the same (`delivery_timed_out`), or the call took effect (`server_error`).
    #[serde(default)]
    pub ran: Option<bool>,
    /// How many patches stay missing (`incomplete`; 1).
    #[serde(default)]
    pub patches: Option<u32>,
}

/// Kinds of things that go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleKind {
    /// A command ends with another exit code. Patches: none is installed, one is counted as failed.
    CommandFailed,
    /// A command runs into its execution time-out and is killed.
    CommandTimedOut,
    /// A command ends as `Undeliverable`: it never ran.
    Undeliverable,
    /// A command ends as `AccessDenied`: it never ran, and will not.
    Refused,
    /// A command ends as `DeliveryTimedOut`, and nobody can tell whether it ran.
    DeliveryTimedOut,
    /// The command did its work, and the service shows it as running for `after` longer (30m).
    LateResult,
    /// A command is not begun: its errors went over the limit before.
    Terminated,
    /// A command asks for a reboot (exit 194): the agent runs it again after the boot, and both passes print. Of
    /// patch operations, only an installation that may reboot does.
    RebootsAndRepeats,
    /// The command did its work, and the service shows it for `after` longer (30m) in a status that no client knows.
    StrangeStatus,
    /// A machine's part of a command is missing in lists for `after` (30s).
    LatePart,
    /// The report of a patch operation reaches the service `after` later (10m).
    LateReport,
    /// Somebody else's scan, `after` our patch operation (1m), takes the place of its report.
    ForeignScan,
    /// Somebody else installs patches, `after` the beginning of the world.
    ForeignPatching,
    /// The machine is not registered: a command that names it is refused as a whole.
    Unmanaged,
    /// The agent ends `after` the beginning of the world, until the next boot. The machine is well.
    AgentLost,
    /// The machine reboots and is not heard of again, until it is restored.
    SilentAfterReboot,
    /// The snapshots of a machine end in `error`.
    SnapshotError,
    /// They stay `pending` for `after` longer (4h).
    SnapshotSlow,
    /// They are refused: too many are pending.
    ConcurrentSnapshots,
    /// After the patches the machine is sick: at once, or `after` later. With `step`, also after that step's program on
    /// the runner (`local/command`); the next program that succeeds for the machine mends that.
    UnhealthyAfterPatch,
    /// The machine is sick from the beginning of the world, or from `after` later, until it is restored.
    Unhealthy,
    /// The installation succeeds and leaves `patches` missing.
    Incomplete,
    /// The restore fails, and the machine stays as it was: the replacement of the root volume, the job of AWS Backup, or
    /// the volumes that are made from its snapshots, which end in `error`.
    RestoreFailed,
    /// A snapshot cannot replace the root volume: it is not one of the machine's own root volumes, but of a copy.
    ForeignLineage,
    /// The replacement of the root volume fails, and leaves the machine without one.
    RestoreDetached,
    /// The instance is not started: there is no capacity.
    NoCapacity,
    /// A job of AWS Backup waits `after` longer (1h) before it starts, and expires if that is after its window.
    BackupLate,
    /// It fails.
    BackupFailed,
    /// It is completed, with issues.
    BackupIssues,
    /// A recovery point is to be deleted, and stays as `EXPIRED`.
    BackupUndeletable,
    /// The restore succeeds, and the machine is sick all the same.
    SickAfterRestore,
    /// The machine is gone when somebody looks before its wave, or `after` the beginning of the world: only then it is
    /// gone for everybody, as it is on AWS.
    Missing,
    /// The machine has another image than the planned one when somebody looks before its wave, or `after` the beginning of
    /// the world. AWS is asked the same at both times: on the wire, `after` makes the difference.
    Replaced,
    /// A call is refused for its rate.
    Throttled,
    /// A call takes effect, and its answer is lost.
    AnswerLost,
    /// A call is lost on its way, and looks as if its answer were lost.
    RequestLost,
    /// The service fails (500) after the call took effect; with `ran: false`, before.
    ServerError,
    /// The right to a call is missing, also in a dry run. Always, unless `times` is stated.
    Denied,
    /// The credentials of a call have expired.
    CredentialsExpired,
    /// A quota is used up.
    QuotaExceeded,
    /// What a call makes is found by reads `after` later than usual (30s).
    SlowListing,
    /// A host does not answer from `after` the beginning of the world on, or only not in that step.
    Unreachable,
    /// A host shows another key than the known one.
    HostKeyChanged,
    /// `sudo` wants a password on a host.
    SudoRefused,
    /// A host is cut off as soon as a job has begun on it, which goes on; it is reached again `after` later (never).
    CutOff,
    /// Somebody else holds the lock of a host's package manager as long as anybody waits for it.
    LockHeld,
    /// There is no room left on a host when packages are installed or kept.
    DiskFull,
    /// A transaction ends in the middle, with half of its packages.
    HalfDone,
    /// A job on a host is killed in the middle, …
    JobKilled,
    /// … or the host reboots in the middle of it.
    RebootsInJob,
    /// A package file that is to be kept is not to be had any more.
    PackageLost,
    /// From `after` the beginning of the world on the repositories have later versions, and not those of before.
    Republished,
}

impl RuleKind {
    /// Whether it is about calls (else about machines).
    pub fn is_about_calls(self) -> bool {
        matches!(
            self,
            Self::Throttled
                | Self::AnswerLost
                | Self::RequestLost
                | Self::ServerError
                | Self::Denied
                | Self::CredentialsExpired
                | Self::QuotaExceeded
                | Self::SlowListing
        )
    }

    /// Whether it is about commands.
    fn is_about_commands(self) -> bool {
        matches!(
            self,
            Self::CommandFailed
                | Self::CommandTimedOut
                | Self::Undeliverable
                | Self::Refused
                | Self::DeliveryTimedOut
                | Self::LateResult
                | Self::Terminated
                | Self::RebootsAndRepeats
                | Self::StrangeStatus
                | Self::LatePart
                | Self::LateReport
                | Self::ForeignScan
        )
    }

    /// Whether a later look at the machine, not a step, brings it about.
    pub fn is_standing(self) -> bool {
        matches!(
            self,
            Self::Unhealthy
                | Self::Missing
                | Self::Replaced
                | Self::ForeignPatching
                | Self::Unmanaged
                | Self::AgentLost
                | Self::Republished
        ) || self.is_about_reach()
    }

    /// Whether it is about jobs on hosts.
    fn is_about_jobs(self) -> bool {
        matches!(
            self,
            Self::CutOff | Self::LockHeld | Self::JobKilled | Self::RebootsInJob | Self::CommandFailed
        )
    }

    /// Whether a host is not reached: in one step, where one is named.
    fn is_about_reach(self) -> bool {
        matches!(self, Self::Unreachable | Self::HostKeyChanged | Self::SudoRefused)
    }
}

impl fmt::Display for RuleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl FaultRule {
    /// A field that does not go with the kind.
    pub fn misplaced_field(&self) -> Option<&'static str> {
        use RuleKind::{
            AgentLost, BackupFailed, BackupIssues, BackupLate, CommandFailed, CutOff, DeliveryTimedOut,
            ForeignPatching, ForeignScan, Incomplete, LatePart, LateReport, LateResult, Missing,
            RebootsAndRepeats, Replaced, Republished, RestoreFailed, ServerError, SlowListing, SnapshotError,
            SnapshotSlow, StrangeStatus, Unhealthy, UnhealthyAfterPatch,
        };
        let kind = self.kind;
        let only = |given: bool, fits: bool, field| (given && !fits).then_some(field);
        let takes_after = matches!(
            kind,
            UnhealthyAfterPatch
                | Unhealthy
                | Missing
                | Replaced
                | LateResult
                | StrangeStatus
                | LatePart
                | LateReport
                | ForeignScan
                | ForeignPatching
                | AgentLost
                | SnapshotSlow
                | BackupLate
                | SlowListing
                | CutOff
                | Republished
        ) || kind.is_about_reach();
        let takes_output = matches!(
            kind,
            CommandFailed | SnapshotError | BackupFailed | BackupIssues | RestoreFailed | RebootsAndRepeats
        );
        only(self.after.is_some(), takes_after, "after")
            .or_else(|| only(self.call.is_some(), kind.is_about_calls(), "call"))
            .or_else(|| only(self.document.is_some(), kind.is_about_commands(), "document"))
            .or_else(|| only(self.job.is_some(), kind.is_about_jobs(), "job"))
            .or_else(|| only(self.exit.is_some(), kind == CommandFailed, "exit"))
            .or_else(|| only(self.output.is_some(), takes_output, "output"))
            .or_else(|| only(self.ran.is_some(), matches!(kind, DeliveryTimedOut | ServerError), "ran"))
            .or_else(|| only(self.patches.is_some(), kind == Incomplete, "patches"))
            .or_else(|| only(self.step.is_some(), !kind.is_standing() || kind.is_about_reach(), "step"))
            .or_else(|| only(self.attempt.is_some(), !kind.is_standing() || kind.is_about_reach(), "attempt"))
            .or_else(|| only(self.times.is_some(), !kind.is_standing(), "times"))
    }

    /// Whether it is meant for this task, in some attempt.
    pub fn may_strike_in(&self, task: &str) -> bool {
        self.step.as_deref().is_none_or(|step| names_step(step, task))
    }

    /// How often it strikes at most; `None`: always.
    pub(super) fn limit(&self) -> Option<u32> {
        let once = self.kind.is_about_calls() && self.kind != RuleKind::Denied;
        self.times.or_else(|| once.then_some(1))
    }
}

/// Who asks: the task and its attempt. A world that is asked without it (a test of one action) takes every rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label {
    /// The task.
    pub task: String,
    /// Its attempt.
    pub attempt: u32,
}

impl FaultRule {
    /// Whether it is meant for this task and attempt.
    pub(super) fn fits(&self, label: Option<&Label>) -> bool {
        label.is_none_or(|label| {
            self.step.as_deref().is_none_or(|step| names_step(step, &label.task))
                && self.attempt.is_none_or(|attempt| attempt == label.attempt)
        })
    }
}

/// Whether `wanted` is a task's whole name, its step's path (waves left out), or the last part of it.
pub(super) fn names_step(wanted: &str, task: &str) -> bool {
    if wanted == task || task.rsplit('/').next() == Some(wanted) {
        return true;
    }
    let is_cut = |part: &str| {
        ["wave-", "part-"]
            .iter()
            .any(|mark| part.strip_prefix(mark).is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())))
    };
    let mut path = task.split('/').filter(|part| !is_cut(part));
    let mut parts = wanted.split('/');
    loop {
        match (parts.next(), path.next()) {
            (None, None) => return true,
            (a, b) if a == b => {}
            _ => return false,
        }
    }
}
