//! What happened to a run. The journal is a list of these; `apply` is the only thing that reads them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    artifact::{Artifact, Makes},
    ids::{RunId, ScopeName, TargetId, TaskName},
    outcome::{ErrorClass, Outcome},
    patchset::{Barred, Tested, Version},
    plan::Link,
};

/// One fact about a run, in the past tense. The journal gives each its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    // ---- facts about the run
    /// The first entry.
    RunStarted {
        /// Its id.
        run: RunId,
        /// The plan's digest; the plan itself is kept beside the journal.
        plan: String,
        /// Who started it.
        by: String,
        /// The run that it rolls back or retries.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        link: Option<Link>,
        /// `--at`: nothing starts before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Timestamp>,
    },
    /// A process took the run up again; what was running is interrupted until looked up.
    RunResumed {
        /// Who.
        by: String,
    },

    // ---- facts about tasks, told by actions
    /// An outside call is about to be made.
    IntentRecorded {
        /// The task.
        task: TaskName,
        /// Its attempt.
        attempt: u32,
        /// Machine, chunk or `""`.
        key: String,
        /// The call, in the service's words.
        call: String,
        /// The token or marker that finds it again.
        token: String,
        /// Exactly these machines.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        targets: Vec<TargetId>,
        /// What the call makes, if it makes something that stays.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        makes: Option<Makes>,
    },
    /// Something was made, or left behind, that stays until it is collected.
    ArtifactsMade {
        /// The task.
        task: TaskName,
        /// Its attempt.
        attempt: u32,
        /// What.
        artifacts: Vec<Artifact>,
    },
    /// Something that a later life of the attempt must know.
    CheckpointRecorded {
        /// The task.
        task: TaskName,
        /// Its attempt.
        attempt: u32,
        /// Machine, chunk or `""`.
        key: String,
        /// What.
        value: Value,
    },
    /// After a resume: the in-flight work of this attempt was found again (or is known not to exist).
    TaskLookedUp {
        /// The task.
        task: TaskName,
        /// Its attempt.
        attempt: u32,
    },
    /// Machines of an attempt came out the same way.
    TargetsReported {
        /// The task.
        task: TaskName,
        /// Its attempt.
        attempt: u32,
        /// Which machines.
        targets: Vec<TargetId>,
        /// What is said of them.
        #[serde(rename = "result")]
        report: Report,
    },
    /// The attempt of a task without targets came out.
    TaskReported {
        /// The task.
        task: TaskName,
        /// Its attempt.
        attempt: u32,
        /// What is said of it.
        #[serde(rename = "result")]
        report: Report,
    },
    /// What a step gives to later ones, for one machine or (with no machine) as a whole.
    OutputsRecorded {
        /// The task.
        task: TaskName,
        /// By machine; the empty name is the task as a whole.
        outputs: BTreeMap<TargetId, Value>,
    },
    /// The machines of a wave were looked at before it; those that are gone or not the planned ones are refused.
    WaveInspected {
        /// The wave.
        scope: ScopeName,
        /// Machine and cause.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        refused: BTreeMap<TargetId, String>,
    },
    /// A notification was delivered.
    NotificationSent {
        /// Its number, counted over the run.
        number: u64,
    },
    /// A notification could not be delivered, after all attempts. A warning.
    NotificationFailed {
        /// Its number.
        number: u64,
        /// Why.
        cause: String,
    },

    // ---- what people said
    /// Somebody approved an open gate (or confirmed a manual one).
    ApprovalGiven {
        /// The gate.
        task: TaskName,
        /// Unix user.
        by: String,
        /// The approver entry that this user satisfies: the user, or `group:NAME`.
        #[serde(rename = "as")]
        role: String,
        /// Comment or evidence.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Somebody rejected an open gate.
    ApprovalRejected {
        /// The gate.
        task: TaskName,
        /// Unix user.
        by: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// Start nothing more, but branches.
    RunPaused {
        /// Who; the gate's name for an expiry that pauses.
        by: String,
        /// The gate whose expiry paused the run: it opens again, without approvals, when the run goes on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gate: Option<TaskName>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
    /// Go on.
    RunUnpaused {
        /// Who.
        by: String,
    },
    /// Somebody took machines out, before their first changing task.
    TargetsExcluded {
        /// Which.
        targets: Vec<TargetId>,
        /// Who.
        by: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    },
    /// Somebody said what became of an unknown machine.
    TargetResolved {
        /// The task whose outcome was unknown.
        task: TaskName,
        /// The machine; absent for a task without targets.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        target: Option<TargetId>,
        /// Whether the effect was applied: then the machine succeeded there, else it failed.
        applied: bool,
        /// Who.
        by: String,
        /// What was seen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    },
    /// End it.
    CancelRequested {
        /// Restore what was changed, else leave it.
        restore: bool,
        /// Who.
        by: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },

    // ---- decisions of the core
    /// A wave begins.
    WaveStarted {
        /// The wave.
        scope: ScopeName,
    },
    /// A wave is over, its branches included; its soak follows.
    WaveEnded {
        /// The wave.
        scope: ScopeName,
        /// How many machines failed in it.
        failed: u32,
    },
    /// An attempt begins, on these machines.
    TaskStarted {
        /// The task.
        task: TaskName,
        /// From 1.
        attempt: u32,
        /// Which machines enter; empty for a task without targets.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        targets: Vec<TargetId>,
        /// Machines that may not enter because their backup is missing: they failed without having started.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        refused: BTreeMap<TargetId, String>,
    },
    /// A gate opened.
    GateOpened {
        /// The gate.
        task: TaskName,
        /// When it gives up.
        until: Timestamp,
        /// The machines that it is about (`gate/manual` as a branch step).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        targets: Vec<TargetId>,
    },
    /// The deadline of an attempt passed: it is being cancelled, and waited for.
    AttemptTimedOut {
        /// The task.
        task: TaskName,
        /// Its attempt.
        attempt: u32,
    },
    /// These machines failed in this task for good (no attempt left): they count against the budget.
    TargetsFailed {
        /// The task.
        task: TaskName,
        /// Which.
        targets: Vec<TargetId>,
    },
    /// Another attempt follows for these machines (none: for the task as a whole).
    RetryScheduled {
        /// The task.
        task: TaskName,
        /// The number of the next attempt.
        attempt: u32,
        /// Which machines.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        targets: Vec<TargetId>,
        /// Not before.
        at: Timestamp,
    },
    /// Nobody can say what became of some machines (or of the task), and no branch restores them: a person is asked.
    OperatorAwaited {
        /// The task.
        task: TaskName,
        /// How long.
        until: Timestamp,
    },
    /// Nobody resolved the unknown machines in time.
    ResolveExpired {
        /// The task.
        task: TaskName,
    },
    /// The rollout's failures exceed its budget.
    BudgetExceeded {
        /// The rollout.
        scope: ScopeName,
        /// Machines that failed.
        failures: u32,
        /// Machines that may.
        limit: u32,
    },
    /// The step that tests patches is over: this is what came out verified there. Other steps install nothing else.
    PatchsetLocked {
        /// The step.
        from: ScopeName,
        /// What.
        tested: Tested,
    },
    /// Machines did not come out well with these versions: they are installed nowhere, from here on.
    PackagesBarred {
        /// Which.
        packages: Vec<Barred>,
    },
    /// More machines came out verified with these versions than failed with them: they are not barred any more.
    PackagesCleared {
        /// Which.
        packages: Vec<Version>,
    },
    /// A task is done on all machines that entered.
    TaskSucceeded {
        /// The task.
        task: TaskName,
    },
    /// A task is done, and at least one machine that entered did not succeed.
    TaskFailed {
        /// The task.
        task: TaskName,
        /// One cause.
        cause: String,
        /// Its kind.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class: Option<ErrorClass>,
    },
    /// A task will not run.
    TaskSkipped {
        /// The task.
        task: TaskName,
        /// Why.
        cause: String,
        /// Whether it satisfies what needs it (`when:`, `--limit`).
        satisfies: bool,
    },
    /// A task was pending when the run was cancelled.
    TaskCancelled {
        /// The task.
        task: TaskName,
    },
    /// What was changed is being undone, newest wave first.
    RollbackBegun {
        /// Why.
        cause: String,
    },
    /// How the run ends; `finally` is done, the last notifications follow.
    OutcomeDecided {
        /// The end.
        status: RunEnd,
        /// One cause, unless it succeeded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<String>,
    },
    /// The last entry: the journal never reopens.
    RunFinished {
        /// The end, again.
        status: RunEnd,
    },
}

/// What an action says of machines, or of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// How it came out.
    pub outcome: Outcome,
    /// Why not, by class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ErrorClass>,
    /// Why not, in one lower-case sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// When the remote side finished, if it says so; deadlines are judged by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// It is certain that nothing was applied, whatever the class says (a lock that was held while lists were brought up to
    /// date): nothing has to be restored for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untouched: bool,
}

impl Report {
    /// It worked.
    pub fn succeeded() -> Self {
        Self { outcome: Outcome::Succeeded, class: None, cause: None, finished_at: None, untouched: false }
    }

    /// It did not.
    pub fn failed(outcome: Outcome, class: ErrorClass, cause: impl Into<String>) -> Self {
        Self { outcome, class: Some(class), cause: Some(cause.into()), finished_at: None, untouched: false }
    }

    /// With the word that nothing was applied.
    #[must_use]
    pub fn with_nothing_applied(mut self) -> Self {
        self.untouched = true;
        self
    }

    /// Whether it is certain that nothing was applied.
    pub fn proves_nothing_applied(&self) -> bool {
        self.untouched || self.class.is_some_and(ErrorClass::proves_nothing_applied)
    }

    /// With the moment at which the remote side finished.
    #[must_use]
    pub fn at(mut self, finished_at: Timestamp) -> Self {
        self.finished_at = Some(finished_at);
        self
    }
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// A person is needed.
    Stuck,
    /// A person ended it.
    Cancelled,
    /// Over budget, and everything changed and unverified is restored.
    Restored,
    /// Over budget otherwise, or a gate refused.
    Failed,
    /// Done.
    Succeeded,
}

impl RunEnd {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stuck => "stuck",
            Self::Cancelled => "cancelled",
            Self::Restored => "restored",
            Self::Failed => "failed",
            Self::Succeeded => "succeeded",
        }
    }

    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::Restored | Self::Failed => 10,
            Self::Stuck => 11,
            Self::Cancelled => 13,
        }
    }
}
