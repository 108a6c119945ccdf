//! Errands side by side: what they have to tell is taken in as it comes, reported in groups, and may lead to further
//! errands.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use runbook_engine::{ids::TargetId, outcome::Outcome, target::Target};
use tokio::{
    sync::{Semaphore, mpsc},
    task::{JoinError, JoinSet, yield_now},
};

use super::{
    errand::{Delivery, Ending, Errand, MOST, Road},
    others::{Other, Others},
    overview::Overviews,
    patience::Stopping,
    rights::Rights,
};
use crate::{
    action::{Failure, Inputs, Work},
    context::Context,
    fanout::{Done, journal},
};

/// How many calls of one attempt are made at a time.
const CALLS: usize = 4;

/// What an errand, or what follows one, has to tell of a machine.
pub(super) enum Event {
    /// A command ended on it.
    Ended { leg: &'static str, machine: TargetId, ending: Ending },
    /// The work on it is done.
    Done { machine: TargetId, done: Done },
    /// What was gathered is due.
    Due,
    /// The boots of machines, before something may reboot them.
    Boots(BTreeMap<TargetId, String>),
    /// A machine is back; which boot that is, if it can say.
    Back { machine: TargetId, boot: Option<String> },
}

/// The course of an action: which errands there are, and what their ends lead to.
pub(super) trait Course: Send {
    /// The errand of an earlier life with this key, for those of its machines that are not reported yet.
    fn found(&self, key: &str, machines: Vec<TargetId>) -> Option<Errand>;

    /// The errands for machines of which nothing is known.
    fn fresh(&self, machines: Vec<TargetId>) -> Vec<Errand>;

    /// What the end of a leg means for these machines.
    fn ended(&mut self, leg: &'static str, machines: Vec<(TargetId, Ending)>, relay: &mut Relay);

    /// A time that was asked for ([`Relay::remind`]) has passed.
    fn due(&mut self, _relay: &mut Relay) {}

    /// The boots of machines that an errand is about to be sent to.
    fn boots(&mut self, _boots: BTreeMap<TargetId, String>) {}

    /// Machines are back.
    fn back(&mut self, _machines: Vec<(TargetId, Option<String>)>, _relay: &mut Relay) {}
}

/// The work in progress.
pub(super) struct Relay {
    pub road: Road,
    events: mpsc::UnboundedReceiver<Event>,
    jobs: JoinSet<Result<(), Failure>>,
}

impl Relay {
    fn new(ctx: &Context) -> Self {
        let (told, events) = mpsc::unbounded_channel();
        let road = Road {
            ctx: ctx.clone(),
            calls: Arc::new(Semaphore::new(CALLS)),
            others: Others::default(),
            rights: Rights::default(),
            overviews: Overviews::default(),
            events: told,
        };
        Self { road, events, jobs: JoinSet::new() }
    }

    /// Something to do beside the rest.
    pub fn spawn(&mut self, job: impl Future<Output = Result<(), Failure>> + Send + 'static) {
        self.jobs.spawn(job);
    }

    /// Lets the course know when some time has passed, or when the attempt must stop.
    pub fn remind(&mut self, after: Duration) {
        let road = self.road.clone();
        self.spawn(async move {
            Stopping::default().pause(&road.ctx, after).await?;
            // The relay outlives what it spawned.
            let _ = road.events.send(Event::Due);
            Ok(())
        });
    }

    /// The work on a machine is done.
    pub fn done(&self, machine: TargetId, done: Done) {
        // Our own channel is open.
        let _ = self.road.events.send(Event::Done { machine, done });
    }

    /// Sends an errand and watches it.
    pub fn send(&mut self, errand: Errand) {
        self.jobs.spawn(go(self.road.clone(), errand));
    }

    /// Sends an errand again that was looked for and not found; its intent stands.
    fn go_on(&mut self, errand: Errand, found: Option<Delivery>) {
        let road = self.road.clone();
        match found {
            Some(delivery) => self.spawn(async move { follow(&road, &errand, delivery).await }),
            None => self.send(errand),
        }
    }
}

/// The way of an errand; its parts, if it must be divided, go beside each other.
fn go(road: Road, mut errand: Errand) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>> {
    Box::pin(async move {
        let mut beside = JoinSet::new();
        errand.leave_silent_ones(&road).await?;
        let busy = errand.leave_busy_ones(&road).await?;
        if !busy.is_empty() {
            beside.spawn(go_later(road.clone(), errand.clone(), busy));
        }
        errand.leave_unseen_ones(&road).await?;
        if !errand.targets.is_empty() {
            errand.note_boots(&road).await?;
            errand.leave_all_where_stopped(&road);
        }
        if !errand.targets.is_empty() {
            match errand.send(&road).await? {
                Delivery::Split(halves) => {
                    for half in halves {
                        beside.spawn(go(road.clone(), half));
                    }
                }
                delivery => follow(&road, &errand, delivery).await?,
            }
        }
        all(beside).await
    })
}

/// The way of an errand to machines that somebody else is at work on.
async fn go_later(road: Road, errand: Errand, mut busy: BTreeMap<TargetId, Other>) -> Result<(), Failure> {
    let mut beside = JoinSet::new();
    while !busy.is_empty() {
        let Some((free, rest)) = errand.clone().wait_for_others(&road, busy).await? else { break };
        beside.spawn(go(road.clone(), free));
        busy = rest;
    }
    all(beside).await
}

/// Waits for all of them; of several failures, the one that is told.
async fn all(mut jobs: JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
    let mut end = Ok(());
    while let Some(joined) = jobs.join_next().await {
        end = worse(end, unwrap(joined));
    }
    end
}

fn worse(end: Result<(), Failure>, result: Result<(), Failure>) -> Result<(), Failure> {
    match (end, result) {
        (Err(first), Err(second)) => Err(first.or(second)),
        (end, result) => end.and(result),
    }
}

fn unwrap(joined: Result<Result<(), Failure>, JoinError>) -> Result<(), Failure> {
    match joined {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Failure::Detached),
        },
    }
}

async fn follow(road: &Road, errand: &Errand, delivery: Delivery) -> Result<(), Failure> {
    match delivery {
        Delivery::Sent(sent) => errand.watch(road, &sent).await,
        Delivery::Over(report) => {
            for machine in &errand.targets {
                road.tell(errand.leg, machine.clone(), Ending::Known(report.clone()));
            }
            Ok(())
        }
        // Only what is sent is split.
        Delivery::Split(_) => Ok(()),
    }
}

/// Goes a course to its end.
pub(super) async fn run(
    ctx: &Context,
    machines: &[TargetId],
    mut course: impl Course,
) -> Result<(), Failure> {
    let mut relay = Relay::new(ctx);
    let fresh = take_up(ctx, machines, &course, &mut relay).await?;
    for errand in course.fresh(fresh) {
        relay.send(errand);
    }
    let mut end = Ok(());
    loop {
        if relay.jobs.is_empty() && relay.events.is_empty() {
            return end;
        }
        tokio::select! {
            biased;
            Some(first) = relay.events.recv() => {
                // What comes out in the same instant is there after one more round of the scheduler.
                yield_now().await;
                let mut batch = vec![first];
                while let Ok(more) = relay.events.try_recv() {
                    batch.push(more);
                }
                take_in(ctx, batch, &mut course, &mut relay).await?;
            }
            Some(joined) = relay.jobs.join_next() => {
                end = worse(end, unwrap(joined));
            }
        }
    }
}

/// Finds what earlier lives began; gives the machines on which nothing was.
async fn take_up(
    ctx: &Context,
    machines: &[TargetId],
    course: &impl Course,
    relay: &mut Relay,
) -> Result<Vec<TargetId>, Failure> {
    // The latest leg of each machine counts.
    let mut latest = BTreeMap::new();
    let open: BTreeSet<_> = machines.iter().collect();
    for (key, intent) in &ctx.memory.intents {
        for machine in intent.targets.iter().filter(|machine| open.contains(machine)) {
            let known = latest.entry(machine.clone()).or_insert((intent.at, key.clone()));
            if intent.at > known.0 {
                *known = (intent.at, key.clone());
            }
        }
    }
    let mut begun: BTreeMap<String, Vec<TargetId>> = BTreeMap::new();
    for (machine, (_, key)) in &latest {
        begun.entry(key.clone()).or_default().push(machine.clone());
    }
    let mut searches = JoinSet::new();
    for (key, machines) in begun {
        let Some(errand) = course.found(&key, machines) else { continue };
        let road = relay.road.clone();
        searches.spawn(async move {
            let found = errand.find(&road).await;
            (errand, found)
        });
    }
    let mut found = Vec::new();
    while let Some(joined) = searches.join_next().await {
        let (errand, delivery) = joined.map_err(|_| Failure::Detached)?;
        found.push((errand, delivery?));
    }
    if ctx.resumed {
        ctx.ledger.looked_up().await?;
    }
    for (errand, delivery) in found {
        relay.go_on(errand, delivery);
    }
    Ok(machines.iter().filter(|machine| !latest.contains_key(*machine)).cloned().collect())
}

async fn take_in(
    ctx: &Context,
    batch: Vec<Event>,
    course: &mut impl Course,
    relay: &mut Relay,
) -> Result<(), Failure> {
    let mut legs: BTreeMap<&'static str, Vec<(TargetId, Ending)>> = BTreeMap::new();
    let (mut done, mut back, mut due) = (Vec::new(), Vec::new(), false);
    for event in batch {
        match event {
            Event::Ended { leg, machine, ending } => legs.entry(leg).or_default().push((machine, ending)),
            Event::Done { machine, done: how } => done.push((machine, how)),
            Event::Due => due = true,
            // Told before the end of the errand that they belong to.
            Event::Boots(boots) => course.boots(boots),
            Event::Back { machine, boot } => back.push((machine, boot)),
        }
    }
    for (leg, machines) in legs {
        course.ended(leg, machines, relay);
    }
    if !back.is_empty() {
        course.back(back, relay);
    }
    if due {
        course.due(relay);
    }
    if done.is_empty() { Ok(()) } else { journal(ctx, together(done)).await }
}

/// Machines that succeeded and were seen in the same moment get one report, with the latest of their times: one entry
/// of the journal instead of fifty.
pub(super) fn together(mut done: Vec<(TargetId, Done)>) -> Vec<(TargetId, Done)> {
    let succeeded = |done: &Done| done.report.outcome == Outcome::Succeeded;
    let latest =
        done.iter().filter(|(_, done)| succeeded(done)).filter_map(|(_, done)| done.report.finished_at).max();
    for (_, done) in done.iter_mut().filter(|(_, done)| succeeded(done)) {
        done.report.finished_at = latest;
    }
    done
}

/// The machines of an attempt, by id, without those that are no EC2 instances: these are reported.
pub(super) async fn instances(
    ctx: &Context,
    work: Work,
) -> Result<BTreeMap<TargetId, (Arc<Target>, Arc<Inputs>)>, Failure> {
    use runbook_engine::{outcome::ErrorClass, run::event::Report, target::Home};
    let (instances, others): (BTreeMap<_, _>, BTreeMap<_, _>) = work
        .targets
        .into_iter()
        .map(|(target, inputs)| (target.id.clone(), (target, inputs)))
        .partition(|(_, (target, _))| matches!(target.home, Home::Aws { .. }));
    if !others.is_empty() {
        let cause = "the machine is a host of our own, no EC2 instance";
        let report = Report::failed(Outcome::Failed, ErrorClass::Failed, cause);
        ctx.ledger.report(others.into_keys().collect(), report).await?;
    }
    Ok(instances)
}

/// Machines that may share a command, cut into errands.
pub(super) fn cut<K: Ord>(
    machines: Vec<TargetId>,
    alike: impl Fn(&TargetId) -> K,
    errand: impl Fn(Vec<TargetId>) -> Option<Errand>,
) -> Vec<Errand> {
    let mut groups: BTreeMap<K, Vec<TargetId>> = BTreeMap::new();
    for machine in machines {
        groups.entry(alike(&machine)).or_default().push(machine);
    }
    groups
        .into_values()
        .flat_map(|group| group.chunks(MOST).map(<[_]>::to_vec).collect::<Vec<_>>())
        .filter_map(errand)
        .collect()
}
