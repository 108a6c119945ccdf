//! Asking hosts how they are.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use runbook_engine::{
    ids::TargetId,
    target::{Home, Target},
};
use runbook_steps::ports::{
    Ports,
    linux::{Deed, Facts, Job, Progress, Update, Verdict},
};
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};
use uuid::Uuid;

/// How many hosts are asked at a time: as many connections as a bastion bears without a word with its keeper.
const AT_A_TIME: usize = 16;

/// How long one host may take for all of its answers.
const PATIENCE: Duration = Duration::from_secs(120);

/// How much longer where package lists are brought up to date: as long as a slow mirror and somebody else's lock take.
const REFRESHING: Duration = Duration::from_secs(300);

/// Between two looks at a refresh.
const LOOK: Duration = Duration::from_millis(500);

/// What a host said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// What it is, and how it stands.
    pub facts: Facts,
    /// What waits to be installed, by the lists that the host has, with what it holds back.
    pub updates: Vec<Update>,
}

impl Gathered {
    /// How many packages wait to be installed, without those that the host holds back.
    pub fn pending(&self) -> usize {
        self.updates.iter().filter(|update| !update.held).count()
    }

    /// How many of them repair a vulnerability.
    pub fn security(&self) -> usize {
        self.updates.iter().filter(|update| !update.held && update.security).count()
    }
}

/// Asks every host among these machines; nothing on them is changed, but for the package lists where they are to be
/// brought up to date first (`refresh`). Who gives no answer is told with the cause.
pub async fn gather(
    ports: &Ports,
    machines: &[Target],
    refresh: bool,
) -> BTreeMap<TargetId, Result<Gathered, String>> {
    let room = Arc::new(Semaphore::new(AT_A_TIME));
    let mut asked = JoinSet::new();
    for target in machines.iter().filter(|target| matches!(target.home, Home::Host { .. })).cloned() {
        let (ports, room) = (ports.clone(), Arc::clone(&room));
        asked.spawn(async move {
            // The semaphore is never closed.
            let _turn = room.acquire_owned().await;
            let patience = if refresh { PATIENCE + REFRESHING } else { PATIENCE };
            let answer = timeout(patience, ask(&ports, &target, refresh)).await;
            let silent = |_| Err(format!("it did not answer within {} s", patience.as_secs()));
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

async fn ask(ports: &Ports, target: &Target, refresh: bool) -> Result<Gathered, String> {
    if refresh {
        bring_up_to_date(ports, target).await?;
    }
    let facts = ports.linux.facts(target).await.map_err(|fault| fault.message)?;
    let updates = ports.linux.pending(target).await.map_err(|fault| fault.message)?;
    Ok(Gathered { facts, updates })
}

/// Has a host bring its package lists up to date.
async fn bring_up_to_date(ports: &Ports, target: &Target) -> Result<(), String> {
    let token = format!("gather-{}", Uuid::new_v4());
    let job = Job {
        token: token.clone(),
        run: "gather".to_owned(),
        exclusive: false,
        deed: Deed::Refresh { lock_wait: PATIENCE },
    };
    ports.linux.start(target, &job).await.map_err(|fault| fault.message)?;
    let ended = loop {
        match ports.linux.progress(target, &token).await.map_err(|fault| fault.message)? {
            Progress::Ended(ended) => break ended,
            Progress::Running { .. } => ports.clock.sleep(LOOK).await,
            Progress::Absent | Progress::Lost { .. } => {
                return Err("the refresh of its package lists was interrupted".to_owned());
            }
        }
    };
    // What is left of it on the host hurts nobody.
    if let Err(why) = ports.linux.forget(target, &token).await {
        tracing::warn!(%why, "a refresh could not be forgotten");
    }
    match ended.verdict {
        Verdict::Done => Ok(()),
        _ => Err(format!("its package lists could not be brought up to date: {}", ended.cause)),
    }
}
