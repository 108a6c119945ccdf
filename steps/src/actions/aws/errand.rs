//! A command on its way: at most fifty machines, sent once, found again by its comment, watched to its end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

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
    back::{self, SILENCE, Signs},
    boot::Platform,
    others::Others,
    patience::{Said, Stopping, cancelled, needs_person, put_off, read, refusal, share, write},
    relay::Event,
};
use crate::{
    action::Failure,
    context::{Context, Intent, StopReason},
    ports::{
        fault::FaultKind,
        ssm::{Invocation, InvocationStatus, SendCommand, Ssm},
    },
};

/// The most machines of one command (DOMAIN 1.1).
pub(super) const MOST: usize = 50;

/// How long a machine's agent may take to pick the command up. Machines that are not heard get no command at all.
const DELIVERY: Duration = Duration::from_secs(600);

/// What the service may be late by, after which no machine's part can still be on its way.
const MARGIN: Duration = Duration::from_secs(60);

/// How far our clock and the service's may be apart in a search.
const SKEW: Duration = Duration::from_secs(60);

/// How often is looked for machines that went silent. Agents are heard every five minutes (DOMAIN 1.7).
const HEARING: Duration = Duration::from_secs(300);

/// Each command that is watched may be looked at once in so many of these: all of them together stay below the five
/// calls a second that an account has (DOMAIN 1.4).
const SHARE: Duration = Duration::from_millis(250);

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
    /// Few calls at a time: the service's limits are low (DOMAIN 1.4).
    pub calls: Arc<Semaphore>,
    pub others: Others,
    /// How many commands are being watched.
    pub watched: Arc<AtomicUsize>,
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
                    match self.search(road, at).await? {
                        Some(delivery) => return Ok(delivery),
                        None => continue,
                    }
                }
                Said::Refused(fault) if fault.kind == FaultKind::Target && self.targets.len() > 1 => {
                    return Ok(Delivery::Split(self.halves()));
                }
                Said::Refused(fault) => return Ok(Delivery::Over(never_ran(refusal(&fault)))),
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

    /// Watches it until every machine's part has ended, and tells each.
    pub async fn watch(&self, road: &Road, sent: &Sent) -> Result<(), Failure> {
        let ctx = &road.ctx;
        let ssm = road.ssm(&self.home)?;
        // After both time-outs and a margin no part can still be on its way (DOMAIN 1.2).
        let horizon = later(sent.at, DELIVERY + self.limit + MARGIN);
        let token = self.token(ctx);
        let mut left: BTreeSet<_> = self.targets.iter().cloned().collect();
        let mut stopping = Stopping::default();
        let mut looked = 0_u32;
        let mut heard_of = ctx.now();
        // The last word of the service on machines whose part is not over.
        let mut words = BTreeMap::new();
        let _watched = Watched::one(road);
        while !left.is_empty() {
            let passed = since_then(sent.at, ctx.now());
            // The first look of a life is made at once where the command is older than a first look may be.
            let wait = if looked == 0 {
                Duration::from_secs(3).saturating_sub(passed)
            } else {
                let fair = SHARE.mul_f64(road.watched.load(Ordering::Relaxed) as f64);
                cadence(passed).max(fair).mul_f64(0.8 + 0.4 * share(token, looked))
            };
            looked += 1;
            let stopped = stopping.pause(ctx, wait).await?;
            if stopped && (stopping.0 == StopReason::TimedOut || !self.changes) {
                let some: Vec<_> = left.iter().cloned().collect();
                // Best effort: whether it helped is seen by looking.
                if let Err(fault) = ssm.cancel_command(&sent.command, &some).await {
                    tracing::warn!(command = sent.command, %fault, "the command could not be cancelled");
                }
                if stopping.0 == StopReason::Cancelled {
                    road.tell_all(self.leg, left, &cancelled());
                    return Ok(());
                }
            }
            let some: Vec<_> = left.iter().cloned().collect();
            let read = {
                let _permit = road.calls.acquire().await;
                ssm.invocations(&sent.command, &some).await
            };
            let fault = match read {
                Ok(parts) => {
                    for part in parts {
                        if part.status == InvocationStatus::Running {
                            words.insert(part.instance, part.details);
                        } else if left.remove(&part.instance) {
                            let machine = part.instance.clone();
                            let ending = self.ending(road, &ssm, sent, part, stopping.0).await?;
                            road.tell(self.leg, machine, ending);
                        }
                    }
                    None
                }
                Err(fault) if fault.kind == FaultKind::Credentials => return Err(needs_person(&fault)),
                // What runs there runs on, whether we see it or not.
                Err(fault) => Some(fault),
            };
            let now = ctx.now();
            if self.reboots && since_then(heard_of, now) >= HEARING {
                heard_of = now;
                self.give_up_silent_ones(road, &ssm, sent, &mut left).await?;
            }
            // A look that was not answered says nothing; a time-out ends the asking.
            if now >= horizon && (fault.is_none() || stopping.0 == StopReason::TimedOut) {
                for machine in left {
                    let seen = match (&fault, words.get(&machine)) {
                        (Some(fault), _) => fault.to_string(),
                        (None, Some(word)) => format!("it is still {word}"),
                        (None, None) => "the machine is not in its list".to_owned(),
                    };
                    let cause = format!("the end of the command was not seen by {}: {seen}", clock(now));
                    let report = Report::failed(Outcome::Unknown, ErrorClass::Failed, cause);
                    road.tell(self.leg, machine, Ending::Known(report));
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// What an ended part means.
    async fn ending(
        &self,
        road: &Road,
        ssm: &Arc<dyn Ssm>,
        sent: &Sent,
        part: Invocation,
        stopping: StopReason,
    ) -> Result<Ending, Failure> {
        let known = |outcome, class, cause: String| Ok(Ending::Known(Report::failed(outcome, class, cause)));
        match part.status {
            InvocationStatus::NeverRan => {
                let cause = format!("the command never reached the machine ({})", part.details);
                known(Outcome::Unreachable, ErrorClass::Undeliverable, cause)
            }
            InvocationStatus::Refused => {
                let cause = format!("the service refused the command for this machine ({})", part.details);
                known(Outcome::Failed, ErrorClass::Undeliverable, cause)
            }
            // It has ended, because we asked for it: the rest is what a time-out is.
            InvocationStatus::Unclear if stopping == StopReason::TimedOut => known(
                Outcome::TimedOut,
                ErrorClass::TimedOut,
                format!(
                    "the command was not over by {}, when its time was, and was cancelled",
                    clock(road.ctx.deadline)
                ),
            ),
            InvocationStatus::Unclear => {
                let signs = Signs::of(&road.ctx, &self.home)?;
                let seen = signs.last_seen(std::slice::from_ref(&part.instance)).await;
                Ok(match seen.get(&part.instance).filter(|seen| seen.is_silent()) {
                    Some(seen) => Ending::Known(back::silent(seen, road.ctx.now())),
                    None => Ending::Unclear(part.details),
                })
            }
            _ if stopping == StopReason::TimedOut
                && part.ended_at.is_none_or(|at| at > road.ctx.deadline) =>
            {
                let at = part.ended_at.map_or_else(String::new, |at| format!(" at {}", clock(at)));
                let cause = format!("the command ended{at} ({}), after its time was over", part.details);
                known(Outcome::TimedOut, ErrorClass::TimedOut, cause)
            }
            InvocationStatus::Succeeded if !self.prints => Ok(Ending::Ran(part)),
            // Short outputs come with the batched reading: nobody is asked machine by machine.
            _ if part.stdout.is_some() && part.stderr.is_some() => Ok(Ending::Ran(part)),
            _ => {
                let ask = || async {
                    let _permit = road.calls.acquire().await;
                    ssm.invocation(&sent.command, &part.instance).await
                };
                let printed = read(&road.ctx, self.token(&road.ctx), ask).await?;
                // What it printed may be lost; how it ended is not.
                Ok(Ending::Ran(match printed {
                    Some(Ok(printed)) => {
                        Invocation { stdout: printed.stdout, stderr: printed.stderr, ..part }
                    }
                    Some(Err(_)) | None => part,
                }))
            }
        }
    }

    /// Machines that went down and are not heard of for too long: the service would wait for hours.
    async fn give_up_silent_ones(
        &self,
        road: &Road,
        ssm: &Arc<dyn Ssm>,
        sent: &Sent,
        left: &mut BTreeSet<TargetId>,
    ) -> Result<(), Failure> {
        let some: Vec<_> = left.iter().cloned().collect();
        let Ok(agents) = ssm.agents(&some).await else { return Ok(()) };
        let now = road.ctx.now();
        let silent: Vec<_> = agents
            .into_iter()
            // A machine that was silent before the command is given time from the command on.
            .filter(|agent| {
                let heard = agent.last_ping.map_or(sent.at, |ping| ping.max(sent.at));
                !agent.online && since_then(heard, now) >= SILENCE
            })
            .map(|agent| agent.instance)
            .filter(|machine| left.remove(machine))
            .collect();
        if silent.is_empty() {
            return Ok(());
        }
        if let Err(fault) = ssm.cancel_command(&sent.command, &silent).await {
            tracing::warn!(%fault, "the command of silent machines could not be cancelled");
        }
        let seen = Signs::of(&road.ctx, &self.home)?.last_seen(&silent).await;
        for (machine, seen) in seen {
            road.tell(self.leg, machine, Ending::Known(back::silent(&seen, now)));
        }
        Ok(())
    }
}

/// A command that is being watched counts among the others.
struct Watched<'a>(&'a AtomicUsize);

impl<'a> Watched<'a> {
    fn one(road: &'a Road) -> Self {
        road.watched.fetch_add(1, Ordering::Relaxed);
        Self(&road.watched)
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A command that the service refused never reached a machine: nothing is there to be restored.
fn never_ran(report: Report) -> Report {
    match report.class {
        Some(ErrorClass::Failed) => Report { class: Some(ErrorClass::Undeliverable), ..report },
        _ => report,
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

/// How often to look at a command of this age (DOMAIN 0.6).
fn cadence(age: Duration) -> Duration {
    Duration::from_secs(match age.as_secs() {
        0..60 => 5,
        60..600 => 15,
        600..3600 => 30,
        _ => 60,
    })
}
