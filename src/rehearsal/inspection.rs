//! The laws that only the world, or the store, can tell.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use runbook_engine::{
    artifact::ArtifactKind,
    ids::{RunId, TargetId},
    laws::{Law, Violation, needs_backup},
    outcome::TargetOutcome,
    plan::Plan,
    run::Run,
};
use runbook_state::{
    MemoryStore,
    artifact::{ArtifactRow, ArtifactState},
    store::{Entry, RunStore, StoreError},
};
use runbook_steps::world::{Call, WayBack, World};

/// What a run broke in its world.
pub(super) fn of_world(plan: &Plan, world: &World, run: &str) -> Vec<Violation> {
    let fleet: HashSet<TargetId> = world.fleet_machines().into_iter().collect();
    let tasks: HashMap<&str, bool> =
        plan.tasks.iter().map(|task| (task.name.as_str(), needs_backup(task))).collect();
    let mut usable = HashMap::new();
    for way in world.ways_back_of(run) {
        if let Some(from) = way.usable_from {
            let earliest = usable.entry(way.machine).or_insert(from);
            *earliest = (*earliest).min(from);
        }
    }
    world.look_at_calls(|log| {
        let mut broken: Vec<Violation> =
            log.doubled().into_iter().map(|detail| Violation::of(Law::NothingTwice, detail)).collect();
        for call in log.calls.iter().filter(|call| call.took_effect) {
            for machine in &call.machines {
                // What a restore makes of a machine is a machine of the run's own.
                if fleet.contains(machine) && !plan.targets.contains_key(machine) {
                    let detail = format!("{} on {machine}, which is not in the plan", call.call);
                    broken.push(Violation::of(Law::OnlyListedMachines, detail));
                }
                let needs =
                    installs(call) && call.task.as_deref().is_some_and(|task| tasks.get(task) == Some(&true));
                if needs && usable.get(machine).is_none_or(|from| *from > call.at) {
                    let detail =
                        format!("{machine} was changed at {}, and no backup could be used then", call.at);
                    broken.push(Violation::of(Law::BackedUp, detail));
                }
            }
        }
        broken
    })
}

/// Whether a call installs something.
fn installs(call: &Call) -> bool {
    call.operation == Some("Install")
        || call.call == "ssh:start" && call.resource.as_deref() == Some("install")
}

/// What the store says otherwise than the run and the world do, and how the machines came out; `there` is what the
/// run made, `told` what was told of each machine, if the run ended.
pub(super) fn of_store(
    plan: &Arc<Plan>,
    store: &MemoryStore,
    there: &There,
    told: Option<Outcomes>,
) -> (Vec<Violation>, Outcomes) {
    compared(plan, store, there, told.as_ref()).unwrap_or_else(|error| {
        (vec![Violation::of(Law::TheJournalIsTheRun, error)], told.unwrap_or_default())
    })
}

/// How each machine came out.
type Outcomes = BTreeMap<TargetId, TargetOutcome>;

fn compared(
    plan: &Arc<Plan>,
    store: &MemoryStore,
    there: &There,
    told: Option<&Outcomes>,
) -> Result<(Vec<Violation>, Outcomes), String> {
    let said = |error: StoreError| error.to_string();
    let store = store.reopened();
    let (mut broken, mut outcomes) = (Vec::new(), Outcomes::new());
    for row in store.runs().map_err(said)? {
        let run = replayed(plan, &store, &row.run)?;
        if let Some(disagreement) = run.disagreement() {
            broken.push(Violation::of(Law::TheJournalIsTheRun, disagreement));
        }
        outcomes = run.targets().into_iter().map(|view| (view.id.clone(), view.outcome)).collect();
        let differ =
            outcomes.iter().filter(|(id, outcome)| told.is_some_and(|told| told.get(*id) != Some(*outcome)));
        broken.extend(differ.map(|(id, outcome)| {
            Violation::of(
                Law::TheJournalIsTheRun,
                format!("{id} is {outcome} when the journal is read again"),
            )
        }));
        broken.extend(ledger(&store.artifacts(Some(&row.run)).map_err(said)?, there, &outcomes));
    }
    Ok((broken, outcomes))
}

/// The run, out of its journal: entry by entry, so that it is never in memory as a whole.
fn replayed(plan: &Arc<Plan>, store: &MemoryStore, id: &RunId) -> Result<Run, String> {
    let mut run = Run::new(Arc::clone(plan)).map_err(|damaged| damaged.to_string())?;
    let mut refused = None;
    let mut apply = |entry: Entry| {
        if refused.is_none()
            && let Err(illegal) = run.apply(entry.at, &entry.event)
        {
            refused = Some(format!("entry {} does not fit: {illegal}", entry.seq));
        }
    };
    store.each(id, 1, &mut apply).map_err(|error| error.to_string())?;
    refused.map_or(Ok(run), Err)
}

/// What a run made or left behind, as the world has it.
pub(super) struct There {
    ways_back: Vec<WayBack>,
    /// Volumes and images that no machine has, by id, with their tokens.
    left: Vec<(String, String)>,
}

impl There {
    pub fn of(world: &World, run: &str) -> Self {
        Self { ways_back: world.ways_back_of(run), left: world.left_by(run) }
    }
}

/// The ledger, held against the world: its snapshots and recovery points, and that it names every volume and image that
/// nobody has. What was asked for and not heard of may stay so only on a machine that did not come through: a backup that
/// the run went on from is known to it.
fn ledger(rows: &[ArtifactRow], there: &There, outcomes: &Outcomes) -> Vec<Violation> {
    let made: BTreeMap<&str, &ArtifactRow> =
        rows.iter().filter_map(|row| Some((row.id.as_deref()?, row))).collect();
    let intended: BTreeSet<&str> =
        rows.iter().filter(|row| row.id.is_none()).map(|row| row.token.as_str()).collect();
    let ids: BTreeSet<&str> = there.ways_back.iter().filter_map(|way| way.id.as_deref()).collect();
    let mut broken = Vec::new();
    for (id, token) in &there.left {
        if !made.contains_key(id.as_str()) && !intended.contains(token.as_str()) {
            broken.push(Violation::of(Law::TheLedgerIsTrue, format!("{id} is not in it")));
        }
    }
    for way in &there.ways_back {
        let Some(id) = way.id.as_deref() else { continue };
        let through =
            matches!(outcomes.get(&way.machine), Some(TargetOutcome::Succeeded | TargetOutcome::Restored));
        if !made.contains_key(id) && (through || !intended.contains(way.token.as_str())) {
            broken.push(Violation::of(Law::TheLedgerIsTrue, format!("{id} of {} is not in it", way.machine)));
        }
    }
    for (id, row) in made {
        let kept = matches!(row.kind, ArtifactKind::Snapshot | ArtifactKind::RecoveryPoint);
        if kept && row.state == ArtifactState::Made && !ids.contains(id) {
            broken.push(Violation::of(Law::TheLedgerIsTrue, format!("{id} is in it, and not in the world")));
        }
    }
    broken
}
