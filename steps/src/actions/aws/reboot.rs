//! `aws/reboot`: reboots a machine and waits until it is back.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, TimeoutDoc},
    duration::Span,
    ids::TargetId,
    outcome::{Effect, ErrorClass, Outcome},
    run::event::Report,
    target::Target,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    errand::{clock, later},
    patience::{Said, put_off, read, refusal, write},
    relay::instances,
    remote::{self, Begun, Remote},
};
use crate::{
    action::{Action, Failure, Inputs, Work},
    context::{Context, Intent, StopReason},
    fanout::Done,
    ports::{
        fault::Fault,
        fleet::{BootInfo, Fleet},
    },
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        effect: EffectDoc::Always(Effect::Changes),
        rights: vec![
            "ec2:DescribeInstances",
            "ec2:RebootInstances",
            "ssm:DescribeInstanceInformation",
            "ssm:GetCommandInvocation",
            "ssm:SendCommand",
        ],
        outputs: vec![("boot_id", "the boot id after the reboot")],
        ..ActionDoc::new(
            "aws/reboot",
            "Reboots a machine, once, and waits until its boot id has changed and its agent is heard.",
            TimeoutDoc::Fixed(Span::from_mins(30)),
        )
    }
}

const CALL: &str = "ec2:RebootInstances";

/// A machine that is not back after so long does not come back by itself.
const SILENCE: Duration = Duration::from_secs(30 * 60);

/// The action.
#[derive(Clone, Debug)]
pub struct Reboot {
    doc: ActionDoc,
}

impl Default for Reboot {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Reboot {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    fn begins_with_intent(&self) -> bool {
        true
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        remote::run(ctx, instances(ctx, work).await?, Rebooting).await?;
        Ok(Value::Null)
    }
}

/// A reboot, as the journal keeps it: the boot before it proves that it took place.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    before: String,
    at: Timestamp,
}

struct Rebooting;

#[async_trait]
impl Remote for Rebooting {
    type Job = Job;

    const BATCH: usize = 50;

    async fn begin(
        &self,
        ctx: &Context,
        fleet: &Arc<dyn Fleet>,
        target: &Target,
        _: &Inputs,
    ) -> Result<Begun<Job>, Failure> {
        let id = &target.id;
        let token = ctx.token(id.as_str(), CALL);
        let kept = ctx.recall(id.as_str()).and_then(|kept| serde_json::from_value::<Job>(kept.clone()).ok());
        let job = match kept {
            Some(job) => job,
            None => match boot(ctx, fleet, id, token).await? {
                Ok(boot) if boot.online => {
                    let job = Job { before: boot.boot_id, at: ctx.now() };
                    let kept =
                        serde_json::to_value(&job).map_err(|error| Failure::failed(error.to_string()))?;
                    ctx.ledger.checkpoint(id.as_str(), kept).await?;
                    job
                }
                Ok(_) => {
                    let cause = "the machine is not heard, so that nobody could tell whether it rebooted";
                    return Ok(Begun::Over(undeliverable(cause)));
                }
                Err(report) => return Ok(Begun::Over(report)),
            },
        };
        if ctx.memory.intents.contains_key(id.as_str()) {
            if let Some(begun) = find(ctx, fleet, id, &job, token).await? {
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
        loop {
            match write(ctx, token, || fleet.reboot(std::slice::from_ref(id))).await? {
                Said::Done(()) => return Ok(Begun::Job(Job { at: ctx.now(), ..job })),
                Said::Unclear(_) => {
                    if let Some(begun) = find(ctx, fleet, id, &job, token).await? {
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
        let ids: Vec<_> = jobs.keys().cloned().collect();
        let boots = fleet.boots(&ids).await?;
        let boots: BTreeMap<_, _> = boots.into_iter().map(|boot| (boot.instance.clone(), boot)).collect();
        let over = jobs.iter().filter_map(|(id, job)| {
            let boot = boots.get(id);
            let done = match boot.filter(|boot| boot.online && boot.boot_id != job.before) {
                Some(boot) => {
                    Done { report: Report::succeeded(), outputs: Some(json!({ "boot_id": boot.boot_id })) }
                }
                None if ctx.now() >= later(job.at, SILENCE) => Done::of(not_back(ctx, job)),
                None => return None,
            };
            Some((id.clone(), done))
        });
        Ok(over.collect())
    }

    fn stopped(&self, ctx: &Context, reason: StopReason, job: &Job) -> Option<Report> {
        // A machine that is going down cannot be held.
        (reason == StopReason::TimedOut).then(|| not_back(ctx, job))
    }
}

fn not_back(ctx: &Context, job: &Job) -> Report {
    let cause = format!("rebooted {}, not back by {}", clock(job.at), clock(ctx.now()));
    Report::failed(Outcome::Unreachable, ErrorClass::Failed, cause)
}

fn undeliverable(cause: &str) -> Report {
    Report::failed(Outcome::Unreachable, ErrorClass::Undeliverable, cause)
}

/// A machine's boot, or what is reported of a machine that has none.
async fn boot(
    ctx: &Context,
    fleet: &Arc<dyn Fleet>,
    id: &TargetId,
    token: Uuid,
) -> Result<Result<BootInfo, Report>, Failure> {
    Ok(match read(ctx, token, || fleet.boots(std::slice::from_ref(id))).await? {
        Some(Ok(boots)) => boots
            .into_iter()
            .next()
            .ok_or_else(|| undeliverable("nobody knows the machine, or it is stopped")),
        Some(Err(fault)) => Err(refusal(&fault)),
        None => {
            Err(Report::failed(Outcome::TimedOut, ErrorClass::TimedOut, "its boot could not be read in time"))
        }
    })
}

/// Whether a reboot that may have been asked for takes place: a machine that is down, or was, does. `None`: none does,
/// seen twice, a settle time apart.
async fn find(
    ctx: &Context,
    fleet: &Arc<dyn Fleet>,
    id: &TargetId,
    job: &Job,
    token: Uuid,
) -> Result<Option<Begun<Job>>, Failure> {
    for last in [false, true] {
        match boot(ctx, fleet, id, token).await? {
            Ok(boot) if boot.online && boot.boot_id == job.before => {}
            Ok(_) => return Ok(Some(Begun::Job(job.clone()))),
            Err(report) => return Ok(Some(Begun::Over(Report { outcome: Outcome::Unknown, ..report }))),
        }
        if !last && !ctx.sleep(ctx.settings.settle).await {
            return match ctx.stopping() {
                StopReason::Detach | StopReason::None => Err(Failure::Detached),
                _ => Ok(Some(Begun::Over(not_back(ctx, job)))),
            };
        }
    }
    Ok(None)
}
