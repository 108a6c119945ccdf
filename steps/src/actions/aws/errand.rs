//! A command on its way: at most fifty machines, sent once, found again by its comment, watched to its end.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use runbook_engine::{
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
    target::Home,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};
use uuid::Uuid;

use super::{
    boot::Platform,
    others::Others,
    overview::Overviews,
    patience::{Said, not_applied, put_off, read, refusal, write},
    relay::Event,
    rights::Rights,
};
use crate::{
    action::Failure,
    context::{Context, Intent, StopReason},
    ports::{
        fault::FaultKind,
        ssm::{Invocation, SendCommand, Ssm},
    },
};

/// The most machines of one command (facts: SendCommand).
pub(super) const MOST: usize = 50;

/// How long a machine's agent may take to pick the command up. Machines that are not heard get no command at all.
pub(super) const DELIVERY: Duration = Duration::from_secs(600);

/// How far our clock and the service's may be apart in a search.
const SKEW: Duration = Duration::from_secs(60);

const CALL: &str = "ssm:SendCommand";

/// One command.
#[derive(Clone, Debug)]
pub(super) struct Errand {
    /// What the journal knows it by: `<leg>/<first machine>`.
    pub key: String,
    /// What it is for; its ends carry it.
    pub leg: &'static str,
    pub home: Home,
    pub targets: Vec<TargetId>,
    pub document: String,
    pub parameters: BTreeMap<String, Vec<String>>,
    /// How long it may run on a machine.
    pub limit: Duration,
    /// It does no harm twice, so that it may be sent again when it cannot be found.
    pub repeatable: bool,
    /// It changes machines: a run that is cancelled lets it end.
    pub changes: bool,
    /// It reboots machines, or follows a reboot: one that stays silent is given up.
    pub reboots: bool,
    /// Machines whose agents are not heard do not get it.
    pub asks_first: bool,
    /// What it printed is wanted, also where it succeeded.
    pub prints: bool,
    /// No patch operation of somebody else may run on the machines meanwhile.
    pub alone: bool,
    /// Machines whose boot is read before, so that a reboot can be proved.
    pub boots: BTreeMap<TargetId, Platform>,
    /// What a later life must know as well: key and value of a checkpoint that is durable before it is sent.
    pub note: Option<(String, Value)>,
}

/// How a command ended on a machine.
#[derive(Clone, Debug)]
pub(super) enum Ending {
    /// It ran there: succeeded, failed, or killed at its time limit.
    Ran(Invocation),
    /// The service does not know whether it ran, and the agent is heard: its word.
    Unclear(String),
    /// There is nothing more to find out.
    Known(Report),
}

/// A command that was sent, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sent {
    pub command: String,
    /// When, or a little before.
    pub at: Timestamp,
}

/// What came of bringing a command on its way.
pub(super) enum Delivery {
    /// It is on its way.
    Sent(Sent),
    /// It is not, and these are the machines' ends.
    Over(Report),
    /// One machine that the service cannot take fails the whole call: each half goes its own way.
    Split(Vec<Errand>),
}

/// What the errands of an attempt share.
#[derive(Clone)]
pub(super) struct Road {
    pub ctx: Context,
    /// Few calls at a time: the service's limits are low (facts: Rates).
    pub calls: Arc<Semaphore>,
    pub others: Others,
    pub rights: Rights,
    /// How the commands that are being watched stand.
    pub overviews: Overviews,
    pub events: mpsc::UnboundedSender<Event>,
}

impl Road {
    /// Run Command, where the machines live.
    pub fn ssm(&self, home: &Home) -> Result<Arc<dyn Ssm>, Failure> {
        let aws = self.ctx.ports.aws.as_ref();
        aws.map(|aws| aws.ssm(home)).ok_or_else(|| Failure::failed("this run has no access to AWS"))
    }

    pub fn tell(&self, leg: &'static str, machine: TargetId, ending: Ending) {
        // The relay outlives its errands.
        let _ = self.events.send(Event::Ended { leg, machine, ending });
    }

    pub fn tell_all(&self, leg: &'static str, machines: impl IntoIterator<Item = TargetId>, report: &Report) {
        for machine in machines {
            self.tell(leg, machine, Ending::Known(report.clone()));
        }
    }
}

impl Errand {
    pub fn token(&self, ctx: &Context) -> Uuid {
        ctx.token(&self.key, CALL)
    }

    fn comment(&self, ctx: &Context) -> String {
        format!("runbook:{}:{}", ctx.run, self.token(ctx))
    }

    /// Looks for it, where an earlier life may have sent it. `None`: nothing is known, and it may be sent.
    pub async fn find(&self, road: &Road) -> Result<Option<Delivery>, Failure> {
        let ctx = &road.ctx;
        if let Some(sent) = ctx.recall(&self.key).and_then(|kept| serde_json::from_value(kept.clone()).ok()) {
            return Ok(Some(Delivery::Sent(sent)));
        }
        let Some(intent) = ctx.memory.intents.get(&self.key) else { return Ok(None) };
        self.search(road, intent.at).await
    }

    /// Sends it, unless it was found.
    pub async fn send(&self, road: &Road) -> Result<Delivery, Failure> {
        let ctx = &road.ctx;
        let ssm = road.ssm(&self.home)?;
        let at = ctx.now();
        let intent = Intent {
            key: self.key.clone(),
            call: CALL,
            token: self.comment(ctx),
            targets: self.targets.clone(),
            makes: None,
        };
        // Few are on their way at a time, so that few are in doubt when the process dies.
        let permit = road.calls.acquire().await;
        match self.note.clone() {
            // Both at once, so that they share a batch; the note comes first.
            Some((key, note)) => {
                let (noted, meant) =
                    tokio::join!(ctx.ledger.checkpoint(&key, note), ctx.ledger.intent(intent));
                noted.and(meant)?;
            }
            None => ctx.ledger.intent(intent).await?,
        }
        let mut permit = Some(permit);
        loop {
            let call = || ssm.send_command(self.request(ctx));
            match write(ctx, self.token(ctx), call).await? {
                Said::Done(command) => return self.keep(ctx, Sent { command, at }).await,
                Said::Unclear(fault) => {
                    drop(permit.take());
                    tracing::warn!(key = self.key, %fault, "nobody knows whether the command was sent: looking for it");
                    if let Some(delivery) = self.search(road, at).await? {
                        return Ok(delivery);
                    }
                    match ctx.stopping() {
                        StopReason::None => continue,
                        StopReason::Detach => return Err(Failure::Detached),
                        // It was not sent, and is not any more.
                        reason => return Ok(Delivery::Over(put_off(reason, &fault))),
                    }
                }
                Said::Refused(fault) if fault.kind == FaultKind::Target && self.targets.len() > 1 => {
                    return Ok(Delivery::Split(self.halves()));
                }
                Said::Refused(fault) => return Ok(Delivery::Over(not_applied(refusal(&fault)))),
                Said::Stopped(reason, fault) => return Ok(Delivery::Over(put_off(reason, &fault))),
            }
        }
    }

    async fn keep(&self, ctx: &Context, sent: Sent) -> Result<Delivery, Failure> {
        let kept = serde_json::to_value(&sent).map_err(|error| Failure::failed(error.to_string()))?;
        ctx.ledger.checkpoint(&self.key, kept).await?;
        Ok(Delivery::Sent(sent))
    }

    fn request(&self, ctx: &Context) -> SendCommand {
        SendCommand {
            document: self.document.clone(),
            instances: self.targets.clone(),
            parameters: self.parameters.clone(),
            comment: self.comment(ctx),
            delivery_timeout: DELIVERY,
        }
    }

    /// Searches twice, a settle time apart. `None`: it was not sent, and may be.
    async fn search(&self, road: &Road, since: Timestamp) -> Result<Option<Delivery>, Failure> {
        let ctx = &road.ctx;
        let ssm = road.ssm(&self.home)?;
        let since = since.checked_sub(SKEW).unwrap_or(since);
        let comment = self.comment(ctx);
        let unknown = |cause: String| {
            Ok(Some(Delivery::Over(Report::failed(Outcome::Unknown, ErrorClass::Failed, cause))))
        };
        for last in [false, true] {
            let list = || async {
                let _permit = road.calls.acquire().await;
                ssm.list_commands(&self.document, since).await
            };
            let rows = match read(ctx, self.token(ctx), list).await? {
                Some(Ok(rows)) => rows,
                Some(Err(fault)) => {
                    return unknown(format!("whether the command was sent cannot be seen: {fault}"));
                }
                None => return unknown("whether the command was sent could not be seen in time".into()),
            };
            // Of several, the earliest: the guard lets only one of them act.
            let found =
                rows.into_iter().filter(|row| row.comment == comment).min_by_key(|row| row.requested_at);
            if let Some(row) = found {
                let sent = Sent { command: row.command_id, at: row.requested_at };
                return self.keep(ctx, sent).await.map(Some);
            }
            if !last && !ctx.sleep(ctx.settings.settle).await {
                return match ctx.stopping() {
                    StopReason::Detach | StopReason::None => Err(Failure::Detached),
                    _ => unknown("whether the command was sent could not be seen in time".into()),
                };
            }
        }
        if self.repeatable {
            return Ok(None);
        }
        unknown(format!("{} may have been sent, cannot be found, and must not run twice", self.document))
    }

    /// The same for some of its machines.
    pub fn part(&self, targets: Vec<TargetId>) -> Self {
        let key = targets.first().map_or_else(|| self.key.clone(), |first| key(self.leg, first));
        Self { key, targets, ..self.clone() }
    }

    fn halves(&self) -> Vec<Self> {
        let (first, second) = self.targets.split_at(self.targets.len() / 2);
        [first, second].into_iter().map(|half| self.part(half.to_vec())).collect()
    }
}

/// A moment, as a cause names it.
pub(super) fn clock(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// The key of an errand.
pub(super) fn key(leg: &str, first: &TargetId) -> String {
    format!("{leg}/{first}")
}

/// How long ago; nothing where the clock was set back.
pub(super) fn since_then(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

/// The moment this much later.
pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
