//! One rehearsed world: a run lives in it, dies, and is resumed, until it ends.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use runbook_engine::{
    ids::{RunId, TargetId},
    laws::{Law, Violation},
    outcome::TargetOutcome,
};
use runbook_state::{MemoryStore, store::StoreError};
use runbook_steps::{
    catalog::Actions,
    context::Settings,
    world::{self, Call, FleetError, World},
};

use super::{
    Rehearsal,
    crash::{Crashes, Fate, Fates},
    draws::Draws,
    inspection,
    margin::Margin,
    profile,
    witness::{Entry, Witness},
};
use crate::coordinator::{
    Coordinator, Interrupts, Parts, Start, exit::ExitReport, outside::Outside, refused::Refused,
    secrets::Secrets,
};

/// The name under which every rehearsed run is known in its world.
const RUN: &str = "rehearsed";

/// Longer than any run waits in the world's time: who waits longer waits for ever.
const FOR_EVER: Duration = Duration::from_secs(400 * 24 * 3_600);

/// More lives than any run needs.
const MOST_LIVES: u32 = 20_000;

/// How often somebody goes on with a paused run before they leave it.
const MOST_PAUSES: usize = 3;

/// How a rehearsed run came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The status word of `show --json`.
    pub status: String,
    /// The exit code.
    pub code: u8,
    /// One cause, unless it succeeded.
    pub cause: Option<String>,
}

/// What came of one world.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// Its seed.
    pub seed: u64,
    /// How the run came out.
    pub ended: Ended,
    /// From its first entry to its last, by the world's clock.
    pub makespan: SignedDuration,
    /// How the work behind windows lay to the end of the one that it came nearest to.
    pub margin: Option<Margin>,
    /// How many machines came out how.
    pub outcomes: BTreeMap<TargetOutcome, u64>,
    /// Machines that a person must look at.
    pub stuck: Vec<TargetId>,
    /// Machines that something was done to.
    pub touched: u64,
    /// How many lives it took: one more than deaths and pauses.
    pub lives: u32,
    /// The lives that began because somebody went on with a paused run.
    pub unpaused: BTreeSet<u32>,
    /// Entries of the journal.
    pub entries: u64,
    /// Bytes of what the store holds of the run, without the plan.
    pub bytes: u64,
    /// Calls that wrote, and those that took effect.
    pub calls: u64,
    /// Calls that only read.
    pub reads: u64,
    /// The kinds of faults that were there, each once.
    pub drawn: BTreeSet<String>,
    /// The laws that were broken.
    pub violations: Vec<Violation>,
    /// The journal, where it was asked for.
    pub trace: Vec<Entry>,
    /// How each machine came out, where the journal was asked for.
    pub machines: BTreeMap<TargetId, TargetOutcome>,
    /// Every call that wrote, where the journal was asked for.
    pub made: Vec<Call>,
}

/// How one life ended.
enum Life {
    /// The run let the process go.
    Over(ExitReport),
    /// The process died.
    Died,
    /// Nothing happens any more, and nothing ever will.
    Waits,
    /// The coordinator refused, or found a contradiction.
    Refused(Refused),
}

/// Lives through one world.
///
/// `trace`: where its journal goes, entry by entry, if it is asked for.
pub(super) fn live(
    rehearsal: &Rehearsal,
    seed: u64,
    trace: Option<&RefCell<Vec<Entry>>>,
) -> Result<Rehearsed, FleetError> {
    let fleet = rehearsal.profile.fleet(&rehearsal.fleet, seed);
    let drawn = fleet.faults.iter().map(|rule| rule.kind.to_string()).collect();
    let world = World::of(fleet, seed)?;
    let store = MemoryStore::new();
    let mut witness = Witness::new(&rehearsal.plan, trace, rehearsal.crashes == Crashes::EveryAppend);
    let mut fates = Fates::of(rehearsal.crashes, seed, &rehearsal.plan);
    let mut draws = Draws::new(seed, "dead");
    let jump = rehearsal.profile.clock_jump(seed).map(|(from, by)| (profile::after(world.now(), from), by));
    let mut scene = Scene { rehearsal, world: Arc::clone(&world), jump };
    let (mut unpaused, mut gained) = (BTreeSet::new(), true);
    let ended = loop {
        let before = witness.gained;
        let life = scene.live(&store, fates.next(gained), &mut witness)?;
        gained = witness.gained > before;
        match life {
            Life::Over(report) if report.status == "paused" && unpaused.len() < MOST_PAUSES => {
                unpaused.insert(witness.life + 1);
            }
            Life::Over(report) => {
                break Ended { status: report.status, code: report.code, cause: report.cause };
            }
            // Hours between two of hundreds of lives, and nothing would be in time.
            Life::Died if rehearsal.crashes == Crashes::EveryAppend && witness.life < MOST_LIVES => {}
            Life::Died if witness.life < MOST_LIVES => {
                world.advance_to(later(world.now(), rehearsal.profile.dead_for(&mut draws)));
            }
            Life::Died => break broken(&mut witness, Law::EveryWaitEnds, "it does not get on".to_owned()),
            Life::Waits => break broken(&mut witness, Law::EveryWaitEnds, "it waits for ever".to_owned()),
            Life::Refused(refused) => {
                break broken(&mut witness, Law::TheJournalIsTheRun, refused.to_string());
            }
        }
        witness.life += 1;
    };
    // A run that somebody paused for good did not end, and need not.
    if witness.finished_at.is_none() && !matches!(ended.status.as_str(), "paused" | "broken") {
        let detail = format!("the run did not end: it is {}", ended.status);
        witness.violations.push(Violation::of(Law::EveryWaitEnds, detail));
    }
    witness.conclude();
    let mut violations = std::mem::take(&mut witness.violations);
    violations.extend(inspection::of_world(&rehearsal.plan, &world, RUN, &witness.unsure));
    let there = inspection::There::of(&world, RUN);
    let told = witness.outcomes.take();
    let came = sum_up(seed, &world, witness, ended);
    // A large world and a large run need not be in memory at the same time.
    drop((scene, world));
    let (broken, machines) = inspection::of_store(&rehearsal.plan, &store, &there, told);
    violations.extend(broken);
    Ok(Rehearsed { bytes: store.bytes(), drawn, violations, unpaused, ..came }
        .with(machines, trace.is_some()))
}

fn broken(witness: &mut Witness<'_>, law: Law, detail: String) -> Ended {
    witness.violations.push(Violation::of(law, detail.clone()));
    Ended { status: "broken".to_owned(), code: 1, cause: Some(detail) }
}

fn sum_up(seed: u64, world: &World, mut witness: Witness<'_>, ended: Ended) -> Rehearsed {
    let (calls, touched) = world.look_at_calls(|log| {
        let touched: std::collections::HashSet<&TargetId> =
            log.calls.iter().filter(|call| call.took_effect).flat_map(|call| &call.machines).collect();
        (log.calls.len() as u64, touched.len() as u64)
    });
    let span = |from: Timestamp, to: Timestamp| to.duration_since(from);
    let started = witness.started_at.unwrap_or_else(|| world.now());
    Rehearsed {
        makespan: span(started, witness.finished_at.unwrap_or_else(|| world.now())),
        margin: witness.margin(),
        touched,
        lives: witness.life,
        entries: witness.entries,
        calls,
        reads: world.reads().values().sum(),
        made: if witness.traces() { world.look_at_calls(|log| log.calls.clone()) } else { Vec::new() },
        trace: witness.take_trace(),
        ..Rehearsed::nothing(seed, ended)
    }
}

impl Rehearsed {
    /// Nothing is known of what came of it.
    fn nothing(seed: u64, ended: Ended) -> Self {
        Self {
            seed,
            ended,
            makespan: SignedDuration::ZERO,
            margin: None,
            outcomes: BTreeMap::new(),
            stuck: Vec::new(),
            touched: 0,
            lives: 1,
            unpaused: BTreeSet::new(),
            entries: 0,
            bytes: 0,
            calls: 0,
            reads: 0,
            drawn: BTreeSet::new(),
            violations: Vec::new(),
            trace: Vec::new(),
            machines: BTreeMap::new(),
            made: Vec::new(),
        }
    }

    /// The world broke off, when so much of its journal was there.
    pub(super) fn broken_off(seed: u64, cause: Option<String>, trace: Vec<Entry>) -> Self {
        let ended = Ended { status: "broken".to_owned(), code: 1, cause };
        let ends = trace.first().zip(trace.last());
        Self {
            makespan: ends.map(|(first, last)| last.at.duration_since(first.at)).unwrap_or_default(),
            lives: trace.last().map_or(1, |entry| entry.life),
            entries: trace.len() as u64,
            trace,
            ..Self::nothing(seed, ended)
        }
    }

    /// How many times the runner died.
    pub fn deaths(&self) -> u64 {
        u64::from(self.lives.saturating_sub(1)).saturating_sub(self.unpaused.len() as u64)
    }

    fn with(mut self, machines: BTreeMap<TargetId, TargetOutcome>, each: bool) -> Self {
        for (id, outcome) in &machines {
            *self.outcomes.entry(*outcome).or_default() += 1;
            if matches!(outcome, TargetOutcome::RestoreFailed | TargetOutcome::Unknown) {
                self.stuck.push(id.clone());
            }
        }
        if each {
            self.machines = machines;
        }
        self
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// What the lives of one world have in common.
struct Scene<'r> {
    rehearsal: &'r Rehearsal,
    world: Arc<World>,
    /// When the clock jumps, and by how much.
    jump: Option<(Timestamp, SignedDuration)>,
}

impl Scene<'_> {
    fn live(
        &mut self,
        store: &MemoryStore,
        fate: Fate,
        witness: &mut Witness<'_>,
    ) -> Result<Life, FleetError> {
        let opened = match fate {
            Fate::BeforeAppend(batch) => store.reopened_with_fuse(batch),
            Fate::Lives | Fate::AtCall(..) => store.reopened(),
        };
        if let Fate::AtCall(call, moment) = fate {
            self.world.crash_at(call, moment);
        }
        let runtime = world::runtime()
            .map_err(|source| FleetError::Io { path: "(an event queue)".to_owned(), source })?;
        let parts = self.parts(opened);
        let life = runtime.block_on(async {
            let life = self.drive(parts, witness).await;
            self.world.rest();
            life
        });
        self.world.revive();
        Ok(life)
    }

    async fn drive(&mut self, parts: Parts, witness: &mut Witness<'_>) -> Life {
        let rows = match parts.store.runs() {
            Ok(rows) => rows,
            Err(error) => return Life::Refused(error.into()),
        };
        let mut coordinator = Coordinator::new(parts, witness);
        if self.rehearsal.crashes == Crashes::None {
            coordinator = coordinator.without_kept_states();
        }
        let began = match rows.first() {
            None => {
                let plan = Arc::clone(&self.rehearsal.plan);
                let start = Start { plan, expect_plan: None, not_before: None, no_wait: false };
                coordinator.start_as(RunId::new(RUN), start, "rehearsal").map(|_| None)
            }
            Some(row) => coordinator.resume(row, "rehearsal", false),
        };
        match began {
            Ok(None) => {}
            Ok(Some(report)) => return Life::Over(report),
            Err(refused) => return died_or(refused),
        }
        let jump = self.jump;
        let jumped = async {
            let Some((at, by)) = jump.filter(|(at, _)| *at > self.world.now()) else {
                return std::future::pending().await;
            };
            let wait = at.duration_since(self.world.now());
            tokio::time::sleep(wait.try_into().unwrap_or_default()).await;
            self.world.advance_to(later(self.world.now(), by));
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = self.world.crashed() => Life::Died,
            driven = coordinator.drive() => match driven {
                Ok(mut reports) if !reports.is_empty() => Life::Over(reports.remove(0)),
                Ok(_) => Life::Waits,
                Err(refused) => died_or(refused),
            },
            () = tokio::time::sleep(FOR_EVER) => Life::Waits,
            () = jumped => Life::Waits,
        }
    }

    fn parts(&self, store: MemoryStore) -> Parts {
        Parts {
            store: Box::new(store),
            outside: Outside::Simulated(Arc::clone(&self.world)),
            actions: Actions::standard(),
            settings: Settings { settle: self.world.settle(), ..self.rehearsal.settings.clone() },
            secrets: Secrets::default().simulated(true),
            interrupts: Interrupts::never(),
            capacity: self.rehearsal.capacity,
            state: PathBuf::from("(memory)"),
            environment: "rehearsal".to_owned(),
            world: None,
            owner: 0,
        }
    }
}

/// A fuse that blew is the death that was wanted.
fn died_or(refused: Refused) -> Life {
    match refused {
        Refused::Store(StoreError::Fuse { .. }) => Life::Died,
        refused => Life::Refused(refused),
    }
}
