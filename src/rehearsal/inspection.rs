//! The laws that only the world, or the store, can tell.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use runbook_engine::{
    artifact::ArtifactKind,
    ids::{RunId, TargetId},
    laws::{Law, Violation},
    outcome::{Effect, TargetOutcome},
    plan::{Plan, Role, Task},
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

fn needs_backup(task: &Task) -> bool {
    task.effect == Effect::Changes
        && task.restores.is_none()
        && task.no_way_back.is_none()
        && matches!(task.role, Role::Step)
}

/// Whether a call installs something.
fn installs(call: &Call) -> bool {
    call.operation == Some("Install")
        || call.call == "ssh:start" && call.resource.as_deref() == Some("install")
}

/// What the store says otherwise than the run and the world do; `there` is every way back that the run made.
pub(super) fn of_store(
    plan: &Arc<Plan>,
    store: &MemoryStore,
    there: &[WayBack],
    outcomes: &BTreeMap<TargetId, TargetOutcome>,
) -> Vec<Violation> {
    match compared(plan, store, there, outcomes) {
        Ok(broken) => broken,
        Err(error) => vec![Violation::of(Law::TheJournalIsTheRun, error)],
    }
}

fn compared(
    plan: &Arc<Plan>,
    store: &MemoryStore,
    there: &[WayBack],
    outcomes: &BTreeMap<TargetId, TargetOutcome>,
) -> Result<Vec<Violation>, String> {
    let said = |error: StoreError| error.to_string();
    let store = store.reopened();
    let mut broken = Vec::new();
    for row in store.runs().map_err(said)? {
        broken.extend(ledger(&store.artifacts(Some(&row.run)).map_err(said)?, there, outcomes));
        let run = replayed(plan, &store, &row.run)?;
        if let Some(disagreement) = run.disagreement() {
            broken.push(Violation::of(Law::TheJournalIsTheRun, disagreement));
        }
        for view in run.targets() {
            if outcomes.get(view.id) != Some(&view.outcome) {
                let detail = format!("{} is {} when the journal is read again", view.id, view.outcome);
                broken.push(Violation::of(Law::TheJournalIsTheRun, detail));
            }
        }
    }
    Ok(broken)
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

/// The ledger's snapshots and recovery points, held against the world's. What was asked for and not heard of may stay so
/// only on a machine that did not come through: a backup that the run went on from is known to it.
fn ledger(
    rows: &[ArtifactRow],
    there: &[WayBack],
    outcomes: &BTreeMap<TargetId, TargetOutcome>,
) -> Vec<Violation> {
    let made: HashMap<&str, &ArtifactRow> =
        rows.iter().filter_map(|row| Some((row.id.as_deref()?, row))).collect();
    let intended: HashSet<&str> =
        rows.iter().filter(|row| row.id.is_none()).map(|row| row.token.as_str()).collect();
    let ids: HashSet<&str> = there.iter().filter_map(|way| way.id.as_deref()).collect();
    let mut broken = Vec::new();
    for way in there {
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
