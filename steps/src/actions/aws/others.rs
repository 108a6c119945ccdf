//! Patch operations of others: two on one machine at a time disturb each other, and one may fail without a word
//! (facts: AWS-RunPatchBaseline). So whoever is there first is waited for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use runbook_engine::{
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
    target::Home,
};
use tokio::sync::Mutex;

use super::errand::{clock, since_then};
use crate::ports::{
    fault::{Fault, FaultKind},
    ssm::{CommandRow, InvocationStatus, Ssm},
};

/// What all documents of Patch Manager that scan or install begin with.
const DOCUMENTS: &str = "AWS-RunPatchBaseline";

/// How long an answer is shared: hundreds of commands are sent in the same minute.
const SHARED: Duration = Duration::from_secs(20);

/// A patch operation that is running on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Other {
    command: String,
    since: Timestamp,
    comment: String,
}

impl Other {
    /// What is reported of a machine that it ran on until our time was over. Nothing was sent to it.
    pub fn in_the_way(&self) -> Report {
        let by = match self.comment.as_str() {
            "" => String::new(),
            comment => format!(", `{comment}`"),
        };
        let cause = format!(
            "another patch operation has been running on it since {} (command {}{by})",
            clock(self.since),
            self.command
        );
        Report::failed(Outcome::Failed, ErrorClass::Undeliverable, cause)
    }
}

/// The patch operations that are being executed, by where machines live.
#[derive(Clone, Debug, Default)]
pub(super) struct Others {
    seen: Arc<Mutex<BTreeMap<Home, Seen>>>,
}

#[derive(Clone, Debug)]
struct Seen {
    at: Timestamp,
    /// The commands, and which machines those that were sent to tags run on.
    rows: Arc<Vec<(CommandRow, Option<BTreeSet<TargetId>>)>>,
}

impl Others {
    /// Which of these machines somebody else patches or scans right now. A service that cannot list executing commands
    /// knows of none.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn on(
        &self,
        home: &Home,
        ssm: &Arc<dyn Ssm>,
        machines: &[TargetId],
        now: Timestamp,
    ) -> Result<BTreeMap<TargetId, Other>, Fault> {
        let rows = self.rows(home, ssm, now).await?;
        let mut busy = BTreeMap::new();
        for (row, running) in rows.iter() {
            let there = match running {
                Some(running) => {
                    machines.iter().filter(|machine| running.contains(*machine)).cloned().collect()
                }
                None => {
                    let theirs: BTreeSet<_> = row.instances.iter().collect();
                    let asked: Vec<_> =
                        machines.iter().filter(|machine| theirs.contains(machine)).cloned().collect();
                    // It may have ended on these machines and go on elsewhere.
                    if asked.is_empty() { BTreeSet::new() } else { running_on(ssm, row, &asked).await? }
                }
            };
            let other = Other {
                command: row.command_id.clone(),
                since: row.requested_at,
                comment: row.comment.clone(),
            };
            busy.extend(there.into_iter().map(|machine| (machine, other.clone())));
        }
        Ok(busy)
    }

    async fn rows(
        &self,
        home: &Home,
        ssm: &Arc<dyn Ssm>,
        now: Timestamp,
    ) -> Result<Arc<Vec<(CommandRow, Option<BTreeSet<TargetId>>)>>, Fault> {
        // Whoever comes while somebody asks waits for that answer.
        let mut seen = self.seen.lock().await;
        if let Some(seen) = seen.get(home).filter(|seen| since_then(seen.at, now) < SHARED) {
            return Ok(Arc::clone(&seen.rows));
        }
        let executing = match ssm.executing(None).await {
            Ok(rows) => rows,
            Err(fault) if fault.kind == FaultKind::Unsupported => Vec::new(),
            Err(fault) => return Err(fault),
        };
        let mut rows = Vec::new();
        for row in executing.into_iter().filter(|row| patches(&row.document)) {
            // A command that was sent to tags does not list its machines.
            let running = match row.instances.is_empty() {
                true => Some(running_on(ssm, &row, &[]).await?),
                false => None,
            };
            rows.push((row, running));
        }
        let rows = Arc::new(rows);
        seen.insert(home.clone(), Seen { at: now, rows: Arc::clone(&rows) });
        Ok(rows)
    }
}

async fn running_on(
    ssm: &Arc<dyn Ssm>,
    row: &CommandRow,
    asked: &[TargetId],
) -> Result<BTreeSet<TargetId>, Fault> {
    let parts = ssm.invocations(&row.command_id, asked).await?;
    let running = parts.into_iter().filter(|part| part.status == InvocationStatus::Running);
    Ok(running.map(|part| part.instance).collect())
}

/// A document by its name or ARN.
fn patches(document: &str) -> bool {
    document.rsplit('/').next().is_some_and(|name| name.starts_with(DOCUMENTS))
}
