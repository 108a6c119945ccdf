//! A host, as one attempt speaks to it: how often it is asked again, and what its silence means.

use std::{future::Future, sync::Arc, time::Duration};

use jiff::Timestamp;
use runbook_engine::{
    outcome::{ErrorClass, Outcome},
    run::event::Report,
    target::Target,
};

use super::past::Past;
use crate::{
    action::{Failure, Inputs},
    context::{Context, StopReason},
    fanout::{Done, fan_out},
    ports::{
        fault::{Fault, FaultKind},
        linux::Linux,
    },
};

/// A host that is to be begun with, and does not answer for so long, is left alone: nothing was done to it.
pub(super) const PATIENCE: Duration = Duration::from_secs(2 * 60);

/// A host that something runs on, and that is not heard of for so long, is not waited for any more. As long as a boot
/// with all checks of file systems may last.
pub(super) const SILENCE: Duration = Duration::from_secs(30 * 60);

/// A host that was spoken to, and lets nobody in or refuses sudo, is asked again for so long: while PAM, sudo or sssd are
/// replaced, or right after a boot, both come and go.
const REFUSED: Duration = Duration::from_secs(5 * 60);

/// When the time is over, or has been before this life began, a host that something was done to is asked for so much
/// longer: one connection that is not made proves nothing.
pub(super) const OVER: Duration = Duration::from_secs(60);

/// Pauses between two questions: a tenth of what has passed, within these bounds.
const ASK_EVERY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// A host, and the attempt that speaks to it.
#[derive(Clone)]
pub(super) struct Host {
    pub ctx: Context,
    pub target: Arc<Target>,
    pub inputs: Arc<Inputs>,
    pub past: Arc<Past>,
}

impl Host {
    /// A host of an attempt.
    pub fn new(ctx: &Context, target: Arc<Target>, inputs: Arc<Inputs>) -> Self {
        let past = Arc::new(Past::of(ctx, &target));
        Self { ctx: ctx.clone(), target, inputs, past }
    }

    pub fn port(&self) -> &dyn Linux {
        &*self.ctx.ports.linux
    }

    /// The key of the journal for something about this host.
    pub fn key(&self, what: &str) -> String {
        format!("{}/{what}", self.target.id)
    }

    /// Asks something that only reads; again while it may be answered later, as long as that is borne.
    ///
    /// # Errors
    /// [`Failure::Detached`]. The last fault where it was not answered, or where the attempt must stop.
    pub async fn ask<T, F>(
        &self,
        mut patience: Patience,
        mut call: impl FnMut() -> F,
    ) -> Result<Result<T, Fault>, Failure>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let began = self.ctx.now();
        loop {
            let fault = match call().await {
                Ok(answer) => return Ok(Ok(answer)),
                Err(fault) => fault,
            };
            let reason = self.ctx.stopping();
            if reason == StopReason::Detach {
                // It may have failed for that alone: who stops us may have stopped our ssh, too.
                return Err(Failure::Detached);
            }
            if !patience.bears(&self.ctx, &fault) || patience.ends(reason, passed(&self.ctx, began)) {
                return Ok(Err(fault));
            }
            tracing::debug!(host = %self.target.id, call = fault.call, "asking again later");
            self.rest(pause(passed(&self.ctx, began)), reason).await?;
        }
    }

    /// The same before anything was done to the host.
    ///
    /// # Errors
    /// What is reported of a host that nothing was done to.
    pub async fn first<T, F>(&self, call: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        self.ask(Patience::before(&self.ctx), call).await?.map_err(|fault| not_begun(&fault))
    }

    /// The same after something was done to it.
    ///
    /// # Errors
    /// What is reported of a host that nobody can say how it is.
    pub async fn then<T, F>(&self, call: impl FnMut() -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        self.ask(Patience::after(&self.ctx), call).await?.map_err(|fault| match passes(fault.kind) {
            true => Failure::Failed {
                outcome: Outcome::Unreachable,
                class: ErrorClass::Failed,
                cause: said(&fault),
            },
            false => Failure::failed(said(&fault)),
        })
    }
}

/// How long faults in a row are borne.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Of a host that does not answer.
    silence: Duration,
    /// Of one that lets nobody in.
    refusal: Duration,
    heard: Timestamp,
    refused: Option<Timestamp>,
}

impl Patience {
    /// With a host that nothing was done to.
    pub fn before(ctx: &Context) -> Self {
        Self { silence: PATIENCE, refusal: Duration::ZERO, heard: ctx.now(), refused: None }
    }

    /// With one that something was done to.
    pub fn after(ctx: &Context) -> Self {
        Self { silence: SILENCE, refusal: REFUSED, heard: ctx.now(), refused: None }
    }

    /// The host answered.
    pub fn answered(&mut self, ctx: &Context) {
        (self.heard, self.refused) = (ctx.now(), None);
    }

    /// When it answered last, or was asked first.
    pub fn heard(&self) -> Timestamp {
        self.heard
    }

    /// What is over is waited for no longer than one connection that is not made is made good.
    pub fn hurry(&mut self) {
        self.silence = self.silence.min(OVER);
    }

    /// Whether the attempt must stop before it asks again, when it has asked for so long. What was done to a host is
    /// looked at also when the run is cancelled: it went on, too.
    pub fn ends(&self, reason: StopReason, asked: Duration) -> bool {
        let is_done_to = self.refusal > Duration::ZERO;
        match reason {
            StopReason::None => false,
            StopReason::Cancelled => !is_done_to,
            StopReason::TimedOut => !is_done_to || asked >= OVER,
            StopReason::Detach => true,
        }
    }

    /// Whether it is worth asking again after this fault.
    pub fn bears(&mut self, ctx: &Context, fault: &Fault) -> bool {
        let heard = passed(ctx, self.heard) < self.silence;
        if passes(fault.kind) {
            self.refused = None;
            return heard;
        }
        // What the host itself cannot do, it cannot do later either.
        let elsewhere = fault.kind == FaultKind::Target && fault.call == CONNECT;
        if fault.kind != FaultKind::Denied && !elsewhere {
            return false;
        }
        let since = *self.refused.get_or_insert(ctx.now());
        heard && passed(ctx, since) < self.refusal
    }
}

/// What is reported of a host that was not begun with: its class says that nothing was applied.
pub(super) fn not_begun(fault: &Fault) -> Failure {
    // What is not the known host is not reached; what the known host cannot do, it fails at.
    let other = fault.kind == FaultKind::Target && fault.call == CONNECT;
    let (outcome, class) = match fault.kind {
        FaultKind::Busy => (Outcome::Failed, ErrorClass::Busy),
        FaultKind::Capacity => (Outcome::Failed, ErrorClass::Capacity),
        kind if other || passes(kind) => (Outcome::Unreachable, ErrorClass::Undeliverable),
        _ => (Outcome::Failed, ErrorClass::Undeliverable),
    };
    Failure::Failed { outcome, class, cause: said(fault) }
}

/// The call of a connection that is not made.
const CONNECT: &str = "ssh:connect";

/// A fault in words. That a connection was not made is said by the message.
pub(super) fn said(fault: &Fault) -> String {
    match fault.call {
        CONNECT => fault.message.clone(),
        call => format!("{call}: {}", fault.message),
    }
}

/// A host that is left alone for a reason of ours: its class says that nothing was applied.
pub(super) fn left_alone(cause: impl Into<String>) -> Failure {
    Failure::of(ErrorClass::Undeliverable, cause)
}

/// A host whose turn comes when the attempt must stop already is left alone.
///
/// # Errors
/// Why it is.
pub(super) fn not_stopping(ctx: &Context) -> Result<(), Failure> {
    match ctx.stopping() {
        StopReason::None => Ok(()),
        StopReason::TimedOut => Err(left_alone("the time was over before it was begun")),
        StopReason::Cancelled => Err(left_alone("the run was cancelled before it was begun")),
        StopReason::Detach => Err(Failure::Detached),
    }
}

/// Whether asking again may be answered.
pub(super) fn passes(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Throttled | FaultKind::Ambiguous | FaultKind::NotSent | FaultKind::Busy)
}

/// How long it has been.
pub(super) fn passed(ctx: &Context, since: Timestamp) -> Duration {
    Duration::try_from(ctx.now().duration_since(since)).unwrap_or_default()
}

/// The next pause when so much time has passed.
pub(super) fn pause(passed: Duration) -> Duration {
    (passed / 10).clamp(ASK_EVERY.0, ASK_EVERY.1)
}

/// A host that was given up before any job of ours may have changed it is not one to restore: a lock that somebody held
/// while its package lists were brought up to date, or a job of another run, is no reason to revert and reboot it.
fn untouched(past: &Past, done: Result<Done, Failure>) -> Result<Done, Failure> {
    match done {
        Err(Failure::Failed { outcome, class, cause })
            if outcome != Outcome::Unknown && !past.changed_it() =>
        {
            Ok(Done::of(Report::failed(outcome, class, cause).with_nothing_applied()))
        }
        done => done,
    }
}

/// Works on every host, a bounded number at a time. After a resume everything that earlier lives may have started is
/// asked for first: only then may the attempt be judged by its deadline.
///
/// # Errors
/// [`Failure::Detached`].
pub(super) async fn each<W>(
    ctx: &Context,
    work: crate::action::Work,
    course: impl Fn(Host) -> W,
) -> Result<serde_json::Value, Failure>
where
    W: Future<Output = Result<Done, Failure>> + Send + 'static,
{
    if ctx.resumed {
        super::job::look_up(ctx, &work).await?;
        ctx.ledger.looked_up().await?;
    }
    fan_out(ctx, work.targets, ctx.settings.concurrency, |target, inputs| {
        let host = Host::new(ctx, target, inputs);
        let past = Arc::clone(&host.past);
        let course = course(host);
        async move {
            let mut done = untouched(&past, course.await)?;
            // Whatever came after its last job only looked at it.
            if done.report.outcome == Outcome::Succeeded {
                done.report.finished_at = done.report.finished_at.or(past.ended());
            }
            Ok(done)
        }
    })
    .await?;
    Ok(serde_json::Value::Null)
}
