//! A job on a host: started at most once, waited for, its end in the journal.
//!
//! Recall → else look up by token → else intent, start, → poll → checkpoint. Starting twice under one token is the same
//! as once, so that a job which is not there is simply started, whoever was about to do that.

use std::time::Duration;

use jiff::Timestamp;
use runbook_engine::{
    artifact::Makes,
    outcome::{ErrorClass, Outcome},
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::host::{Host, PATIENCE, SILENCE, left_alone, not_begun, not_stopping, passed, passes, pause};
use crate::{
    action::{Failure, Work},
    context::{Context, Intent, StopReason},
    ports::{
        fault::{Fault, FaultKind},
        linux::{self, Deed, Ended, Progress},
    },
};

/// The call, as the journal names it.
const CALL: &str = "ssh:start";

/// A job that is never ended from outside is waited for so much longer than the attempt may take. Then nobody can say
/// how it stands: it may want an answer that nobody gives.
const GRACE: Duration = Duration::from_secs(3600);

/// What was asked to end is waited for so long.
const ENDING: Duration = Duration::from_secs(60);

/// What a step has done on a host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Errand {
    /// Its key in the journal.
    pub what: &'static str,
    /// What it is in words: `the installation`.
    pub words: &'static str,
    /// It changes the host: one such job at a time on each.
    pub exclusive: bool,
    /// It may be ended when the time is over. Never a package transaction.
    pub may_be_ended: bool,
    /// Its output is told.
    pub talks: bool,
    /// How long it waits for another job on the host to end.
    pub waits: Duration,
    /// What it makes, if that stays until it is collected.
    pub makes: Option<Makes>,
}

/// How a job came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum End {
    /// It ended.
    Ended(Ended),
    /// It was ended from outside, because its time was over.
    Stopped,
    /// Nobody saw its end.
    Lost {
        /// The host went down meanwhile.
        rebooted: bool,
    },
}

impl Host {
    /// Does something on the host, or takes up what an earlier life began. How it ended is in the journal then, and
    /// nowhere else.
    ///
    /// # Errors
    /// What is reported of the host: it was not begun, or nobody can say how it stands.
    pub async fn job(&self, errand: Errand, deed: impl FnOnce() -> Deed + Send) -> Result<End, Failure> {
        let key = self.key(errand.what);
        let token = self.token(errand.what);
        let kept = self.ctx.recall(&key).and_then(|kept| serde_json::from_value(kept.clone()).ok());
        let end = match kept {
            Some(end) => end,
            None => {
                self.begin(errand, &key, &token, deed).await?;
                let end = self.wait(errand, &token).await?;
                let kept = serde_json::to_value(&end).map_err(|error| Failure::failed(error.to_string()))?;
                self.ctx.ledger.checkpoint(&key, kept).await?;
                end
            }
        };
        if let Err(why) = self.port().forget(&self.target, &token).await {
            // Nobody will ask for it again.
            tracing::debug!(%why, "the traces of a job could not be deleted");
        }
        Ok(end)
    }

    /// The token of a job of this attempt.
    pub fn token(&self, what: &str) -> String {
        self.ctx.token(self.target.id.as_str(), what).to_string()
    }

    /// Starts the job, unless an earlier life did.
    async fn begin(
        &self,
        errand: Errand,
        key: &str,
        token: &str,
        deed: impl FnOnce() -> Deed + Send,
    ) -> Result<(), Failure> {
        let ctx = &self.ctx;
        // A first life need not ask: the token is its own.
        let known = ctx.memory.intents.contains_key(key);
        if known && self.is_there(errand, token).await? {
            return Ok(());
        }
        not_stopping(ctx)?;
        let job = linux::Job {
            token: token.to_owned(),
            run: ctx.run.to_string(),
            exclusive: errand.exclusive,
            deed: deed(),
        };
        if !known {
            let targets = vec![self.target.id.clone()];
            let (key, token) = (key.to_owned(), token.to_owned());
            ctx.ledger.intent(Intent { key, call: CALL, token, targets, makes: errand.makes }).await?;
        }
        let began = ctx.now();
        loop {
            let fault = match self.port().start(&self.target, &job).await {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            };
            match fault.kind {
                FaultKind::Ambiguous if self.is_there(errand, token).await? => return Ok(()),
                FaultKind::Ambiguous | FaultKind::Throttled => {}
                FaultKind::NotSent if passed(ctx, began) < PATIENCE => {}
                FaultKind::Busy if passed(ctx, began) < errand.waits => {}
                FaultKind::Busy => return Err(busy(&fault)),
                _ => return Err(not_begun(&fault)),
            }
            let time = if fault.kind == FaultKind::Busy { pause(passed(ctx, began)) } else { PAUSE };
            ctx.sleep(time).await;
            match ctx.stopping() {
                StopReason::None => {}
                StopReason::Detach => return Err(Failure::Detached),
                _ if fault.kind == FaultKind::Busy => return Err(busy(&fault)),
                StopReason::TimedOut => return Err(not_begun(&fault)),
                StopReason::Cancelled => return Err(left_alone("the run was cancelled before it was begun")),
            }
        }
    }

    /// Whether the job was started.
    async fn is_there(&self, errand: Errand, token: &str) -> Result<bool, Failure> {
        let began = self.ctx.now();
        match self.ask(SILENCE, || self.port().progress(&self.target, token)).await? {
            Ok(Progress::Absent) => Ok(false),
            Ok(_) => Ok(true),
            Err(fault) => Err(self.silent(errand, began, &fault)),
        }
    }

    /// Waits until a started job ended. When the run is cancelled it goes on: a change ends by itself.
    async fn wait(&self, errand: Errand, token: &str) -> Result<End, Failure> {
        let ctx = &self.ctx;
        let began = ctx.now();
        let (mut heard, mut known) = (began, StopReason::None);
        let mut over: Option<Timestamp> = None;
        let mut ending = false;
        loop {
            match self.port().progress(&self.target, token).await {
                Ok(Progress::Ended(_)) if ending => return Ok(End::Stopped),
                Ok(Progress::Ended(ended)) => return Ok(End::Ended(told(errand, ended))),
                Ok(Progress::Lost { .. }) if ending => return Ok(End::Stopped),
                Ok(Progress::Lost { rebooted }) => return Ok(End::Lost { rebooted }),
                // It was started, so its traces have been deleted from outside.
                Ok(Progress::Absent) => return Ok(End::Lost { rebooted: false }),
                Ok(Progress::Running { .. }) => {
                    heard = ctx.now();
                    if let Some(since) = over {
                        let limit = if errand.may_be_ended { ENDING } else { GRACE };
                        if passed(ctx, since) >= limit {
                            return Err(self.endless(errand, token));
                        }
                    }
                }
                Err(fault) => {
                    let silent = passed(ctx, heard) >= SILENCE || over.is_some() || !passes(fault.kind);
                    if silent {
                        return Err(self.silent(errand, heard, &fault));
                    }
                }
            }
            if over.is_some() && errand.may_be_ended && !ending {
                ending = true;
                if let Err(why) = self.port().end(&self.target, token).await {
                    tracing::warn!(%why, "a job whose time is over could not be ended");
                }
                continue;
            }
            known = self.rest(pause(passed(ctx, began)), known).await?;
            if known == StopReason::TimedOut && over.is_none() {
                over = Some(ctx.now());
            }
        }
    }

    /// Sleeps, unless a reason to stop comes that was not heard yet; the reason that holds afterwards.
    pub async fn rest(&self, time: Duration, known: StopReason) -> Result<StopReason, Failure> {
        let mut stop = self.ctx.stop.clone();
        let reason = tokio::select! {
            () = self.ctx.ports.clock.sleep(time) => known,
            news = stop.wait_for(|reason| *reason != StopReason::None && *reason != known) => {
                news.map_or(StopReason::Detach, |reason| *reason)
            }
        };
        if reason == StopReason::Detach { Err(Failure::Detached) } else { Ok(reason) }
    }

    fn silent(&self, errand: Errand, heard: Timestamp, fault: &Fault) -> Failure {
        let (words, at) = (errand.words, clock(heard));
        Failure::unknown(format!("not heard of since {at}, while {words} was running: {}", fault.message))
    }

    fn endless(&self, errand: Errand, token: &str) -> Failure {
        let (words, name) = (errand.words, &self.target.name);
        Failure::unknown(format!("{words} did not end in time and still runs as job {token}: ssh {name}"))
    }
}

/// Between two attempts to start.
const PAUSE: Duration = Duration::from_secs(5);

fn busy(fault: &Fault) -> Failure {
    Failure::Failed { outcome: Outcome::Failed, class: ErrorClass::Busy, cause: fault.message.clone() }
}

/// The time of day of a moment, as causes have it.
pub(super) fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S UTC").to_string()
}

/// What the journal keeps of an end. What a package manager prints is much, and said in its cause.
fn told(errand: Errand, mut ended: Ended) -> Ended {
    if !errand.talks {
        (ended.stdout, ended.stderr) = (String::new(), String::new());
    }
    ended
}

/// Asks for everything that earlier lives may have started, each host beside the others. A host that does not answer is
/// asked again in its turn.
///
/// # Errors
/// [`Failure::Detached`].
pub(super) async fn look_up(ctx: &Context, work: &Work) -> Result<(), Failure> {
    let mut asking = JoinSet::new();
    for (target, inputs) in &work.targets {
        let begins =
            |key: &&String| key.strip_prefix(target.id.as_str()).is_some_and(|rest| rest.starts_with('/'));
        let open = |key: &&String| !ctx.memory.checkpoints.contains_key(*key);
        let tokens = ctx.memory.intents.iter().filter(|(key, _)| begins(key) && open(key));
        let tokens: Vec<_> = tokens.map(|(_, intent)| intent.token.clone()).collect();
        if tokens.is_empty() {
            continue;
        }
        let host = Host { ctx: ctx.clone(), target: target.clone(), inputs: inputs.clone() };
        asking.spawn(async move {
            for token in tokens {
                host.ask(PATIENCE, || host.port().progress(&host.target, &token)).await?.ok();
            }
            Ok(())
        });
    }
    let mut end = Ok(());
    while let Some(joined) = asking.join_next().await {
        let result = match joined {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Failure::Detached),
            },
        };
        end = end.and(result);
    }
    end
}
