//! Looking until it passes, and then watching that it stays so.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{
    duration::Span,
    outcome::{ErrorClass, Outcome},
};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::{
    action::{Failure, Inputs, Work},
    context::{Context, StopReason},
    fanout::{Done, fan_out},
    ports::hindrance::Hindrance,
};

/// One way to look at something.
#[async_trait]
pub(super) trait Look: Send + Sync + 'static {
    /// What is looked at, as a cause begins: `http://10.0.0.5:8080/healthz`.
    fn subject(&self) -> String;

    /// Looks once.
    ///
    /// # Errors
    /// What was seen instead, as a cause goes on: `answered 503`.
    async fn look(&self, ctx: &Context) -> Result<(), Seen>;
}

/// What a look saw that did not pass.
#[derive(Debug)]
pub(super) enum Seen {
    /// Not what was expected; the words that follow the subject.
    Sick(String),
    /// Nobody could look, since the host cannot be spoken to; the words that follow the subject.
    Away(String),
    /// Nobody could look, since this machine lacks what it takes; the words that follow the subject.
    Hindered(String),
    /// It can never pass; the words that follow the subject.
    Final(String),
    /// The process is stopping: nothing can be said.
    Nothing,
}

#[async_trait]
impl Look for Box<dyn Look> {
    fn subject(&self) -> String {
        self.as_ref().subject()
    }

    async fn look(&self, ctx: &Context) -> Result<(), Seen> {
        self.as_ref().look(ctx).await
    }
}

impl Seen {
    /// What a port of this machine says.
    pub(super) fn of(hindrance: &Hindrance, words: impl FnOnce(&str) -> String) -> Self {
        let words = words(&hindrance.why);
        if hindrance.ours { Self::Hindered(words) } else { Self::Sick(words) }
    }
}

/// What was seen instead of a pass.
struct Missed {
    words: String,
    whose: Whose,
}

/// Whose trouble it is that a look did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// What was looked at is not well.
    Sick,
    /// Its host cannot be spoken to.
    Away,
    /// Ours: nothing is known of what was to be looked at.
    Ours,
}

impl Missed {
    /// It did not pass in time: this is why.
    fn failure(&self, cause: String) -> Failure {
        match self.whose {
            Whose::Sick => Failure::failed(cause),
            Whose::Away => {
                Failure::Failed { outcome: Outcome::Unreachable, class: ErrorClass::Transient, cause }
            }
            // The run waits until this machine can look again.
            Whose::Ours => Failure::NeedsPerson { cause },
        }
    }
}

/// The times of a check.
#[derive(Clone, Copy, Debug)]
struct Times {
    within: Duration,
    stay: Duration,
    every: Duration,
    tolerate: u64,
}

impl Times {
    fn of(inputs: &Inputs) -> Self {
        let span = |key, default: Span| inputs.span(key).unwrap_or(default).get();
        Self {
            within: span("within", Span::from_mins(5)),
            stay: span("for", Span::ZERO),
            // Two looks in the same instant would see the same thing, for ever.
            every: span("every", Span::from_secs(15)).max(Duration::from_secs(1)),
            tolerate: inputs.integer("tolerate").unwrap_or(1),
        }
    }
}

/// Runs a check: once per machine, or once where its task has none. It remembers nothing: after a resume it starts
/// anew, since what an earlier process saw says nothing of now.
pub(super) async fn run<L: Look>(
    ctx: &Context,
    work: Work,
    look: impl Fn(Option<&runbook_engine::target::Target>, &Inputs) -> Result<L, Failure>,
) -> Result<Value, Failure> {
    // Nothing of a check is in flight when its process dies.
    if ctx.resumed {
        ctx.ledger.looked_up().await?;
    }
    // Machines are watched side by side for the whole time; only the looks themselves are bounded.
    let looks = Arc::new(Semaphore::new(ctx.settings.concurrency.max(1)));
    if work.targets.is_empty() {
        let look = look(None, &work.inputs)?;
        watch(ctx, &look, Times::of(&work.inputs), &looks).await?;
    } else {
        let all = work.targets.len();
        // Thousands wait at a time: they share what they can.
        let shared = Arc::new(ctx.clone());
        fan_out(ctx, work.targets, all, |target, inputs| {
            let look = look(Some(&target), &inputs);
            let (ctx, looks) = (Arc::clone(&shared), Arc::clone(&looks));
            async move {
                watch(&ctx, &look?, Times::of(&inputs), &looks).await?;
                Ok(Done::succeeded())
            }
        })
        .await?;
    }
    Ok(Value::Null)
}

async fn watch(ctx: &Context, look: &impl Look, times: Times, looks: &Semaphore) -> Result<(), Failure> {
    let mut began = None;
    loop {
        let (looked_at, saw) = Box::pin(once(ctx, look, looks)).await?;
        match saw {
            Ok(()) => break,
            Err(seen) => {
                // From the first look: having to wait for one's turn to look is not the machine's fault.
                let began = *began.get_or_insert(looked_at);
                let left = times.within.saturating_sub(since(began, ctx.now()));
                if left.is_zero() {
                    let within = span(times.within);
                    return Err(seen.failure(format!("{} {} for {within}", look.subject(), seen.words)));
                }
                // The last look is made when the time is over, not before.
                pause(ctx, look, times.every.min(left), Some(&seen)).await?;
            }
        }
    }
    let passed = ctx.now();
    // In a row, and of these those of which we are the cause: they say nothing of what is looked at.
    let (mut failures, mut ours) = (0, 0);
    let mut last = None;
    loop {
        let left = times.stay.saturating_sub(since(passed, ctx.now()));
        // A check never ends on a look that failed.
        if left.is_zero() && last.is_none() {
            return Ok(());
        }
        let rest = if left.is_zero() { times.every } else { times.every.min(left) };
        pause(ctx, look, rest, last.as_ref()).await?;
        match Box::pin(once(ctx, look, looks)).await?.1 {
            Ok(()) => (failures, ours, last) = (0, 0, None),
            Err(seen) => {
                let row = if seen.whose == Whose::Ours { &mut ours } else { &mut failures };
                *row += 1;
                if *row > times.tolerate {
                    let after = span(since(passed, ctx.now()));
                    let row = if *row == 1 { String::new() } else { format!("{row} times in a row, ") };
                    return Err(seen.failure(format!(
                        "{} {} {row}{after} after it had passed",
                        look.subject(),
                        seen.words
                    )));
                }
                last = Some(seen);
            }
        }
    }
}

/// One look: when it began, and what was seen if it did not pass.
async fn once(
    ctx: &Context,
    look: &impl Look,
    looks: &Semaphore,
) -> Result<(Timestamp, Result<(), Missed>), Failure> {
    let _permit = looks.acquire().await.map_err(|_| Failure::Detached)?;
    let began = ctx.now();
    match look.look(ctx).await {
        Ok(()) => Ok((began, Ok(()))),
        Err(Seen::Sick(words)) => Ok((began, Err(Missed { words, whose: Whose::Sick }))),
        Err(Seen::Away(words)) => Ok((began, Err(Missed { words, whose: Whose::Away }))),
        Err(Seen::Hindered(words)) => Ok((began, Err(Missed { words, whose: Whose::Ours }))),
        Err(Seen::Final(words)) => Err(Failure::failed(format!("{} {words}", look.subject()))),
        Err(Seen::Nothing) => Err(Failure::Detached),
    }
}

/// Until the next look; `last` is what the one before saw, if it did not pass.
async fn pause(
    ctx: &Context,
    look: &impl Look,
    time: Duration,
    last: Option<&Missed>,
) -> Result<(), Failure> {
    if ctx.sleep(time).await {
        return Ok(());
    }
    match ctx.stopping() {
        StopReason::TimedOut => {
            let (subject, saw) = (look.subject(), last.map_or("passed", |last| &last.words));
            Err(match last {
                Some(last) if last.whose == Whose::Ours => last.failure(format!("{subject} {saw}")),
                _ => Failure::of(
                    ErrorClass::TimedOut,
                    format!("{subject} was not healthy for long enough when the time was over: it {saw}"),
                ),
            })
        }
        StopReason::Cancelled => Err(Failure::failed("the run was cancelled")),
        StopReason::Detach | StopReason::None => Err(Failure::Detached),
    }
}

/// How long ago; nothing where the clock was set back.
fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}

fn span(time: Duration) -> Span {
    Span::from_secs(time.as_secs())
}
