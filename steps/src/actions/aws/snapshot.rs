//! `aws/snapshot`: the backup that a machine can be restored from.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{
    catalog::{ActionDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
    target::Target,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    patience::{Said, cancelled, put_off, read, refusal, write},
    relay::instances,
    remote::{self, Begun, Remote},
};
use crate::{
    action::{Action, Failure, Inputs, Work},
    context::{Context, Intent, StopReason},
    fanout::Done,
    ports::{
        fault::{Fault, FaultKind},
        fleet::{Fleet, Snapshot as Taken},
    },
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::optional(
                "keep",
                InputKind::Duration,
                "How long the snapshots are needed; absent: until somebody deletes them.",
            ),
            InputDoc::defaulting(
                "volumes",
                InputKind::Enum(vec!["all", "root"]),
                "all",
                "Which volumes; `all` are taken at the same instant.",
            ),
        ],
        repeatable: false,
        backs_up: true,
        rights: vec![
            "ec2:CreateSnapshots",
            "ec2:CreateTags",
            "ec2:DescribeInstances",
            "ec2:DescribeSnapshots",
        ],
        outputs: vec![("snapshots", "the ids of the machine's snapshots")],
        ..ActionDoc::new(
            "aws/snapshot",
            "Takes snapshots of a machine's volumes and waits until they are complete.",
            TimeoutDoc::Fixed(Span::from_hours(6)),
        )
    }
}

const CALL: &str = "ec2:CreateSnapshots";

/// The tag that finds a machine's snapshots again: there is no client token.
const TOKEN_TAG: &str = "runbook:token";

/// A new snapshot may be unknown to the service for so long (DOMAIN 0.4).
const VISIBLE: Duration = Duration::from_secs(120);

/// The action.
#[derive(Clone, Debug)]
pub struct Snapshot {
    doc: ActionDoc,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Snapshot {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    fn begins_with_intent(&self) -> bool {
        true
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        remote::run(ctx, instances(ctx, work).await?, Taking).await?;
        Ok(Value::Null)
    }
}

/// A machine's snapshots, as the journal keeps them.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    snapshots: Vec<String>,
    at: Timestamp,
}

struct Taking;

#[async_trait]
impl Remote for Taking {
    type Job = Job;

    const BATCH: usize = 100;

    async fn begin(
        &self,
        ctx: &Context,
        fleet: &Arc<dyn Fleet>,
        target: &Target,
        inputs: &Inputs,
    ) -> Result<Begun<Job>, Failure> {
        let id = &target.id;
        if let Some(job) = ctx.recall(id.as_str()).and_then(|kept| serde_json::from_value(kept.clone()).ok())
        {
            return Ok(Begun::Job(job));
        }
        let token = ctx.token(id.as_str(), CALL);
        if ctx.memory.intents.contains_key(id.as_str()) {
            if let Some(begun) = find(ctx, fleet, id, token).await? {
                return Ok(begun);
            }
        } else {
            let intent = Intent {
                key: id.to_string(),
                call: CALL,
                token: token.to_string(),
                targets: vec![id.clone()],
                makes: None,
            };
            ctx.ledger.intent(intent).await?;
        }
        let root_only = inputs.text("volumes") == Some("root");
        let mut tags = BTreeMap::from([
            ("runbook:run".to_owned(), ctx.run.to_string()),
            ("runbook:step".to_owned(), ctx.task.to_string()),
            ("runbook:host".to_owned(), id.to_string()),
            (TOKEN_TAG.to_owned(), token.to_string()),
        ]);
        if let Some(keep) = inputs.span("keep") {
            let expires = super::errand::later(ctx.now(), keep.get());
            tags.insert("runbook:expires".to_owned(), expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        }
        loop {
            let create = || fleet.create_snapshots(id, root_only, tags.clone());
            match write(ctx, token, create).await? {
                Said::Done(taken) => return keep(ctx, id, &taken).await,
                Said::Unclear(fault) => {
                    tracing::warn!(machine = %id, %fault, "nobody knows whether snapshots were taken: looking for them");
                    if let Some(begun) = find(ctx, fleet, id, token).await? {
                        return Ok(begun);
                    }
                }
                Said::Refused(fault) => return Ok(Begun::Over(refusal(&fault))),
                Said::Stopped(reason, fault) => return Ok(Begun::Over(put_off(reason, &fault))),
            }
        }
    }

    async fn look(
        &self,
        ctx: &Context,
        fleet: &Arc<dyn Fleet>,
        jobs: &BTreeMap<TargetId, Job>,
    ) -> Result<BTreeMap<TargetId, Done>, Fault> {
        let ids: Vec<_> = jobs.values().flat_map(|job| job.snapshots.iter().cloned()).collect();
        match fleet.snapshots(&ids).await {
            Ok(seen) => {
                let states: BTreeMap<_, _> =
                    seen.iter().map(|taken| (taken.id.as_str(), taken.state.as_str())).collect();
                let over = jobs.iter().filter_map(|(id, job)| Some((id.clone(), judge(job, &states)?)));
                Ok(over.collect())
            }
            // One that is not known (yet) hides all the others: then each machine is asked for.
            Err(fault) if fault.kind == FaultKind::NotFound => {
                let mut over = BTreeMap::new();
                for (id, job) in jobs {
                    match fleet.snapshots(&job.snapshots).await {
                        Ok(seen) => {
                            let states =
                                seen.iter().map(|taken| (taken.id.as_str(), taken.state.as_str())).collect();
                            over.extend(judge(job, &states).map(|done| (id.clone(), done)));
                        }
                        Err(fault) if fault.kind == FaultKind::NotFound => {
                            if super::errand::since_then(job.at, ctx.now()) > VISIBLE {
                                over.insert(id.clone(), Done::of(failed("a snapshot is gone")));
                            }
                        }
                        Err(fault) => return Err(fault),
                    }
                }
                Ok(over)
            }
            Err(fault) => Err(fault),
        }
    }

    fn stopped(&self, _: &Context, reason: StopReason, job: &Job) -> Option<Report> {
        // A snapshot cannot be cancelled, and changes nothing: nobody has to wait for it.
        Some(match reason {
            StopReason::Cancelled => cancelled(),
            _ => Report::failed(
                Outcome::TimedOut,
                ErrorClass::TimedOut,
                format!("{} not completed when the time was over", job.snapshots.join(", ")),
            ),
        })
    }
}

fn judge(job: &Job, states: &BTreeMap<&str, &str>) -> Option<Done> {
    let states: BTreeSet<_> =
        job.snapshots.iter().map(|id| states.get(id.as_str()).copied().unwrap_or("pending")).collect();
    if states.contains("error") {
        // One volume that failed makes the set useless (DOMAIN 4.1).
        return Some(Done::of(failed(format!("{} ended in error", job.snapshots.join(", ")))));
    }
    let complete = states.iter().all(|state| *state == "completed") && !job.snapshots.is_empty();
    complete
        .then(|| Done { report: Report::succeeded(), outputs: Some(json!({ "snapshots": job.snapshots })) })
}

fn failed(cause: impl Into<String>) -> Report {
    Report::failed(Outcome::Failed, ErrorClass::Failed, cause)
}

async fn keep(ctx: &Context, id: &TargetId, taken: &[Taken]) -> Result<Begun<Job>, Failure> {
    let mut snapshots: Vec<_> = taken.iter().map(|taken| taken.id.clone()).collect();
    snapshots.sort();
    if snapshots.is_empty() {
        return Ok(Begun::Over(failed("the machine has no volume that a snapshot could be taken of")));
    }
    let job = Job { snapshots, at: ctx.now() };
    let kept = serde_json::to_value(&job).map_err(|error| Failure::failed(error.to_string()))?;
    ctx.ledger.checkpoint(id.as_str(), kept).await?;
    Ok(Begun::Job(job))
}

/// Searches twice, a settle time apart: a set may be seen in part at first. `None`: none was taken.
async fn find(
    ctx: &Context,
    fleet: &Arc<dyn Fleet>,
    id: &TargetId,
    token: Uuid,
) -> Result<Option<Begun<Job>>, Failure> {
    let value = token.to_string();
    let unknown = |cause: String| {
        let report = Report::failed(Outcome::Unknown, ErrorClass::Failed, cause);
        Ok(Some(Begun::Over(report)))
    };
    for last in [false, true] {
        let seen = match read(ctx, token, || fleet.snapshots_tagged(TOKEN_TAG, &value)).await? {
            Some(Ok(seen)) => seen,
            Some(Err(fault)) => {
                return unknown(format!("whether snapshots were taken cannot be seen: {fault}"));
            }
            None => return unknown("whether snapshots were taken could not be seen in time".into()),
        };
        if last {
            return if seen.is_empty() { Ok(None) } else { keep(ctx, id, &seen).await.map(Some) };
        }
        if !ctx.sleep(ctx.settings.settle).await {
            return match ctx.stopping() {
                StopReason::Detach | StopReason::None => Err(Failure::Detached),
                _ => unknown("whether snapshots were taken could not be seen in time".into()),
            };
        }
    }
    Ok(None)
}
