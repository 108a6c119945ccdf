//! What a service makes for one machine: begun once, found again by its mark, watched in batches.
//!
//! The order is always the same: what must be known is read for all machines at once; the intent is journaled; the call
//! is made; what came of it is journaled; it is watched. A call whose answer is not known is looked for, and made again
//! only where it was not found twice, a settle time apart, or where its client token makes the repetition the same.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{
    artifact::{Artifact, Makes},
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
    target::{Home, Target},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::task::{JoinError, JoinSet, yield_now};
use uuid::Uuid;

use super::{
    beginning::{Begun, begin, find, keep, unknown},
    errand::{later, since_then},
    patience::{Stopping, needs_person, not_in_turn, read, refusal},
    relay::together,
};
use crate::{
    action::{Failure, Inputs},
    context::{Context, StopReason},
    fanout::{Done, journal},
    ports::fault::{Fault, FaultKind},
};

/// A call with a token may be repeated for so long. AWS states no lifetime of tokens: hours, and not days, are taken for
/// granted, and what is older is looked for first (facts: Client tokens).
const TOKEN_HOLDS: Duration = Duration::from_secs(4 * 3600);

/// A machine and its inputs.
pub(super) type Machine = (Arc<Target>, Arc<Inputs>);

/// One kind of such work.
#[async_trait]
pub(super) trait Making: Send + Sync + 'static {
    /// What must be known of a machine before.
    type Facts: Clone + Send + Sync + 'static;
    /// What is watched, as the journal keeps it.
    type Job: Clone + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The call, as rights are named.
    const CALL: &'static str;

    /// Whether the call has a client token: the same call again is the same thing then.
    const HAS_TOKEN: bool;

    /// Reads what must be known of machines that live in one place, in as few calls as possible. Those for which the
    /// call cannot be made come out as what is reported of them.
    async fn facts(
        &self,
        ctx: &Context,
        home: &Home,
        machines: &[Machine],
    ) -> Result<BTreeMap<TargetId, Result<Self::Facts, Report>>, Fault>;

    /// Makes the call. `None`: it was made, and the answer does not say what came of it.
    async fn call(&self, ctx: &Context, order: &Order<Self::Facts>) -> Result<Option<Self::Job>, Fault>;

    /// Looks for what calls made whose answers are not known; what is not there is missing. All orders are of one place.
    async fn find(
        &self,
        ctx: &Context,
        orders: &[Order<Self::Facts>],
    ) -> Result<BTreeMap<TargetId, Found<Self::Job>>, Fault>;

    /// Looks at some that live in one place; gives those that are over.
    async fn look(
        &self,
        ctx: &Context,
        home: &Home,
        jobs: &BTreeMap<TargetId, Self::Job>,
    ) -> Result<BTreeMap<TargetId, Over>, Fault>;

    /// What the call makes, told before it is made.
    fn makes(&self, order: &Order<Self::Facts>) -> Makes;

    /// What was made, as far as the answer of the call tells it.
    fn made(&self, order: &Order<Self::Facts>, job: &Self::Job) -> Vec<Artifact>;

    /// What is said of work that is not over when the attempt is being stopped.
    fn stopped(&self, reason: StopReason, job: &Self::Job) -> Report;
}

/// What is to be made.
#[derive(Clone)]
pub(super) struct Order<F> {
    pub target: Arc<Target>,
    pub inputs: Arc<Inputs>,
    pub facts: F,
    /// What finds it again.
    pub token: Uuid,
    /// When its intent was journaled, or a little before.
    pub since: Timestamp,
}

/// How work on one machine ended.
#[derive(Clone, Debug)]
pub(super) struct Over {
    pub done: Done,
    /// What it made, where that is known only now.
    pub made: Vec<Artifact>,
}

impl From<Done> for Over {
    fn from(done: Done) -> Self {
        Self { done, made: Vec::new() }
    }
}

impl From<Report> for Over {
    fn from(report: Report) -> Self {
        Done::of(report).into()
    }
}

/// What a search found.
#[derive(Clone, Debug)]
pub(super) enum Found<J> {
    /// All of it.
    Whole(J),
    /// Some of it; how much, in words.
    Part(String),
}

/// Does it for all these machines.
pub(super) async fn run<M: Making>(
    ctx: &Context,
    machines: BTreeMap<TargetId, Machine>,
    making: M,
) -> Result<(), Failure> {
    let mut watching = Watching {
        ctx: ctx.clone(),
        making: Arc::new(making),
        waiting: VecDeque::new(),
        working: JoinSet::new(),
        jobs: BTreeMap::new(),
        stopping: Stopping::default(),
        began: ctx.now(),
        next: ctx.now(),
    };
    let (mut doubtful, mut fresh) = (Vec::new(), Vec::new());
    for (id, machine) in machines {
        let kept = ctx.recall(id.as_str()).and_then(|kept| serde_json::from_value(kept.clone()).ok());
        match kept {
            Some(job) => _ = watching.jobs.entry(machine.0.home.clone()).or_default().insert(id, job),
            None if ctx.memory.intents.contains_key(id.as_str()) => doubtful.push(machine),
            None => fresh.push(machine),
        }
    }
    watching.take_up(doubtful).await?;
    if ctx.resumed {
        ctx.ledger.looked_up().await?;
    }
    watching.order(fresh).await?;
    loop {
        watching.begin_more().await?;
        if watching.working.is_empty() && watching.waiting.is_empty() && watching.jobs.is_empty() {
            return Ok(());
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

/// What is to be made, and whether its intent stands in the journal already.
type Waiting<F> = (Order<F>, bool);

struct Watching<M: Making> {
    ctx: Context,
    making: Arc<M>,
    waiting: VecDeque<Waiting<M::Facts>>,
    working: JoinSet<Beginning<M::Job>>,
    jobs: BTreeMap<Home, BTreeMap<TargetId, M::Job>>,
    stopping: Stopping,
    began: Timestamp,
    /// When to look next.
    next: Timestamp,
}

impl<M: Making> Watching<M> {
    /// Finds what an earlier life asked for without hearing the answer.
    async fn take_up(&mut self, machines: Vec<Machine>) -> Result<(), Failure> {
        for (_, orders) in self.orders(machines).await? {
            let (held, orders): (Vec<_>, Vec<_>) = orders
                .into_iter()
                .partition(|order| M::HAS_TOKEN && since_then(order.since, self.ctx.now()) < TOKEN_HOLDS);
            self.waiting.extend(held.into_iter().map(|order| (order, true)));
            let found = find(&self.ctx, self.making.as_ref(), &orders).await?;
            for order in orders {
                let id = order.target.id.clone();
                match found.get(&id) {
                    Some(Ok(Some(job))) => {
                        keep(&self.ctx, self.making.as_ref(), &order, job).await?;
                        self.jobs.entry(order.target.home.clone()).or_default().insert(id, job.clone());
                    }
                    Some(Ok(None)) | None => self.waiting.push_back((order, true)),
                    Some(Err(report)) => self.ctx.ledger.report(vec![id], report.clone()).await?,
                }
            }
        }
        Ok(())
    }

    /// Reads what must be known of machines of which nothing was asked yet, and puts them in the queue.
    async fn order(&mut self, machines: Vec<Machine>) -> Result<(), Failure> {
        for (_, orders) in self.orders(machines).await? {
            self.waiting.extend(orders.into_iter().map(|order| (order, false)));
        }
        Ok(())
    }

    /// What is to be made for these machines, by where they live; those for which it cannot be made are reported.
    async fn orders(&self, machines: Vec<Machine>) -> Result<BTreeMap<Home, Vec<Order<M::Facts>>>, Failure> {
        let ctx = &self.ctx;
        let mut homes: BTreeMap<Home, Vec<Machine>> = BTreeMap::new();
        for machine in machines {
            homes.entry(machine.0.home.clone()).or_default().push(machine);
        }
        let mut orders = BTreeMap::new();
        for (home, machines) in homes {
            let token = ctx.token(machines[0].0.id.as_str(), "facts");
            let asked = read(ctx, token, || self.making.facts(ctx, &home, &machines)).await?;
            let mut facts = match asked {
                Some(Ok(facts)) => facts,
                Some(Err(fault)) => {
                    let ids = machines.iter().map(|(target, _)| target.id.clone()).collect();
                    ctx.ledger.report(ids, refusal(&fault)).await?;
                    continue;
                }
                None => {
                    let ids = machines.iter().map(|(target, _)| target.id.clone()).collect();
                    ctx.ledger.report(ids, not_in_turn(ctx.stopping())).await?;
                    continue;
                }
            };
            let (mut ready, mut over) = (Vec::new(), Vec::new());
            for (target, inputs) in machines {
                let id = target.id.clone();
                match facts.remove(&id) {
                    Some(Ok(facts)) => {
                        let token = ctx.token(id.as_str(), M::CALL);
                        let since = ctx.memory.intents.get(id.as_str()).map_or(ctx.now(), |intent| intent.at);
                        ready.push(Order { target, inputs, facts, token, since });
                    }
                    Some(Err(report)) => over.push((id, Done::of(report))),
                    None => {
                        let cause = "AWS does not know the machine";
                        let report = Report::failed(Outcome::Unreachable, ErrorClass::Undeliverable, cause);
                        over.push((id, Done::of(report)));
                    }
                }
            }
            journal(ctx, over).await?;
            orders.insert(home, ready);
        }
        Ok(orders)
    }

    async fn begin_more(&mut self) -> Result<(), Failure> {
        let stopping = self.ctx.stopping();
        if matches!(stopping, StopReason::TimedOut | StopReason::Cancelled) && !self.waiting.is_empty() {
            // Whether the call of an earlier life was carried out was looked for; with a token it was not.
            let (doubtful, fresh): (Vec<_>, Vec<_>) =
                self.waiting.drain(..).partition(|(_, asked)| *asked && M::HAS_TOKEN);
            for (waiting, report) in [
                (
                    doubtful,
                    unknown("the call may have been carried out, and could not be made sure of in time"),
                ),
                (fresh, not_in_turn(stopping)),
            ] {
                let machines: Vec<_> =
                    waiting.into_iter().map(|(order, _)| order.target.id.clone()).collect();
                if !machines.is_empty() {
                    self.ctx.ledger.report(machines, report).await?;
                }
            }
            return Ok(());
        }
        while self.working.len() < self.ctx.settings.concurrency.max(1)
            && let Some((order, asked)) = self.waiting.pop_front()
        {
            let (ctx, making) = (self.ctx.clone(), Arc::clone(&self.making));
            self.working.spawn(async move {
                let begun = begin(&ctx, making.as_ref(), &order, asked).await;
                (order.target.id.clone(), order.target.home.clone(), begun)
            });
        }
        Ok(())
    }

    /// Waits for the next beginning, or for the time of the next look.
    async fn step(&mut self) -> Result<(), Failure> {
        let wait = since_then(self.ctx.now(), self.next);
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

    async fn take_in(&mut self, joined: Vec<Result<Beginning<M::Job>, JoinError>>) -> Result<(), Failure> {
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
                    });
                }
            }
        }
        journal(&self.ctx, over).await?;
        stopped.map_or(Ok(()), Err)
    }

    async fn look(&mut self) -> Result<(), Failure> {
        let (mut over, mut made) = (Vec::new(), Vec::new());
        for (home, jobs) in &self.jobs {
            match self.making.look(&self.ctx, home, jobs).await {
                Ok(ended) => {
                    for (machine, ended) in ended {
                        made.extend(ended.made);
                        over.push((machine, ended.done));
                    }
                }
                Err(fault) if fault.kind == FaultKind::Credentials => return Err(needs_person(&fault)),
                // What is not seen is no way back. It will not be seen later either, so nobody waits for it.
                Err(fault) if matches!(fault.kind, FaultKind::Denied | FaultKind::Unsupported) => {
                    over.extend(jobs.keys().map(|machine| (machine.clone(), Done::of(refusal(&fault)))));
                }
                // What runs there runs on, whether we see it or not.
                Err(fault) => tracing::warn!(%fault, "could not be looked at"),
            }
        }
        self.forget(&over);
        if self.stopping.0 != StopReason::None {
            let jobs = self.jobs.values().flatten();
            let given_up: Vec<_> = jobs
                .map(|(machine, job)| (machine.clone(), Done::of(self.making.stopped(self.stopping.0, job))))
                .collect();
            self.forget(&given_up);
            over.extend(given_up);
        }
        let now = self.ctx.now();
        // facts: How often to look.
        let pause = match since_then(self.began, now).as_secs() {
            0..60 => 15,
            60..600 => 30,
            _ => 60,
        };
        self.next = later(now, Duration::from_secs(pause));
        if !made.is_empty() {
            self.ctx.ledger.made(made).await?;
        }
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
