//! Work that a service does on one machine: begun once for each, then watched in batches.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
    target::{Home, Target},
};
use tokio::task::{JoinError, JoinSet, yield_now};

use super::{
    patience::{Stopping, cancelled},
    relay::together,
};
use crate::{
    action::{Failure, Inputs},
    context::{Context, StopReason},
    fanout::{Done, journal},
    ports::{fault::Fault, fleet::Fleet},
};

/// One kind of such work.
#[async_trait]
pub(super) trait Remote: Send + Sync + 'static {
    /// What is watched.
    type Job: Clone + Send + Sync + 'static;

    /// How many can be looked at in one call.
    const BATCH: usize;

    /// Begins it on one machine, or finds what an earlier life began.
    async fn begin(
        &self,
        ctx: &Context,
        fleet: &Arc<dyn Fleet>,
        target: &Target,
        inputs: &Inputs,
    ) -> Result<Begun<Self::Job>, Failure>;

    /// Looks at some; gives those that are over.
    async fn look(
        &self,
        ctx: &Context,
        fleet: &Arc<dyn Fleet>,
        jobs: &BTreeMap<TargetId, Self::Job>,
    ) -> Result<BTreeMap<TargetId, Done>, Fault>;

    /// What is said of work that is not over when the attempt is being stopped; `None`: it is waited for.
    fn stopped(&self, ctx: &Context, reason: StopReason, job: &Self::Job) -> Option<Report>;
}

/// What came of beginning.
#[derive(Debug)]
pub(super) enum Begun<J> {
    /// It is to be watched.
    Job(J),
    /// It was not begun.
    Over(Report),
}

/// The EC2 side of where a machine lives.
fn fleet(ctx: &Context, home: &Home) -> Result<Arc<dyn Fleet>, Failure> {
    let fleet = ctx.ports.aws.as_ref().and_then(|aws| aws.fleet(home));
    fleet.ok_or_else(|| Failure::failed("this action is not available against real AWS in this version"))
}

/// Does it on all these machines.
pub(super) async fn run<R: Remote>(
    ctx: &Context,
    machines: BTreeMap<TargetId, (Arc<Target>, Arc<Inputs>)>,
    remote: R,
) -> Result<(), Failure> {
    let remembered =
        |id: &TargetId| ctx.recall(id.as_str()).is_some() || ctx.memory.intents.contains_key(id.as_str());
    let (known, fresh): (Vec<_>, Vec<_>) =
        machines.into_values().partition(|(target, _)| remembered(&target.id));
    let mut watching = Watching {
        ctx: ctx.clone(),
        remote: Arc::new(remote),
        waiting: known.into(),
        working: JoinSet::new(),
        jobs: BTreeMap::new(),
        stopping: Stopping::default(),
        began: ctx.now(),
        next: ctx.now(),
    };
    let mut fresh = Some(fresh);
    loop {
        watching.begin_more().await?;
        if watching.working.is_empty() && watching.waiting.is_empty() {
            if let Some(fresh) = fresh.take() {
                if ctx.resumed {
                    ctx.ledger.looked_up().await?;
                }
                watching.waiting = fresh.into();
                continue;
            }
            if watching.jobs.is_empty() {
                return Ok(());
            }
        }
        if let Err(failure) = watching.step().await {
            // Calls in progress still return, and what they say is still journaled.
            watching.waiting.clear();
            while let Some(joined) = watching.working.join_next().await {
                watching.take_in(vec![joined]).await.ok();
            }
            return Err(failure);
        }
    }
}

/// A machine, where it lives, and what came of beginning on it.
type Beginning<J> = (TargetId, Home, Result<Begun<J>, Failure>);

struct Watching<R: Remote> {
    ctx: Context,
    remote: Arc<R>,
    waiting: VecDeque<(Arc<Target>, Arc<Inputs>)>,
    working: JoinSet<Beginning<R::Job>>,
    jobs: BTreeMap<Home, BTreeMap<TargetId, R::Job>>,
    stopping: Stopping,
    began: Timestamp,
    /// When to look next.
    next: Timestamp,
}

impl<R: Remote> Watching<R> {
    async fn begin_more(&mut self) -> Result<(), Failure> {
        let stopping = self.ctx.stopping();
        if matches!(stopping, StopReason::TimedOut | StopReason::Cancelled) && !self.waiting.is_empty() {
            let report = match stopping {
                StopReason::Cancelled => cancelled(),
                _ => Report::failed(Outcome::TimedOut, ErrorClass::TimedOut, "its turn did not come in time"),
            };
            let machines = self.waiting.drain(..).map(|(target, _)| target.id.clone()).collect();
            return self.ctx.ledger.report(machines, report).await;
        }
        while self.working.len() < self.ctx.settings.concurrency.max(1)
            && let Some((target, inputs)) = self.waiting.pop_front()
        {
            let (ctx, remote) = (self.ctx.clone(), Arc::clone(&self.remote));
            self.working.spawn(async move {
                let begun = match fleet(&ctx, &target.home) {
                    Ok(fleet) => remote.begin(&ctx, &fleet, &target, &inputs).await,
                    Err(failure) => Err(failure),
                };
                (target.id.clone(), target.home.clone(), begun)
            });
        }
        Ok(())
    }

    /// Waits for the next beginning, or for the time of the next look.
    async fn step(&mut self) -> Result<(), Failure> {
        let wait = Duration::try_from(self.next.duration_since(self.ctx.now())).unwrap_or_default();
        tokio::select! {
            biased;
            Some(first) = self.working.join_next() => {
                // What comes out in the same instant is there after one more round of the scheduler.
                yield_now().await;
                let mut joined = vec![first];
                while let Some(more) = self.working.try_join_next() {
                    joined.push(more);
                }
                self.take_in(joined).await
            }
            told = self.stopping.pause(&self.ctx, wait), if !self.jobs.is_empty() => {
                told?;
                self.look().await
            }
        }
    }

    async fn take_in(&mut self, joined: Vec<Result<Beginning<R::Job>, JoinError>>) -> Result<(), Failure> {
        let mut over = Vec::new();
        let mut stopped: Option<Failure> = None;
        for joined in joined {
            let (machine, home, begun) = match joined {
                Ok(begun) => begun,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(_) => return Err(Failure::Detached),
                },
            };
            match begun {
                Ok(Begun::Job(job)) => {
                    self.jobs.entry(home).or_default().insert(machine, job);
                }
                Ok(Begun::Over(report)) => over.push((machine, Done::of(report))),
                Err(Failure::Failed { outcome, class, cause }) => {
                    over.push((machine, Done::of(Report::failed(outcome, class, cause))));
                }
                Err(failure) => {
                    stopped = Some(match stopped.take() {
                        Some(first) => first.or(failure),
                        None => failure,
                    })
                }
            }
        }
        journal(&self.ctx, over).await?;
        stopped.map_or(Ok(()), Err)
    }

    async fn look(&mut self) -> Result<(), Failure> {
        let mut over = Vec::new();
        for (home, jobs) in &self.jobs {
            let fleet = fleet(&self.ctx, home)?;
            let all: Vec<_> = jobs.iter().collect();
            for some in all.chunks(R::BATCH) {
                let some = some.iter().map(|(machine, job)| ((*machine).clone(), (*job).clone())).collect();
                match self.remote.look(&self.ctx, &fleet, &some).await {
                    Ok(done) => over.extend(done),
                    // What runs there runs on, whether we see it or not.
                    Err(fault) => tracing::warn!(%fault, "could not be looked at"),
                }
            }
        }
        self.forget(&over);
        if self.stopping.0 != StopReason::None {
            let jobs = self.jobs.values().flatten();
            let given_up: Vec<_> = jobs
                .filter_map(|(machine, job)| {
                    let report = self.remote.stopped(&self.ctx, self.stopping.0, job)?;
                    Some((machine.clone(), Done::of(report)))
                })
                .collect();
            self.forget(&given_up);
            over.extend(given_up);
        }
        let now = self.ctx.now();
        let age = Duration::try_from(now.duration_since(self.began)).unwrap_or_default();
        // DOMAIN 0.6.
        let pause = Duration::from_secs(if age < Duration::from_secs(600) { 15 } else { 30 });
        self.next = now.checked_add(pause).unwrap_or(Timestamp::MAX);
        journal(&self.ctx, together(over)).await
    }

    fn forget(&mut self, over: &[(TargetId, Done)]) {
        for (machine, _) in over {
            for jobs in self.jobs.values_mut() {
                jobs.remove(machine);
            }
        }
        self.jobs.retain(|_, jobs| !jobs.is_empty());
    }
}
