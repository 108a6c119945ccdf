//! How one thing is begun: its intent is journaled, the call made, and what came of it kept. A call whose answer is not
//! known is looked for.

use std::{collections::BTreeMap, future::Future, time::Duration};

use runbook_engine::{
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
};
use uuid::Uuid;

use super::{
    errand::since_then,
    making::{Found, Making, Order},
    patience::{Said, put_off, read, refusal, write},
};
use crate::{
    action::Failure,
    context::{Context, Intent, StopReason},
    ports::fault::Fault,
};

/// What was made a moment ago may be seen in part, or not at all, for so long (facts: Visibility).
pub(super) const VISIBLE: Duration = Duration::from_secs(120);

/// What came of beginning.
pub(super) enum Begun<J> {
    /// It is to be watched.
    Job(J),
    /// It was not begun.
    Over(Report),
}

/// Begins it for one machine.
pub(super) async fn begin<M: Making>(
    ctx: &Context,
    making: &M,
    order: &Order<M::Facts>,
    asked: bool,
) -> Result<Begun<M::Job>, Failure> {
    let id = &order.target.id;
    if !asked {
        let intent = Intent {
            key: id.to_string(),
            call: M::CALL,
            token: order.token.to_string(),
            targets: vec![id.clone()],
            makes: Some(making.makes(order)),
        };
        ctx.ledger.intent(intent).await?;
    }
    loop {
        let fault = match write(ctx, order.token, || making.call(ctx, order)).await? {
            Said::Done(Some(job)) => {
                keep(ctx, making, order, &job).await?;
                return Ok(Begun::Job(job));
            }
            Said::Done(None) => None,
            Said::Unclear(fault) => Some(fault),
            Said::Refused(fault) => return Ok(Begun::Over(refusal(&fault))),
            Said::Stopped(reason, fault) => return Ok(Begun::Over(put_off(reason, &fault))),
        };
        if let Some(fault) = &fault {
            tracing::warn!(machine = %id, %fault, "nobody knows whether the call was carried out");
            if M::HAS_TOKEN {
                if !ctx.sleep(Duration::from_secs(5)).await {
                    return stopped(ctx, &format!("nobody can say whether it was begun: {fault}"))
                        .map(Begun::Over);
                }
                continue;
            }
        }
        let mut found = find(ctx, making, std::slice::from_ref(order)).await?;
        match found.remove(id) {
            Some(Ok(Some(job))) => {
                keep(ctx, making, order, &job).await?;
                return Ok(Begun::Job(job));
            }
            Some(Err(report)) => return Ok(Begun::Over(report)),
            Some(Ok(None)) | None => {
                let Some(fault) = fault else {
                    let report = unknown("it was begun, and what came of it cannot be found");
                    return Ok(Begun::Over(report));
                };
                match ctx.stopping() {
                    StopReason::None => {}
                    StopReason::Detach => return Err(Failure::Detached),
                    // It was not begun, and is not any more.
                    reason => return Ok(Begun::Over(put_off(reason, &fault))),
                }
            }
        }
    }
}

/// Journals what came of a call: what it made, for the artifact ledger, and what a later life watches.
pub(super) async fn keep<M: Making>(
    ctx: &Context,
    making: &M,
    order: &Order<M::Facts>,
    job: &M::Job,
) -> Result<(), Failure> {
    let kept = serde_json::to_value(job).map_err(|error| Failure::failed(error.to_string()))?;
    let artifacts = making.made(order, job);
    let id = order.target.id.as_str();
    if artifacts.is_empty() {
        return ctx.ledger.checkpoint(id, kept).await;
    }
    // Both at once, so that they share a batch; what was made comes first.
    let (made, kept) = tokio::join!(ctx.ledger.made(artifacts), ctx.ledger.checkpoint(id, kept));
    made.and(kept)
}

/// What searches came to: a job, nothing, or what is reported of a machine of which nobody can say.
pub(super) type Searched<J> = BTreeMap<TargetId, Result<Option<J>, Report>>;

/// Searches twice, a settle time apart, and longer for what is seen in part.
pub(super) async fn find<M: Making>(
    ctx: &Context,
    making: &M,
    orders: &[Order<M::Facts>],
) -> Result<Searched<M::Job>, Failure> {
    let Some(first) = orders.first() else { return Ok(BTreeMap::new()) };
    let began = ctx.now();
    let all =
        |report: Report| orders.iter().map(|order| (order.target.id.clone(), Err(report.clone()))).collect();
    let mut again = false;
    loop {
        let mut found = match search(ctx, first.token, || making.find(ctx, orders)).await? {
            Ok(found) => found,
            Err(report) => return Ok(all(report)),
        };
        let whole = orders.iter().all(|order| matches!(found.get(&order.target.id), Some(Found::Whole(_))));
        let in_part = found.values().any(|found| matches!(found, Found::Part(_)));
        if whole || again && (!in_part || since_then(began, ctx.now()) >= VISIBLE) {
            let searched = orders.iter().map(|order| {
                let id = order.target.id.clone();
                let came_to = match found.remove(&id) {
                    Some(Found::Whole(job)) => Ok(Some(job)),
                    Some(Found::Part(seen)) => {
                        Err(unknown(&format!("the call was carried out in part: {seen}")))
                    }
                    None => Ok(None),
                };
                (id, came_to)
            });
            return Ok(searched.collect());
        }
        again = true;
        if !ctx.sleep(ctx.settings.settle).await {
            return stopped(ctx, IN_TIME).map(all);
        }
    }
}

const IN_TIME: &str = "whether the call was carried out could not be seen in time";

async fn search<T, F>(
    ctx: &Context,
    token: Uuid,
    call: impl FnMut() -> F,
) -> Result<Result<T, Report>, Failure>
where
    F: Future<Output = Result<T, Fault>>,
{
    Ok(match read(ctx, token, call).await? {
        Some(Ok(found)) => Ok(found),
        Some(Err(fault)) => {
            Err(unknown(&format!("whether the call was carried out cannot be seen: {fault}")))
        }
        None => Err(unknown(IN_TIME)),
    })
}

/// What is reported of a machine of which nobody can say more because the attempt is being stopped.
fn stopped(ctx: &Context, cause: &str) -> Result<Report, Failure> {
    match ctx.stopping() {
        StopReason::Detach | StopReason::None => Err(Failure::Detached),
        StopReason::TimedOut | StopReason::Cancelled => Ok(unknown(cause)),
    }
}

pub(super) fn unknown(cause: &str) -> Report {
    Report::failed(Outcome::Unknown, ErrorClass::Failed, cause)
}
