//! Drives restores: look at all machines, ask each strategy what is next, make those calls, and again. What is next
//! follows from the journal and from what is seen, so that a later life goes on wherever this one ended.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use runbook_engine::{
    ids::TargetId,
    outcome::Outcome,
    run::event::Report,
    target::{Home, Target},
};
use serde_json::Value;
use tokio::{sync::Semaphore, task::JoinSet};
use uuid::Uuid;

use super::{
    deed::Deed,
    machine::Machine,
    new_instance::NewInstance,
    next::Next,
    past::{Answered, Past},
    record::{self, Record, Way},
    sight::{Sight, Wanted, look},
};
use crate::{
    action::{Failure, Inputs},
    actions::aws::{
        errand::{later, since_then},
        patience::{Stopping, needs_person, not_in_turn, read, refusal},
        relay::together,
    },
    context::{Context, Intent, StopReason},
    fanout::{Done, journal},
    ports::{
        backup::Backup,
        ec2::Ec2,
        fault::{Fault, FaultKind},
        ssm::Ssm,
    },
};

/// A restore that has not ended so long after its deadline is one that nobody can say anything of.
const OVERTIME: Duration = Duration::from_secs(3600);

/// How many machines one Stop or Start takes.
const SHARED: usize = 50;

/// How many calls are made at a time.
const CALLS: usize = 16;

/// The services of one place.
#[derive(Clone)]
struct Services {
    ec2: Arc<dyn Ec2>,
    ssm: Arc<dyn Ssm>,
    backup: Arc<dyn Backup>,
}

impl Services {
    fn of(ctx: &Context, home: &Home) -> Result<Self, Failure> {
        let aws = ctx.ports.aws.as_ref().ok_or_else(|| Failure::failed("this run has no access to AWS"))?;
        Ok(Self { ec2: aws.ec2(home), ssm: aws.ssm(home), backup: aws.backup(home) })
    }
}

/// Restores all these machines.
pub(super) async fn run(
    ctx: &Context,
    machines: BTreeMap<TargetId, (Arc<Target>, Arc<Inputs>)>,
) -> Result<(), Failure> {
    let recalled = machines
        .into_iter()
        .map(|(id, (target, inputs))| (id, Machine::recalled(ctx, target, inputs)))
        .collect();
    let mut drive = Drive {
        ctx: ctx.clone(),
        machines: recalled,
        stopping: Stopping(*ctx.stop.borrow()),
        began: ctx.now(),
        to_look_up: ctx.resumed,
    };
    loop {
        if drive.stopping.0 == StopReason::Detach {
            return Err(Failure::Detached);
        }
        let acted = drive.round().await?;
        if drive.machines.is_empty() {
            return Ok(());
        }
        let pause = drive.pause(acted);
        drive.stopping.pause(ctx, pause).await?;
    }
}

/// A call that is due: where, what, for which machines.
type Due = (Home, Deed, Vec<TargetId>);

/// What came of a call.
type Came = (Due, Result<Option<Answered>, Fault>);

struct Drive {
    ctx: Context,
    machines: BTreeMap<TargetId, Machine>,
    stopping: Stopping,
    began: Timestamp,
    to_look_up: bool,
}

impl Drive {
    /// Looks once at everything, and does what is due; whether anything was.
    async fn round(&mut self) -> Result<bool, Failure> {
        let mut over = Vec::new();
        let mut due: Vec<Due> = Vec::new();
        let mut blind = false;
        for (home, ids) in self.homes() {
            let services = Services::of(&self.ctx, &home)?;
            let mut wanted = Wanted::default();
            ids.iter().for_each(|id| self.machines[id].wants(&mut wanted));
            let seen = look(&wanted, services.ec2.as_ref(), services.ssm.as_ref(), services.backup.as_ref());
            let sight = match seen.await {
                Ok(sight) => sight,
                Err(fault) if fault.kind == FaultKind::Credentials => return Err(needs_person(&fault)),
                // What runs there runs on, whether we see it or not.
                Err(fault) => {
                    tracing::warn!(%fault, "could not be looked at");
                    if matches!(fault.kind, FaultKind::Denied | FaultKind::Unsupported) {
                        for id in ids {
                            let machine = self.machines.get_mut(&id);
                            let refused = machine.and_then(|machine| machine.unseen(fault.clone()));
                            over.extend(refused.map(|done| (id, done)));
                        }
                    }
                    blind = true;
                    continue;
                }
            };
            self.adopt(&ids, &sight).await?;
            over.extend(self.decide(&ids, &sight, &services).await?);
            let (now, settle) = (self.ctx.now(), self.ctx.settings.settle);
            for id in ids {
                let Some(machine) = self.machines.get_mut(&id) else { continue };
                if machine.record.is_none() {
                    continue;
                }
                match machine.next(&sight, now, settle) {
                    Next::Wait(_) => {}
                    Next::Over(done) => over.push((id, done)),
                    Next::Call(deeds) => {
                        due.extend(deeds.into_iter().map(|deed| (home.clone(), deed, vec![id.clone()])));
                    }
                }
            }
        }
        let settled = |machine: &Machine| machine.past.is_searched(self.ctx.now(), self.ctx.settings.settle);
        if self.to_look_up && !blind && !self.machines.values().any(settled) {
            self.to_look_up = false;
            self.ctx.ledger.looked_up().await?;
        }
        self.finish(over).await?;
        self.give_up().await?;
        due.retain(|(_, _, machines)| machines.iter().all(|id| self.machines.contains_key(id)));
        let acted = !due.is_empty();
        self.perform(shared(due)).await?;
        Ok(acted)
    }

    fn homes(&self) -> BTreeMap<Home, Vec<TargetId>> {
        let mut homes: BTreeMap<Home, Vec<TargetId>> = BTreeMap::new();
        for (id, machine) in &self.machines {
            homes.entry(machine.target.home.clone()).or_default().push(id.clone());
        }
        homes
    }

    /// What an earlier life, or a call without an answer, made is ours.
    async fn adopt(&mut self, ids: &[TargetId], sight: &Sight) -> Result<(), Failure> {
        let now = self.ctx.now();
        for id in ids {
            let Some(machine) = self.machines.get_mut(id) else { continue };
            for (deed, made) in machine.found(sight) {
                let answered = Answered { at: now, id: Some(made) };
                self.ctx.ledger.checkpoint(&Past::key(&deed, id), value(&answered)?).await?;
                machine.answer(deed, answered);
            }
        }
        Ok(())
    }

    /// Decides for those that nothing is decided for, unless the attempt is being stopped.
    async fn decide(
        &mut self,
        ids: &[TargetId],
        sight: &Sight,
        services: &Services,
    ) -> Result<Vec<(TargetId, Done)>, Failure> {
        let mut over = Vec::new();
        let mut decided: Vec<(TargetId, Record)> = Vec::new();
        for id in ids {
            let machine = &self.machines[id];
            if machine.record.is_some() {
                continue;
            }
            if self.stopping.0 != StopReason::None {
                over.push((id.clone(), Done::of(not_in_turn(self.stopping.0))));
                continue;
            }
            match record::decide(&self.ctx, id, &machine.inputs, sight) {
                Ok(record) => match metadata(&self.ctx, record, services).await? {
                    Ok(record) => decided.push((id.clone(), record)),
                    Err(report) => over.push((id.clone(), Done::of(report))),
                },
                Err(report) => over.push((id.clone(), Done::of(report))),
            }
        }
        // Side by side, so that they share a batch.
        let mut writing = JoinSet::new();
        for (id, record) in &decided {
            let (ledger, id, record) = (Arc::clone(&self.ctx.ledger), id.clone(), value(record)?);
            writing.spawn(async move { ledger.checkpoint(id.as_str(), record).await });
        }
        join(&mut writing).await?;
        for (id, record) in decided {
            if let Some(machine) = self.machines.get_mut(&id) {
                machine.record = Some(record);
            }
        }
        Ok(over)
    }

    /// The first word on a machine holds: several of its calls may be refused at once.
    async fn finish(&mut self, mut over: Vec<(TargetId, Done)>) -> Result<(), Failure> {
        let mut unused = Vec::new();
        over.retain(|(id, done)| {
            let machine = self.machines.remove(id);
            let failed = machine.as_ref().filter(|_| done.report.outcome != Outcome::Succeeded);
            unused.extend(failed.map(|machine| machine.unused()).unwrap_or_default());
            machine.is_some()
        });
        if !unused.is_empty() {
            self.ctx.ledger.made(unused).await?;
        }
        if over.is_empty() { Ok(()) } else { journal(&self.ctx, together(over)).await }
    }

    /// Half a restore is worse than one that ends late, but everything ends.
    async fn give_up(&mut self) -> Result<(), Failure> {
        let late = self.ctx.now() >= later(self.ctx.deadline, OVERTIME);
        if self.stopping.0 != StopReason::TimedOut || !late {
            return Ok(());
        }
        let over = self.machines.iter().map(|(id, machine)| (id.clone(), machine.given_up())).collect();
        self.finish(over).await
    }

    /// Makes calls, some at a time, each with its intent before it and its answer after it in the journal.
    async fn perform(&mut self, due: Vec<Due>) -> Result<(), Failure> {
        let mut working: JoinSet<Result<Came, Failure>> = JoinSet::new();
        let room = Arc::new(Semaphore::new(CALLS.min(self.ctx.settings.concurrency.max(1))));
        for one in due {
            self.spawn(&mut working, &room, one)?;
        }
        let mut failure: Option<Failure> = None;
        let mut over = Vec::new();
        while let Some(joined) = working.join_next().await {
            match unwrap(joined)? {
                Ok(((home, deed, machines), came)) => {
                    let now = self.ctx.now();
                    match came {
                        Ok(answered) => {
                            for id in &machines {
                                if let (Some(machine), Some(answered)) =
                                    (self.machines.get_mut(id), answered.clone())
                                {
                                    machine.answer(deed.name(), answered);
                                }
                            }
                        }
                        Err(fault) if fault.kind == FaultKind::Credentials => {
                            failure = Some(or(failure, needs_person(&fault)));
                        }
                        // One machine may spoil the call for all the others.
                        Err(fault) if machines.len() > 1 && is_of_one(fault.kind) => {
                            for id in machines {
                                let one = (home.clone(), deed.clone(), vec![id]);
                                self.spawn(&mut working, &room, one)?;
                            }
                        }
                        Err(fault) => {
                            for id in machines {
                                let refused = self
                                    .machines
                                    .get_mut(&id)
                                    .and_then(|machine| machine.refuse(&deed, &fault, now));
                                over.extend(refused.map(|done| (id, done)));
                            }
                        }
                    }
                }
                Err(other) => failure = Some(or(failure, other)),
            }
        }
        if failure.is_none() {
            self.finish(over).await?;
        }
        failure.map_or(Ok(()), Err)
    }

    fn spawn(
        &self,
        working: &mut JoinSet<Result<Came, Failure>>,
        room: &Arc<Semaphore>,
        (home, deed, machines): Due,
    ) -> Result<(), Failure> {
        let services = Services::of(&self.ctx, &home)?;
        let (ctx, room) = (self.ctx.clone(), Arc::clone(room));
        let first = machines.first().and_then(|first| self.machines.get(first));
        // What is left behind is in the ledger before it is touched; what is made once it has an id.
        let left = first.map(|machine| machine.left(&deed)).unwrap_or_default();
        let made = first.and_then(|machine| machine.made(&deed));
        working.spawn(async move {
            let _permit = room.acquire_owned().await.map_err(|_| Failure::Detached)?;
            let key = Past::key(&deed.name(), machines.first().ok_or(Failure::Detached)?);
            let mut id = None;
            if let Some(call) = deed.call() {
                if !left.is_empty() {
                    ctx.ledger.made(left).await?;
                }
                let intent = Intent {
                    key: key.clone(),
                    call,
                    token: deed.marker(),
                    targets: machines.clone(),
                    makes: Machine::makes(&deed),
                };
                ctx.ledger.intent(intent).await?;
                match deed.make(services.ec2.as_ref(), services.backup.as_ref(), &machines).await {
                    Ok(given) => id = given,
                    Err(fault) => return Ok(((home, deed, machines), Err(fault))),
                }
            }
            // A repeated token may be answered without the id: then it is looked for.
            if id.is_none() && matches!(deed, Deed::Restore(_)) {
                let fault = Fault {
                    call: "backup:StartRestoreJob",
                    kind: FaultKind::Ambiguous,
                    code: None,
                    message: "the service did not say which job it began".to_owned(),
                };
                return Ok(((home, deed, machines), Err(fault)));
            }
            let answered = Answered { at: ctx.now(), id: id.clone() };
            let kept = value(&answered)?;
            match (id, made) {
                (Some(id), Some(artifact)) => {
                    let made = ctx.ledger.made(vec![runbook_engine::artifact::Artifact { id, ..artifact }]);
                    let (made, kept) = tokio::join!(made, ctx.ledger.checkpoint(&key, kept));
                    made.and(kept)?;
                }
                _ => ctx.ledger.checkpoint(&key, kept).await?,
            }
            Ok(((home, deed, machines), Ok(Some(answered))))
        });
        Ok(())
    }

    /// How long until the next look (facts: How often to look).
    fn pause(&self, acted: bool) -> Duration {
        let now = self.ctx.now();
        let usual = if acted {
            Duration::from_secs(5)
        } else if since_then(self.began, now) < Duration::from_secs(600) {
            Duration::from_secs(15)
        } else {
            Duration::from_secs(30)
        };
        let settle = self.ctx.settings.settle;
        let soonest = self.machines.values().filter_map(|machine| machine.past.next(settle)).min();
        let soonest = soonest.map(|at| since_then(now, at).max(Duration::from_secs(1)));
        soonest.map_or(usual, |soonest| soonest.min(usual))
    }
}

/// Whether a fault may belong to one machine of those that share a call: a policy may go by tags, too.
fn is_of_one(kind: FaultKind) -> bool {
    !matches!(kind, FaultKind::Throttled | FaultKind::NotSent | FaultKind::Ambiguous | FaultKind::Credentials)
}

fn or(failure: Option<Failure>, other: Failure) -> Failure {
    match failure {
        Some(first) => first.or(other),
        None => other,
    }
}

/// Machines that one call serves are put together.
fn shared(due: Vec<Due>) -> Vec<Due> {
    let mut apart = Vec::new();
    let mut groups: BTreeMap<(Home, &'static str), (Deed, Vec<TargetId>)> = BTreeMap::new();
    for (home, deed, machines) in due {
        match deed.call().filter(|_| deed.is_shared()) {
            Some(call) => groups.entry((home, call)).or_insert((deed, Vec::new())).1.extend(machines),
            None => apart.push((home, deed, machines)),
        }
    }
    for ((home, _), (deed, machines)) in groups {
        for some in machines.chunks(SHARED) {
            apart.push((home.clone(), deed.clone(), some.to_vec()));
        }
    }
    apart
}

/// What AWS Backup is told about the new instance is read once, and kept.
async fn metadata(
    ctx: &Context,
    mut record: Record,
    services: &Services,
) -> Result<Result<Record, Report>, Failure> {
    let Way::BackupRestore(new) = &mut record.way else { return Ok(Ok(record)) };
    let (vault, point) = (new.vault.clone(), new.recovery_point().to_owned());
    let token = Uuid::new_v5(&Uuid::NAMESPACE_URL, point.as_bytes());
    match read(ctx, token, || services.backup.restore_metadata(&vault, &point)).await? {
        Some(Ok(metadata)) => {
            new.metadata = NewInstance::edited(metadata);
            Ok(Ok(record))
        }
        Some(Err(fault)) => Ok(Err(refusal(&fault))),
        None => Ok(Err(not_in_turn(ctx.stopping()))),
    }
}

fn value(what: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(what).map_err(|error| Failure::failed(error.to_string()))
}

async fn join(writing: &mut JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
    let mut end = Ok(());
    while let Some(joined) = writing.join_next().await {
        end = end.and(unwrap(joined)?);
    }
    end
}

fn unwrap<T>(joined: Result<T, tokio::task::JoinError>) -> Result<T, Failure> {
    joined.map_err(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Failure::Detached,
    })
}
