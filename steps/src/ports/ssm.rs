//! Systems Manager Run Command, in its own terms.

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
    /// Standard output, if this reading has it.
    pub stdout: Option<String>,
    /// Standard error, if this reading has it.
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

/// Systems Manager Run Command of one account, Region and role.
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

    /// How a command stands on each machine, in as few calls as the server allows; `instances` are asked one by one
    /// where it lacks the batched call. Machines not visible yet are missing.
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
}
