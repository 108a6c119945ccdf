//! Asking hosts how they are.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use runbook_engine::{
    ids::TargetId,
    target::{Home, Target},
};
use runbook_steps::ports::linux::{Facts, Linux};
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

/// How many hosts are asked at a time: as many connections as a bastion bears without a word with its keeper.
const AT_A_TIME: usize = 16;

/// How long one host may take for all of its answers.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a host said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// What it is, and how it stands.
    pub facts: Facts,
    /// How many packages wait to be installed, by the lists that the host has, without those that it holds back.
    pub pending: usize,
    /// How many of them repair a vulnerability.
    pub security: usize,
}

/// Asks every host among these machines; nothing on them is changed. Who gives no answer is told with the cause.
pub async fn gather(
    linux: &Arc<dyn Linux>,
    machines: &[Target],
) -> BTreeMap<TargetId, Result<Gathered, String>> {
    let room = Arc::new(Semaphore::new(AT_A_TIME));
    let mut asked = JoinSet::new();
    for target in machines.iter().filter(|target| matches!(target.home, Home::Host { .. })).cloned() {
        let (linux, room) = (Arc::clone(linux), Arc::clone(&room));
        asked.spawn(async move {
            // The semaphore is never closed.
            let _turn = room.acquire_owned().await;
            let answer = timeout(PATIENCE, ask(&*linux, &target)).await;
            let silent = |_| Err(format!("it did not answer within {} s", PATIENCE.as_secs()));
            (target.id, answer.unwrap_or_else(silent))
        });
    }
    let mut gathered = BTreeMap::new();
    while let Some(answer) = asked.join_next().await {
        if let Ok((id, answer)) = answer {
            gathered.insert(id, answer);
        }
    }
    gathered
}

async fn ask(linux: &dyn Linux, target: &Target) -> Result<Gathered, String> {
    let facts = linux.facts(target).await.map_err(|fault| fault.message)?;
    let updates = linux.pending(target).await.map_err(|fault| fault.message)?;
    let waiting: Vec<_> = updates.iter().filter(|update| !update.held).collect();
    let security = waiting.iter().filter(|update| update.security).count();
    Ok(Gathered { facts, pending: waiting.len(), security })
}
