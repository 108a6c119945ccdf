//! What an action may ask of the engine while it works.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{
    artifact::{Artifact, Makes},
    ids::{RunId, TargetId, TaskName},
    outcome::Effect,
    run::event::Report,
};
use serde_json::Value;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{action::Failure, ports::Ports};

/// The journal, as one attempt sees it. Every call returns only after its batch is durable.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Journals that a call is about to be made, for exactly these machines.
    async fn intent(&self, intent: Intent) -> Result<(), Failure>;
    /// Journals what a call made that stays until it is collected (or what it left behind): it is in the artifact
    /// ledger from then on. Told twice, it is one entry.
    async fn made(&self, artifacts: Vec<Artifact>) -> Result<(), Failure>;
    /// Journals what a later life of this attempt must know, by machine, chunk or `""`. Its field `log`, under a key
    /// `machine/what`, is what `runbook logs` shows of the machine.
    async fn checkpoint(&self, key: &str, value: Value) -> Result<(), Failure>;
    /// Journals how machines came out (in groups: one call for many).
    async fn report(&self, targets: Vec<TargetId>, report: Report) -> Result<(), Failure>;
    /// Journals outputs by machine.
    async fn outputs(&self, outputs: BTreeMap<TargetId, Value>) -> Result<(), Failure>;
    /// Journals that after a resume the in-flight work was found, or is known not to exist. Reports and checkpoints may
    /// come before it. An action without an intent has nothing in flight: it starts anew, with its whole time.
    async fn looked_up(&self) -> Result<(), Failure>;
    /// Says when the remote side of a task without machines finished: what `execute` returns is then judged by that
    /// time, as a machine is by the `finished_at` of its report. Not journaled before `execute` returns.
    fn finished_at(&self, _at: Timestamp) {}
    /// Shows a line that a machine printed just now to whoever watches. It is not journaled, and may be lost.
    fn heard(&self, _target: &TargetId, _line: &str) {}
}

/// A call that is about to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Machine, chunk or `""`.
    pub key: String,
    /// `ssm:SendCommand`.
    pub call: &'static str,
    /// The token or marker that finds it again.
    pub token: String,
    /// Exactly these machines.
    pub targets: Vec<TargetId>,
    /// What the call makes, if it makes something that stays: the artifact ledger knows it from then on.
    pub makes: Option<Makes>,
}

/// Why an attempt must stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StopReason {
    /// It must not.
    #[default]
    None,
    /// Its deadline passed: cancel the remote work, wait until it is terminal, report.
    TimedOut,
    /// The run was cancelled: end what only reads; let a change end by itself.
    Cancelled,
    /// The process stops: let the call in progress return and be journaled, then return [`Failure::Detached`].
    Detach,
}

/// The context of one attempt.
#[derive(Clone)]
pub struct Context {
    /// The run.
    pub run: RunId,
    /// The task.
    pub task: TaskName,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Whether an earlier process began this attempt.
    pub resumed: bool,
    /// The stage: the first part of the task's name.
    pub stage: String,
    /// What the step does to machines, by its action or by its author.
    pub effect: Effect,
    /// When the first task of the stage began, as the journal has it.
    pub stage_began: Timestamp,
    /// The id of the state folder: the tag `runbook:store`.
    pub store: Arc<str>,
    /// When the attempt is over.
    pub deadline: Timestamp,
    /// The outside world.
    pub ports: Ports,
    /// Limits and times that tests change.
    pub settings: Arc<Settings>,
    /// What this attempt journaled before: checkpoints and intents by key.
    pub memory: Arc<Memory>,
    /// The journal.
    pub ledger: Arc<dyn Ledger>,
    /// Whether to stop.
    pub stop: watch::Receiver<StopReason>,
}

/// What an attempt journaled in an earlier life (and in this one, up to its start).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// The latest checkpoint of each key.
    pub checkpoints: BTreeMap<String, Value>,
    /// The latest intent of each key: time and intent.
    pub intents: BTreeMap<String, RecordedIntent>,
}

/// An intent found in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedIntent {
    /// When it was journaled.
    pub at: Timestamp,
    /// The call.
    pub call: String,
    /// Its token.
    pub token: String,
    /// Its machines.
    pub targets: Vec<TargetId>,
}

/// Limits and times that are facts of the installation, not of the runbook.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long to wait between two searches before "not found" means "not applied".
    pub settle: std::time::Duration,
    /// How many machines one task works on at a time, where the action works once per machine.
    pub concurrency: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { settle: std::time::Duration::from_secs(60), concurrency: 64 }
    }
}

impl Context {
    /// The token of one call: UUIDv5 over run, task, attempt, target or chunk, and call; the same in every life.
    pub fn token(&self, key: &str, call: &str) -> Uuid {
        let name = format!("{}\n{}\n{}\n{key}\n{call}", self.run, self.task, self.attempt);
        Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())
    }

    /// What an earlier life (or this one before it was called) checkpointed under this key.
    pub fn recall(&self, key: &str) -> Option<&Value> {
        self.memory.checkpoints.get(key)
    }

    /// Why to stop, now. A deadline that has passed counts before anybody has said so: behind a jump of the clock, nothing
    /// new is begun while the word is still on its way.
    pub fn stopping(&self) -> StopReason {
        match *self.stop.borrow() {
            StopReason::None if self.now() >= self.deadline => StopReason::TimedOut,
            reason => reason,
        }
    }

    /// Completes when the attempt must stop.
    pub async fn stopped(&self) -> StopReason {
        let mut stop = self.stop.clone();
        match stop.wait_for(|reason| *reason != StopReason::None).await {
            Ok(reason) => *reason,
            Err(_) => StopReason::Detach,
        }
    }

    /// The world's time.
    pub fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// Sleeps, unless the attempt must stop first; says whether it slept to the end.
    pub async fn sleep(&self, time: std::time::Duration) -> bool {
        tokio::select! {
            biased;
            () = self.ports.clock.sleep(time) => true,
            _ = self.stopped() => false,
        }
    }
}
