//! The journal, as one attempt sees it: every fact goes through the coordinator's queue and comes back durable.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{
    artifact::Artifact,
    ids::{RunId, TargetId, TaskName},
    run::event::{Event, Report},
};
use runbook_steps::{
    action::Failure,
    context::{Intent, Ledger},
};
use serde_json::Value;
use tokio::sync::{mpsc::UnboundedSender, oneshot};

use super::{
    message::{Answer, Fact, Message},
    observer::Heard,
};

/// The ledger of one attempt.
pub(super) struct AttemptLedger {
    pub run: RunId,
    pub task: TaskName,
    pub attempt: u32,
    pub queue: UnboundedSender<Message>,
    /// What the action says of when the remote side finished; the first word holds.
    pub finished_at: Arc<OnceLock<Timestamp>>,
    /// The planned machines in whose places new ones stand, by their new ids: actions speak of the new ones, the run
    /// knows the planned ones.
    pub planned: BTreeMap<TargetId, TargetId>,
}

impl AttemptLedger {
    fn planned(&self, id: TargetId) -> TargetId {
        self.planned.get(&id).cloned().unwrap_or(id)
    }

    fn all_planned(&self, ids: Vec<TargetId>) -> Vec<TargetId> {
        ids.into_iter().map(|id| self.planned(id)).collect()
    }

    async fn tell(&self, event: Event) -> Result<(), Failure> {
        let (answer, answered) = oneshot::channel();
        let fact = Fact { event, answer: Answer::Ledger(answer) };
        self.queue.send(Message::Fact(self.run.clone(), fact)).map_err(|_| Failure::Detached)?;
        answered.await.unwrap_or(Err(Failure::Detached))
    }
}

#[async_trait]
impl Ledger for AttemptLedger {
    async fn intent(&self, intent: Intent) -> Result<(), Failure> {
        self.tell(Event::IntentRecorded {
            task: self.task.clone(),
            attempt: self.attempt,
            key: intent.key,
            call: intent.call.to_owned(),
            token: intent.token,
            targets: self.all_planned(intent.targets),
            makes: intent.makes,
        })
        .await
    }

    async fn made(&self, artifacts: Vec<Artifact>) -> Result<(), Failure> {
        if artifacts.is_empty() {
            return Ok(());
        }
        let artifacts = artifacts
            .into_iter()
            .map(|artifact| Artifact { target: self.planned(artifact.target.clone()), ..artifact })
            .collect();
        self.tell(Event::ArtifactsMade { task: self.task.clone(), attempt: self.attempt, artifacts }).await
    }

    async fn checkpoint(&self, key: &str, value: Value) -> Result<(), Failure> {
        let (task, key) = (self.task.clone(), key.to_owned());
        self.tell(Event::CheckpointRecorded { task, attempt: self.attempt, key, value }).await
    }

    async fn report(&self, targets: Vec<TargetId>, report: Report) -> Result<(), Failure> {
        if targets.is_empty() {
            return Ok(());
        }
        let targets = self.all_planned(targets);
        self.tell(Event::TargetsReported { task: self.task.clone(), attempt: self.attempt, targets, report })
            .await
    }

    async fn outputs(&self, outputs: BTreeMap<TargetId, Value>) -> Result<(), Failure> {
        let outputs = outputs.into_iter().map(|(id, value)| (self.planned(id), value)).collect();
        self.tell(Event::OutputsRecorded { task: self.task.clone(), outputs }).await
    }

    async fn looked_up(&self) -> Result<(), Failure> {
        self.tell(Event::TaskLookedUp { task: self.task.clone(), attempt: self.attempt }).await
    }

    fn finished_at(&self, at: Timestamp) {
        let _ = self.finished_at.set(at);
    }

    fn heard(&self, target: &TargetId, line: &str) {
        let (task, target) = (self.task.clone(), self.planned(target.clone()));
        let heard = Heard { task, target, line: line.to_owned() };
        // A coordinator that is gone shows nothing any more.
        let _ = self.queue.send(Message::Heard(self.run.clone(), heard));
    }
}

/// The ledger of a notification: it has no task, and a repeated one does no harm.
pub(super) struct NoLedger;

#[async_trait]
impl Ledger for NoLedger {
    async fn intent(&self, _intent: Intent) -> Result<(), Failure> {
        Ok(())
    }

    async fn made(&self, _artifacts: Vec<Artifact>) -> Result<(), Failure> {
        Ok(())
    }

    async fn checkpoint(&self, _key: &str, _value: Value) -> Result<(), Failure> {
        Ok(())
    }

    async fn report(&self, _targets: Vec<TargetId>, _report: Report) -> Result<(), Failure> {
        Ok(())
    }

    async fn outputs(&self, _outputs: BTreeMap<TargetId, Value>) -> Result<(), Failure> {
        Ok(())
    }

    async fn looked_up(&self) -> Result<(), Failure> {
        Ok(())
    }
}
