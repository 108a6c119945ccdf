//! The strategies on the old port, until the simulated world knows volumes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use runbook_engine::{
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
    target::Target,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::actions::aws::{
    errand::later,
    patience::{Said, put_off, refusal, write},
    remote::{self, Begun, Remote},
};
use crate::{
    action::{Failure, Inputs},
    context::{Context, Intent, StopReason},
    fanout::Done,
    ports::{fault::Fault, fleet::Fleet},
};

const CALL: &str = "ec2:CreateReplaceRootVolumeTask";

/// A restore that has not ended so long after its deadline is one that nobody can say anything of.
const OVERTIME: Duration = Duration::from_secs(3600);

/// Restores all these machines.
pub(super) async fn run(
    ctx: &Context,
    machines: BTreeMap<TargetId, (Arc<Target>, Arc<Inputs>)>,
) -> Result<(), Failure> {
    remote::run(ctx, machines, Restoring).await
}

/// A restore, as the journal keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    restore: String,
}

struct Restoring;

#[async_trait]
impl Remote for Restoring {
    type Job = Job;

    const BATCH: usize = 50;

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
        let backup =
            inputs.backup.as_ref().and_then(|backup| backup.get("snapshots")).and_then(Value::as_array);
        let snapshots: Vec<_> =
            backup.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        if snapshots.is_empty() {
            return Ok(Begun::Over(failed("there is no backup of this machine to restore from")));
        }
        let strategy = match inputs.text("strategy").unwrap_or("auto") {
            "auto" if snapshots.len() == 1 => "replace-root-volume",
            "auto" => "swap-volumes",
            stated => stated,
        };
        let token = ctx.token(id.as_str(), CALL);
        if !ctx.memory.intents.contains_key(id.as_str()) {
            let intent = Intent {
                key: id.to_string(),
                call: CALL,
                token: token.to_string(),
                targets: vec![id.clone()],
                makes: None,
            };
            ctx.ledger.intent(intent).await?;
        }
        let client_token = token.to_string();
        loop {
            let restore = || fleet.restore(id, &snapshots, strategy, &client_token);
            match write(ctx, token, restore).await? {
                Said::Done(task) => {
                    let job = Job { restore: task.id };
                    let kept =
                        serde_json::to_value(&job).map_err(|error| Failure::failed(error.to_string()))?;
                    ctx.ledger.checkpoint(id.as_str(), kept).await?;
                    return Ok(Begun::Job(job));
                }
                // The client token makes the repetition the same restore.
                Said::Unclear(fault) => {
                    tracing::warn!(machine = %id, %fault, "asking again with the same token");
                    if !ctx.sleep(Duration::from_secs(5)).await {
                        return match ctx.stopping() {
                            StopReason::Detach | StopReason::None => Err(Failure::Detached),
                            _ => Ok(Begun::Over(Report::failed(
                                Outcome::Unknown,
                                ErrorClass::Failed,
                                format!("nobody can say whether the restore was begun: {fault}"),
                            ))),
                        };
                    }
                }
                Said::Refused(fault) => return Ok(Begun::Over(refusal(&fault))),
                Said::Stopped(reason, fault) => return Ok(Begun::Over(put_off(reason, &fault))),
            }
        }
    }

    async fn look(
        &self,
        _: &Context,
        fleet: &Arc<dyn Fleet>,
        jobs: &BTreeMap<TargetId, Job>,
    ) -> Result<BTreeMap<TargetId, Done>, Fault> {
        let ids: Vec<_> = jobs.values().map(|job| job.restore.clone()).collect();
        let tasks = fleet.restores(&ids).await?;
        let states: BTreeMap<_, _> =
            tasks.iter().map(|task| (task.id.as_str(), task.state.as_str())).collect();
        let over = jobs.iter().filter_map(|(id, job)| {
            let done = match *states.get(job.restore.as_str())? {
                "succeeded" => {
                    Done { report: Report::succeeded(), outputs: Some(json!({ "restore": job.restore })) }
                }
                "failed" => {
                    Done::of(failed(format!("{} failed; the machine has its old volumes", job.restore)))
                }
                "failed-detached" => Done::of(failed(format!(
                    "{} failed and left the machine without a root volume",
                    job.restore
                ))),
                // Every other word means that it goes on.
                _ => return None,
            };
            Some((id.clone(), done))
        });
        Ok(over.collect())
    }

    fn stopped(&self, ctx: &Context, reason: StopReason, job: &Job) -> Option<Report> {
        // Half a restore is worse than one that ends late.
        let over = reason == StopReason::TimedOut && ctx.now() >= later(ctx.deadline, OVERTIME);
        over.then(|| {
            let cause = format!("{} did not come to an end", job.restore);
            Report::failed(Outcome::Unknown, ErrorClass::Failed, cause)
        })
    }
}

fn failed(cause: impl Into<String>) -> Report {
    Report::failed(Outcome::Failed, ErrorClass::Failed, cause)
}
