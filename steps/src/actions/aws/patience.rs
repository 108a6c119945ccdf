//! Waiting, and asking again: how long, and what a fault means for that.

use std::{future::Future, time::Duration};

use runbook_engine::{
    outcome::{ErrorClass, Outcome},
    run::event::Report,
};
use uuid::Uuid;

use crate::{
    action::Failure,
    context::{Context, StopReason},
    ports::fault::{Fault, FaultKind},
};

/// Pauses between the attempts of one call: full jitter, longer and longer, the same in every life because they come
/// from the call's token.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    token: Uuid,
    tries: u32,
}

impl Backoff {
    pub fn new(token: Uuid) -> Self {
        Self { token, tries: 0 }
    }

    /// The next pause after such a fault (facts: Error codes).
    pub fn after(&mut self, kind: FaultKind) -> Duration {
        let (least, most) = match kind {
            FaultKind::Busy => (15, 60),
            FaultKind::Capacity => (60, 300),
            _ => (1, 2_u64.saturating_pow(self.tries.min(6)).clamp(1, 60)),
        };
        self.tries += 1;
        let width = Duration::from_secs(most.saturating_sub(least));
        Duration::from_secs(least) + width.mul_f64(share(self.token, self.tries))
    }
}

/// A number from 0 to 1 that belongs to a token.
pub(super) fn share(token: Uuid, nth: u32) -> f64 {
    let drawn = Uuid::new_v5(&token, &nth.to_be_bytes());
    f64::from(u32::from_be_bytes(drawn.as_bytes()[..4].try_into().unwrap_or_default())) / f64::from(u32::MAX)
}

/// Why an attempt is being stopped, as far as it knows already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stopping(pub StopReason);

impl Stopping {
    /// Waits; or until there is a new reason to stop, and says that there is.
    pub async fn pause(&mut self, ctx: &Context, time: Duration) -> Result<bool, Failure> {
        let mut stop = ctx.stop.clone();
        let known = self.0;
        let told = tokio::select! {
            biased;
            () = ctx.ports.clock.sleep(time) => return Ok(false),
            told = stop.wait_for(|reason| *reason != known) => told.map(|reason| *reason),
        };
        match told {
            Ok(StopReason::Detach) | Err(_) => Err(Failure::Detached),
            Ok(reason) => {
                self.0 = reason;
                Ok(true)
            }
        }
    }
}

/// How a call that writes came out.
#[derive(Debug)]
pub(super) enum Said<T> {
    /// Done.
    Done(T),
    /// It may have been done: look before anything else.
    Unclear(Fault),
    /// Not done, and asking again does not help.
    Refused(Fault),
    /// Not done: the attempt is being stopped, and this is why it had to wait so long.
    Stopped(StopReason, Fault),
}

/// Makes a call that writes; again while the service says that it was not executed and that it may be later.
pub(super) async fn write<T, F>(
    ctx: &Context,
    token: Uuid,
    mut call: impl FnMut() -> F,
) -> Result<Said<T>, Failure>
where
    F: Future<Output = Result<T, Fault>>,
{
    let mut backoff = Backoff::new(token);
    loop {
        let fault = match call().await {
            Ok(done) => return Ok(Said::Done(done)),
            Err(fault) => fault,
        };
        match fault.kind {
            FaultKind::Ambiguous => return Ok(Said::Unclear(fault)),
            FaultKind::Throttled | FaultKind::NotSent | FaultKind::Busy | FaultKind::Capacity => {}
            FaultKind::Credentials => return Err(needs_person(&fault)),
            FaultKind::Quota => return Err(quota(&fault)),
            FaultKind::Denied
            | FaultKind::NotFound
            | FaultKind::Target
            | FaultKind::Unsupported
            | FaultKind::Invalid => return Ok(Said::Refused(fault)),
        }
        tracing::debug!(call = fault.call, kind = ?fault.kind, "asking again later");
        if !ctx.sleep(backoff.after(fault.kind)).await {
            return match ctx.stopping() {
                StopReason::Detach | StopReason::None => Err(Failure::Detached),
                reason => Ok(Said::Stopped(reason, fault)),
            };
        }
    }
}

/// Makes a call that reads, until it is answered. `None`: the attempt is being stopped.
pub(super) async fn read<T, F>(
    ctx: &Context,
    token: Uuid,
    mut call: impl FnMut() -> F,
) -> Result<Option<Result<T, Fault>>, Failure>
where
    F: Future<Output = Result<T, Fault>>,
{
    let mut backoff = Backoff::new(token);
    loop {
        let fault = match call().await {
            Ok(answer) => return Ok(Some(Ok(answer))),
            Err(fault) if fault.kind == FaultKind::Credentials => return Err(needs_person(&fault)),
            Err(fault) if !passes(fault.kind) => return Ok(Some(Err(fault))),
            Err(fault) => fault,
        };
        if !ctx.sleep(backoff.after(fault.kind)).await {
            return match ctx.stopping() {
                StopReason::Detach | StopReason::None => Err(Failure::Detached),
                StopReason::TimedOut | StopReason::Cancelled => Ok(None),
            };
        }
    }
}

/// Credentials that could not be refreshed: the run pauses. What runs already goes on meanwhile, and is found again.
pub(super) fn needs_person(fault: &Fault) -> Failure {
    Failure::NeedsPerson { cause: fault.to_string() }
}

/// A quota of the account is used up (facts: Error codes): nothing was done, and only a person can help.
fn quota(fault: &Fault) -> Failure {
    let help = "delete what nobody needs (runbook artifacts gc), or have the quota raised";
    Failure::NeedsPerson { cause: format!("{fault}; {help}") }
}

/// Whether asking the same question again may be answered.
pub(super) fn passes(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Throttled | FaultKind::Ambiguous | FaultKind::NotSent | FaultKind::Busy)
}

/// What is reported of machines whose call was not executed.
pub(super) fn refusal(fault: &Fault) -> Report {
    let outcome = match fault.kind {
        FaultKind::Target => Outcome::Unreachable,
        _ => Outcome::Failed,
    };
    Report::failed(outcome, fault.kind.class(), fault.to_string())
}

/// What is reported of machines whose call was put off until the attempt was stopped.
pub(super) fn put_off(reason: StopReason, fault: &Fault) -> Report {
    let report = match reason {
        StopReason::Cancelled => cancelled(),
        _ => {
            let mut report = refusal(fault);
            report.cause =
                report.cause.map(|cause| format!("{cause}, again and again until the time was over"));
            report
        }
    };
    not_applied(report)
}

/// What is reported of machines that were not begun with any more, since the attempt is being stopped.
pub(super) fn not_begun(stopping: StopReason, cause: &str) -> Report {
    not_applied(match stopping {
        StopReason::Cancelled => cancelled(),
        _ => Report::failed(Outcome::TimedOut, ErrorClass::TimedOut, cause),
    })
}

/// The same report, with a class that says that nothing was applied: nothing has to be restored.
pub(super) fn not_applied(report: Report) -> Report {
    match report.class {
        Some(class) if class.proves_nothing_applied() => report,
        _ => Report { class: Some(ErrorClass::Undeliverable), ..report },
    }
}

/// What is reported of machines on which nothing was begun, or nothing that changes them, when the run was cancelled.
pub(super) fn cancelled() -> Report {
    Report::failed(Outcome::Failed, ErrorClass::Failed, "the run was cancelled")
}

/// Machines whose turn in a restore did not come, whatever the attempt is being stopped for.
pub(super) fn not_in_turn(stopping: StopReason) -> Report {
    match stopping {
        StopReason::Cancelled => cancelled(),
        _ => Report::failed(Outcome::TimedOut, ErrorClass::TimedOut, "its turn did not come in time"),
    }
}
