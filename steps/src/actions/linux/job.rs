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
use serde_json::Value;
use tokio::task::JoinSet;

use super::{
    host::{Host, Patience, left_alone, not_begun, not_stopping, passed, pause},
    log::{self, Heard},
};
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

/// What the journal keeps of a job that came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// How.
    pub end: End,
    /// What it printed: `runbook logs` shows it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub log: String,
}

impl Kept {
    /// Reads a checkpoint; none where it is something else. Journals of older versions have the end alone.
    pub fn read(checkpoint: &Value) -> Option<Self> {
        let end = || Some(Self { end: End::deserialize(checkpoint).ok()?, log: String::new() });
        Self::deserialize(checkpoint).ok().or_else(end)
    }
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
        let kept = match self.ctx.recall(&key).and_then(Kept::read) {
            Some(kept) => kept,
            None => {
                let intent = self.ctx.memory.intents.get(&key);
                let since = intent.map_or_else(|| self.ctx.now(), |intent| intent.at);
                self.begin(errand, &key, &token, deed).await?;
                self.past.has_begun(errand.what);
                let mut kept = self.wait(errand, &token).await?;
                if let End::Ended(ended) = &mut kept.end {
                    // By the host's clock, which may be wrong: it ended after it was begun, and before we heard of it.
                    ended.ended_at = ended.ended_at.map(|at| at.max(since).min(self.ctx.now()));
                }
                let value =
                    serde_json::to_value(&kept).map_err(|error| Failure::failed(error.to_string()))?;
                self.ctx.ledger.checkpoint(&key, value).await?;
                self.past.has_ended(&kept.end);
                kept
            }
        };
        if let Err(why) = self.port().forget(&self.target, &token).await {
            // Nobody will ask for it again.
            tracing::debug!(%why, "the traces of a job could not be deleted");
        }
        Ok(kept.end)
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
        // When a start was sent whose answer nobody has; one of an earlier life, before this one.
        let mut sent = known.then(|| ctx.now());
        if known && self.is_there(errand, token).await? {
            return Ok(());
        }
        if let Err(left) = not_stopping(ctx) {
            return self.unless_it_arrives(errand, token, sent, left).await;
        }
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
        let mut patience = if self.past.changed_it() { Patience::after(ctx) } else { Patience::before(ctx) };
        loop {
            let fault = match self.port().start(&self.target, &job).await {
                Ok(()) => return Ok(()),
                Err(fault) => fault,
            };
            let not = match fault.kind {
                FaultKind::Ambiguous => {
                    sent = Some(ctx.now());
                    if self.is_there(errand, token).await? {
                        return Ok(());
                    }
                    None
                }
                FaultKind::Throttled => None,
                FaultKind::Busy if passed(ctx, began) < errand.waits => {
                    patience.answered(ctx);
                    None
                }
                FaultKind::Busy => Some(busy(&fault)),
                _ if patience.bears(ctx, &fault) => None,
                _ => Some(not_begun(&fault)),
            };
            if let Some(not) = not {
                return self.unless_it_arrives(errand, token, sent, not).await;
            }
            let time = if fault.kind == FaultKind::Busy { pause(passed(ctx, began)) } else { PAUSE };
            ctx.sleep(time).await;
            let not = match ctx.stopping() {
                StopReason::None => continue,
                StopReason::Detach => Failure::Detached,
                _ if fault.kind == FaultKind::Busy => busy(&fault),
                StopReason::TimedOut => not_begun(&fault),
                StopReason::Cancelled => left_alone("the run was cancelled before it was begun"),
            };
            return self.unless_it_arrives(errand, token, sent, not).await;
        }
    }

    /// A start whose answer nobody has may still be on its way: only when it would have arrived, and is not there, the
    /// job was not begun.
    async fn unless_it_arrives(
        &self,
        errand: Errand,
        token: &str,
        sent: Option<Timestamp>,
        not: Failure,
    ) -> Result<(), Failure> {
        let Failure::Failed { .. } = not else { return Err(not) };
        if let Some(sent) = sent {
            let settle = self.ctx.settings.settle;
            while passed(&self.ctx, sent) < settle {
                let left = settle - passed(&self.ctx, sent);
                self.rest(left, self.ctx.stopping()).await?;
            }
            if self.is_there(errand, token).await? {
                return Ok(());
            }
        }
        self.past.was_not_begun(errand.what);
        Err(not)
    }

    /// Whether the job was started.
    async fn is_there(&self, errand: Errand, token: &str) -> Result<bool, Failure> {
        let began = self.ctx.now();
        let patience = Patience::after(&self.ctx);
        match self.ask(patience, || self.port().progress(&self.target, token)).await? {
            Ok(Progress::Absent) => Ok(false),
            Ok(_) => Ok(true),
            Err(fault) => Err(self.silent(errand, began, &fault)),
        }
    }

    /// Waits until a started job ended. When the run is cancelled it goes on: a change ends by itself.
    async fn wait(&self, errand: Errand, token: &str) -> Result<Kept, Failure> {
        let ctx = &self.ctx;
        let began = ctx.now();
        let mut patience = Patience::after(ctx);
        let mut known = StopReason::None;
        let mut over: Option<Timestamp> = None;
        let (mut ending, mut asked_to_end) = (None, false);
        let mut heard = Heard::default();
        loop {
            match self.port().progress(&self.target, token).await {
                Ok(Progress::Ended(ended)) => return Ok(kept(errand, ended, ending)),
                Ok(Progress::Lost { .. }) if ending.is_some() => return Ok(heard.kept(End::Stopped)),
                Ok(Progress::Lost { rebooted }) => return Ok(heard.kept(End::Lost { rebooted })),
                // It was started, so its traces have been deleted from outside.
                Ok(Progress::Absent) => return Ok(heard.kept(End::Lost { rebooted: false })),
                Ok(Progress::Running { last }) => {
                    patience.answered(ctx);
                    if let Some(line) = last.filter(|line| heard.is_new(line)) {
                        ctx.ledger.heard(&self.target.id, &line);
                    }
                    if let Some(since) = over {
                        let limit = if errand.may_be_ended { ENDING } else { GRACE };
                        if passed(ctx, since) >= limit {
                            return Err(self.endless(errand, token));
                        }
                    }
                }
                Err(fault) => {
                    if !patience.bears(ctx, &fault) {
                        return Err(self.silent(errand, patience.heard(), &fault));
                    }
                }
            }
            if over.is_some() && errand.may_be_ended && !asked_to_end {
                ending = ending.or(Some(ctx.now()));
                match self.port().end(&self.target, token).await {
                    Ok(()) => {
                        asked_to_end = true;
                        continue;
                    }
                    Err(why) => tracing::warn!(%why, "a job whose time is over could not be ended"),
                }
            }
            known = self.rest(pause(passed(ctx, began)), known).await?;
            if known == StopReason::TimedOut && over.is_none() {
                over = Some(ctx.now());
                patience.hurry();
            }
        }
    }

    /// Sleeps, unless a reason to stop comes that was not heard yet; the reason that holds afterwards.
    pub async fn rest(&self, time: Duration, known: StopReason) -> Result<StopReason, Failure> {
        let mut stop = self.ctx.stop.clone();
        let reason = tokio::select! {
            biased;
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

/// What the journal keeps of a job that ended, where it was asked to since then. What it prints for later steps is no part
/// of its log.
fn kept(errand: Errand, mut ended: Ended, ending: Option<Timestamp>) -> Kept {
    // One that had ended before was not ended by us. Hosts tell whole seconds.
    let stopped =
        ending.is_some_and(|since| ended.ended_at.is_none_or(|at| at.as_second() >= since.as_second()));
    let stdout = if errand.talks { "" } else { ended.stdout.as_str() };
    let log = log::of(stdout, &ended.stderr);
    if !errand.talks {
        (ended.stdout, ended.stderr) = (String::new(), String::new());
    }
    Kept { end: if stopped { End::Stopped } else { End::Ended(ended) }, log }
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
        let host = Host::new(ctx, target.clone(), inputs.clone());
        asking.spawn(async move {
            for token in tokens {
                host.ask(Patience::before(&host.ctx), || host.port().progress(&host.target, &token))
                    .await?
                    .ok();
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{End, Kept};
    use crate::ports::linux::Verdict;

    #[test]
    fn what_older_versions_kept_of_a_job_is_read() {
        let ended = json!({ "ended": {
            "code": 0, "verdict": "done", "cause": "", "told": null, "stdout": "", "stderr": "",
            "ended_at": "2026-11-22T23:00:00Z",
        } });
        let kept = Kept::read(&ended).expect("an end");
        assert!(matches!(&kept.end, End::Ended(ended) if ended.verdict == Verdict::Done), "{kept:?}");
        let end = |old| Kept::read(&old).map(|kept| (kept.end, kept.log));
        assert_eq!(end(json!("stopped")), Some((End::Stopped, String::new())));
        let lost = Some((End::Lost { rebooted: true }, String::new()));
        assert_eq!(end(json!({ "lost": { "rebooted": true } })), lost);
        let now = json!({ "end": "stopped", "log": "Unpacking" });
        assert_eq!(end(now), Some((End::Stopped, "Unpacking".to_owned())));
        assert_eq!(end(json!({ "method": "packages" })), None);
    }
}
