//! Watching a command until its end: when to look, what an ended part means, and which machines are given up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use runbook_engine::{
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
};

use super::{
    back::{self, SILENCE, Signs},
    errand::{DELIVERY, Ending, Errand, Road, Sent, clock, later, since_then},
    overview::Stand,
    patience::{Stopping, cancelled, needs_person, read, share},
};
use crate::{
    action::Failure,
    context::StopReason,
    ports::{
        fault::FaultKind,
        ssm::{Invocation, InvocationStatus, Ssm},
    },
};

/// When to look for the first time (facts: How often to look).
const FIRST: Duration = Duration::from_secs(3);

/// What the service may be late by, after which no machine's part can still be on its way.
const MARGIN: Duration = Duration::from_secs(60);

/// How often is looked for machines that went silent. Agents are heard every five minutes (facts: The agent).
const HEARING: Duration = Duration::from_secs(300);

/// Where each command must be looked at for itself, it is in so many of these: all of them together stay below the five
/// calls a second that an account has (facts: Rates).
const SHARE: Duration = Duration::from_millis(250);

impl Errand {
    /// Watches it until every machine's part has ended, and tells each.
    pub async fn watch(&self, road: &Road, sent: &Sent) -> Result<(), Failure> {
        let ctx = &road.ctx;
        let ssm = road.ssm(&self.home)?;
        // After both time-outs and a margin no part can still be on its way
        // (facts: Time limits of a command).
        let horizon = later(sent.at, DELIVERY + self.limit + MARGIN);
        let token = self.token(ctx);
        let mut left: BTreeSet<_> = self.targets.iter().cloned().collect();
        let mut stopping = Stopping::default();
        let mut looked = 0_u32;
        // No machine is given up before.
        let mut heard_of = ctx.now().max(later(sent.at, SILENCE - HEARING));
        // The last word of the service on machines whose part is not over.
        let mut words = BTreeMap::new();
        let mut watch = road.overviews.of(&self.home).watch(ctx, &sent.command, sent.at);
        while !left.is_empty() {
            let passed = since_then(sent.at, ctx.now());
            // What an earlier life sent is looked at at once, where it is older than a first look may be.
            let resumed = looked == 0 && ctx.resumed && passed >= FIRST;
            let wait = if resumed {
                Duration::ZERO
            } else if looked == 0 {
                watch.pause(ctx.now(), cadence(passed), FIRST)
            } else {
                let every = cadence(passed).max(SHARE.saturating_mul(watch.crowd()));
                watch.pause(ctx.now(), every, every.mul_f64(0.8 + 0.4 * share(token, looked)))
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
            let now = ctx.now();
            let hears = self.reboots && since_then(heard_of, now) >= HEARING;
            let at_once = resumed || hears || stopped || now >= horizon || stopping.0 == StopReason::TimedOut;
            let mut fault = None;
            let stand = if at_once { Ok(Stand::Untold) } else { watch.look(&ssm).await };
            let counts = match stand {
                Ok(Stand::Untold) => None,
                Ok(Stand::Executing(counts)) if watch.is_due(counts, now, ctx.deadline) => Some(counts),
                Ok(Stand::Executing(_)) => continue,
                Err(fault) if fault.kind == FaultKind::Credentials => return Err(needs_person(&fault)),
                // A look that was not answered says nothing.
                Err(fault) => {
                    tracing::debug!(%fault, "how commands stand could not be read");
                    continue;
                }
            };
            let some: Vec<_> = left.iter().cloned().collect();
            let read = {
                let _permit = road.calls.acquire().await;
                ssm.invocations(&sent.command, &some).await
            };
            match read {
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
                    watch.listed(counts, self.targets.len() - left.len(), now);
                }
                Err(fault) if fault.kind == FaultKind::Credentials => return Err(needs_person(&fault)),
                // What runs there runs on, whether we see it or not.
                Err(unanswered) => fault = Some(unanswered),
            }
            let now = ctx.now();
            if hears && fault.is_none() {
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

/// How often to look at a command of this age (facts: How often to look).
fn cadence(age: Duration) -> Duration {
    Duration::from_secs(match age.as_secs() {
        0..60 => 5,
        60..600 => 15,
        600..3600 => 30,
        _ => 60,
    })
}
