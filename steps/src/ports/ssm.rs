//! Systems Manager: Run Command, agents and patch states, in its own terms.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use super::fault::Fault;

/// A command to send. There is no client token: the comment is the marker that finds it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendCommand {
    /// Document name.
    pub document: String,
    /// At most 50 instances.
    pub instances: Vec<TargetId>,
    /// Parameters: lists of texts.
    pub parameters: BTreeMap<String, Vec<String>>,
    /// At most 100 characters.
    pub comment: String,
    /// Delivery time-out: 30 s to 30 days.
    pub delivery_timeout: Duration,
}

/// A command as `ListCommands` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRow {
    /// Its id.
    pub command_id: String,
    /// Its comment.
    pub comment: String,
    /// The document.
    pub document: String,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// The instances that it was sent to, as far as the service lists them.
    pub instances: Vec<TargetId>,
    /// How far it is, where the service counts.
    pub progress: Option<Progress>,
}

/// How far a command is, by its counters. They come later than what they count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// TargetCount: how many machines it was sent to.
    pub targets: u32,
    /// CompletedCount: on how many it has ended, however.
    pub completed: u32,
    /// ErrorCount and DeliveryTimedOutCount together. A machine that it never reached is in neither.
    pub errors: u32,
}

impl Progress {
    /// Whether it has ended on every machine.
    pub fn is_complete(self) -> bool {
        self.targets > 0 && self.completed >= self.targets
    }
}

/// One machine's part of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The machine.
    pub instance: TargetId,
    /// What became of it.
    pub status: InvocationStatus,
    /// `StatusDetails` as sent.
    pub details: String,
    /// The exit code, once it ran.
    pub exit_code: Option<i32>,
    /// When it ended, if the service says so.
    pub ended_at: Option<Timestamp>,
    /// Standard output of the step that tells how the document ended, where this reading has all of it.
    pub stdout: Option<String>,
    /// Its standard error, where this reading has all of it.
    pub stderr: Option<String>,
}

/// What became of one machine's part, by `StatusDetails`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvocationStatus {
    /// Pending, in progress, delayed, cancelling, or a word that we do not know.
    Running,
    /// Success.
    Succeeded,
    /// Failed: it ran and ended with another code.
    Failed,
    /// ExecutionTimedOut: it was killed.
    ExecutionTimedOut,
    /// Undeliverable or Terminated: it never ran.
    NeverRan,
    /// InvalidPlatform or AccessDenied: it never ran, and will not.
    Refused,
    /// DeliveryTimedOut or Cancelled: it may have run.
    Unclear,
}

/// Whether the agent of a machine is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentInfo {
    /// The machine.
    pub instance: TargetId,
    /// `PingStatus` is `Online`.
    pub online: bool,
    /// The last ping.
    pub last_ping: Option<Timestamp>,
}

/// The patch state of a machine (`DescribeInstancePatchStates`): what its last patch operation reported, whoever began
/// that operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchState {
    /// The machine.
    pub instance: TargetId,
    /// Its patch group.
    pub patch_group: String,
    /// The baseline that it was held against.
    pub baseline: String,
    /// `Scan` or `Install`.
    pub operation: String,
    /// The patch snapshot id of the operation.
    pub snapshot_id: Option<String>,
    /// When the operation began.
    pub started_at: Option<Timestamp>,
    /// When the operation ended.
    pub ended_at: Option<Timestamp>,
    /// MissingCount.
    pub missing: u64,
    /// FailedCount.
    pub failed: u64,
    /// InstalledPendingRebootCount.
    pub pending_reboot: u64,
    /// CriticalNonCompliantCount.
    pub critical: u64,
    /// SecurityNonCompliantCount.
    pub security: u64,
    /// OtherNonCompliantCount.
    pub other: u64,
    /// RebootOption of the last installation: `RebootIfNeeded` or `NoReboot`.
    pub reboot_option: Option<String>,
}

/// Systems Manager of one account, Region and role.
#[async_trait]
pub trait Ssm: Send + Sync {
    /// Sends a command to at most 50 instances; its id. Never repeated by the adapter.
    ///
    /// # Errors
    /// [`Fault`]; `Ambiguous` means that it may have been sent.
    async fn send_command(&self, command: SendCommand) -> Result<String, Fault>;

    /// Commands with this document asked for since then, all pages.
    ///
    /// # Errors
    /// [`Fault`].
    async fn list_commands(&self, document: &str, since: Timestamp) -> Result<Vec<CommandRow>, Fault>;

    /// Every command that is being executed now (`ExecutionStage` = `Executing`) and was asked for since then, whoever
    /// sent it, all pages. Of one that was sent to tags, `instances` is empty: [`Ssm::invocations`] has them.
    ///
    /// # Errors
    /// [`Fault`].
    async fn executing(&self, since: Option<Timestamp>) -> Result<Vec<CommandRow>, Fault>;

    /// How a command stands on these machines (none named: on all), in as few calls as the server allows; `instances`
    /// are asked one by one where it lacks the batched call. Machines not visible yet are missing. A part that ended has
    /// what it printed, unless that may have been cut short (2,500 characters in all): then [`Ssm::invocation`] has it.
    ///
    /// # Errors
    /// [`Fault`].
    async fn invocations(&self, command_id: &str, instances: &[TargetId]) -> Result<Vec<Invocation>, Fault>;

    /// One machine's part with its output: at most 24,000 characters of stdout and 8,000 of stderr.
    ///
    /// # Errors
    /// [`Fault`].
    async fn invocation(&self, command_id: &str, instance: &TargetId) -> Result<Invocation, Fault>;

    /// Cancels a command on these instances, best effort.
    ///
    /// # Errors
    /// [`Fault`].
    async fn cancel_command(&self, command_id: &str, instances: &[TargetId]) -> Result<(), Fault>;

    /// Which of these machines' agents are heard.
    ///
    /// # Errors
    /// [`Fault`].
    async fn agents(&self, instances: &[TargetId]) -> Result<Vec<AgentInfo>, Fault>;

    /// Patch states, fifty machines a call. Machines that never reported one are left out.
    ///
    /// # Errors
    /// [`Fault`].
    async fn patch_states(&self, instances: &[TargetId]) -> Result<Vec<PatchState>, Fault>;
}
