//! A journal in memory, with a fuse.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{artifact::Artifact, ids::TargetId, run::event::Report};
use runbook_steps::{
    action::Failure,
    context::{Intent, Ledger, Memory, RecordedIntent},
    ports::clock::Clock,
};
use serde_json::Value;
use tokio::sync::watch;

/// What one attempt journaled, over all its lives.
#[derive(Debug, Default)]
pub struct Journal {
    recorded: Mutex<Recorded>,
}

/// Everything that is durable.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// Checkpoints and intents.
    pub memory: Memory,
    /// How machines came out.
    pub reports: BTreeMap<TargetId, Report>,
    /// What they gave.
    pub outputs: BTreeMap<TargetId, Value>,
    /// What was made.
    pub artifacts: Vec<Artifact>,
    /// How often in-flight work was said to be looked up.
    pub looked_up: usize,
    /// How many entries there are.
    pub entries: usize,
    /// When the remote side finished, as each life said it.
    pub finished_at: Vec<Timestamp>,
}

impl Journal {
    /// What is durable now.
    pub fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The journal, as one life of the attempt sees it.
pub struct Hand {
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    /// How many points are still passed before the process dies.
    fuse: Mutex<Option<usize>>,
    /// Becomes true when it does.
    dead: watch::Sender<bool>,
}

impl Hand {
    /// A hand that writes into this journal, and dies after so many points.
    pub fn new(journal: Arc<Journal>, clock: Arc<dyn Clock>, fuse: Option<usize>) -> Self {
        Self { journal, clock, fuse: Mutex::new(fuse), dead: watch::Sender::new(false) }
    }

    /// Completes when the process dies.
    pub async fn death(&self) {
        let _ = self.dead.subscribe().wait_for(|dead| *dead).await;
    }

    async fn point(&self) {
        let dies = {
            let mut fuse = self.fuse.lock().unwrap_or_else(PoisonError::into_inner);
            match fuse.as_mut() {
                None => false,
                Some(0) => true,
                Some(left) => {
                    *left -= 1;
                    false
                }
            }
        };
        if dies {
            self.dead.send_replace(true);
        }
        if *self.dead.borrow() {
            std::future::pending::<()>().await;
        }
    }

    async fn write(&self, entry: impl FnOnce(&mut Recorded)) -> Result<(), Failure> {
        self.point().await;
        {
            let mut recorded = self.journal.recorded();
            entry(&mut recorded);
            recorded.entries += 1;
        }
        self.point().await;
        Ok(())
    }
}

#[async_trait]
impl Ledger for Hand {
    async fn intent(&self, intent: Intent) -> Result<(), Failure> {
        let at: Timestamp = self.clock.now();
        self.write(|recorded| {
            let Intent { key, call, token, targets, makes: _ } = intent;
            let call = call.to_owned();
            recorded.memory.intents.insert(key, RecordedIntent { at, call, token, targets });
        })
        .await
    }

    async fn made(&self, artifacts: Vec<Artifact>) -> Result<(), Failure> {
        self.write(|recorded| {
            for artifact in artifacts {
                if !recorded.artifacts.contains(&artifact) {
                    recorded.artifacts.push(artifact);
                }
            }
        })
        .await
    }

    async fn checkpoint(&self, key: &str, value: Value) -> Result<(), Failure> {
        self.write(|recorded| {
            recorded.memory.checkpoints.insert(key.to_owned(), value);
        })
        .await
    }

    async fn report(&self, targets: Vec<TargetId>, report: Report) -> Result<(), Failure> {
        self.write(|recorded| {
            for target in targets {
                let twice = recorded.reports.insert(target.clone(), report.clone());
                assert_eq!(twice, None, "{target} was reported before");
            }
        })
        .await
    }

    async fn outputs(&self, outputs: BTreeMap<TargetId, Value>) -> Result<(), Failure> {
        self.write(|recorded| recorded.outputs.extend(outputs)).await
    }

    async fn looked_up(&self) -> Result<(), Failure> {
        self.write(|recorded| recorded.looked_up += 1).await
    }

    fn finished_at(&self, at: Timestamp) {
        self.journal.recorded().finished_at.push(at);
    }
}
