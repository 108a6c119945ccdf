//! One future per machine, a bounded number at a time, reported in groups as they come out.

use std::{
    collections::{BTreeMap, VecDeque},
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use runbook_engine::{ids::TargetId, run::event::Report, target::Target};
use serde_json::Value;
use tokio::task::{JoinError, JoinSet, yield_now};

use crate::{
    action::{Failure, Inputs},
    context::Context,
};

/// How one machine came out.
#[derive(Clone, Debug, PartialEq)]
pub struct Done {
    /// What is reported of it.
    pub report: Report,
    /// What it gives to later steps.
    pub outputs: Option<Value>,
}

impl Done {
    /// It worked, and gives nothing to later steps.
    pub fn succeeded() -> Self {
        Self { report: Report::succeeded(), outputs: None }
    }

    /// The report, and nothing for later steps.
    pub fn of(report: Report) -> Self {
        Self { report, outputs: None }
    }
}

/// Works on every machine, at most `bound` at a time. Outputs and reports are durable when this returns; machines that
/// come out alike at the same time share one entry.
///
/// # Errors
/// [`Failure::Detached`] when the process stops or the journal is closed: what was not reported stays open.
pub async fn fan_out<F, W>(
    ctx: &Context,
    machines: Vec<(Arc<Target>, Arc<Inputs>)>,
    bound: usize,
    each: F,
) -> Result<(), Failure>
where
    F: Fn(Arc<Target>, Arc<Inputs>) -> W,
    W: Future<Output = Result<Done, Failure>> + Send + 'static,
{
    let mut waiting: VecDeque<_> = machines.into();
    let mut working = JoinSet::new();
    let mut stopped: Option<Failure> = None;
    loop {
        while working.len() < bound.max(1)
            && let Some((target, inputs)) = waiting.pop_front()
        {
            let id = target.id.clone();
            let work = each(target, inputs);
            working.spawn(async move { (id, work.await) });
        }
        let Some(first) = working.join_next().await else { break };
        let mut ended = vec![unwrap(first)];
        // What comes out in the same instant is ready after one more round of the scheduler.
        yield_now().await;
        while let Some(more) = working.try_join_next() {
            ended.push(unwrap(more));
        }
        let mut done = Vec::with_capacity(ended.len());
        for (id, result) in ended {
            match result {
                Ok(how) => done.push((id, how)),
                Err(Failure::Failed { outcome, class, cause }) => {
                    done.push((id, Done::of(Report::failed(outcome, class, cause))));
                }
                Err(failure) => {
                    stopped = Some(match stopped.take() {
                        Some(first) => first.or(failure),
                        None => failure,
                    })
                }
            }
        }
        journal(ctx, done).await?;
        if stopped.is_some() {
            // Nobody new is begun; those at work notice by themselves that the process stops.
            waiting.clear();
        }
    }
    stopped.map_or(Ok(()), Err)
}

pub(crate) async fn journal(ctx: &Context, done: Vec<(TargetId, Done)>) -> Result<(), Failure> {
    let mut outputs = BTreeMap::new();
    let mut groups: Vec<(Report, Vec<TargetId>)> = Vec::new();
    for (id, done) in done {
        if let Some(value) = done.outputs {
            outputs.insert(id.clone(), value);
        }
        match groups.iter_mut().find(|(report, _)| *report == done.report) {
            Some((_, ids)) => ids.push(id),
            None => groups.push((done.report, vec![id])),
        }
    }
    // All at once, so that they share a batch, and in this order: a machine that is reported is never worked on again,
    // so its outputs must not come later.
    let mut calls: Vec<Call<'_>> = Vec::new();
    if !outputs.is_empty() {
        calls.push(Box::pin(ctx.ledger.outputs(outputs)));
    }
    for (report, mut ids) in groups {
        ids.sort();
        calls.push(Box::pin(ctx.ledger.report(ids, report)));
    }
    in_order(calls).await
}

/// A call of the journal that has not begun yet.
type Call<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// Begins these calls in this order and waits for all of them.
async fn in_order(mut calls: Vec<Call<'_>>) -> Result<(), Failure> {
    let mut failed = None;
    poll_fn(|cx| {
        calls.retain_mut(|call| match call.as_mut().poll(cx) {
            Poll::Ready(result) => {
                failed = failed.take().or(result.err());
                false
            }
            Poll::Pending => true,
        });
        if calls.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    failed.map_or(Ok(()), Err)
}

/// A machine's future is never cancelled while the set lives, so it can only have panicked: our bug, not an outcome.
fn unwrap<T>(joined: Result<T, JoinError>) -> T {
    match joined {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => panic!("the work on a machine was cancelled from outside: {error}"),
        },
    }
}
