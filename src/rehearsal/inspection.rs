//! The laws that only the world, or the store, can tell.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;
use runbook_engine::{
    artifact::ArtifactKind,
    ids::{RunId, TargetId},
    laws::{Law, Violation, needs_backup},
    outcome::TargetOutcome,
    plan::{Plan, Role, Task},
    run::Run,
};
use runbook_state::{
    MemoryStore,
    artifact::{ArtifactRow, ArtifactState},
    store::{Entry, RunStore, StoreError},
};
use runbook_steps::world::{Call, WayBack, World};

/// What a run broke in its world; of `unsure` nobody could say at some time what was applied.
pub(super) fn of_world(plan: &Plan, world: &World, run: &str, unsure: &BTreeSet<TargetId>) -> Vec<Violation> {
    let fleet: HashSet<TargetId> = world.fleet_machines().into_iter().collect();
    let tasks: HashMap<&str, bool> =
        plan.tasks.iter().map(|task| (task.name.as_str(), needs_backup(task))).collect();
    let usable = usable_from(world.ways_back_of(run));
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
        broken.extend(never_changed(plan, &log.calls, unsure));
        broken
    })
}

/// From when on each machine can go back: one call makes snapshots of all its volumes, and a restore needs all of them.
fn usable_from(ways: Vec<WayBack>) -> HashMap<TargetId, Timestamp> {
    let mut backups: BTreeMap<(TargetId, String), Option<Timestamp>> = BTreeMap::new();
    for way in ways {
        let whole = backups.entry((way.machine, way.token)).or_insert(way.usable_from);
        *whole = whole.zip(way.usable_from).map(|(one, other)| one.max(other));
    }
    let mut usable = HashMap::new();
    for ((machine, _), from) in backups {
        let Some(from) = from else { continue };
        let earliest = usable.entry(machine).or_insert(from);
        *earliest = (*earliest).min(from);
    }
    usable
}

/// Machines that a failure branch restored although nothing had been sent to change them. A change of which no answer came
/// may have been one, and so may one of which the journal says that nobody knows. A rollback takes what a person wants.
fn never_changed(plan: &Plan, calls: &[Call], unsure: &BTreeSet<TargetId>) -> Vec<Violation> {
    let changes = |task: &Task| task.effect.may_change() && task.restores.is_none();
    let branch =
        |task: &Task| task.restores.is_some() && matches!(&task.role, Role::Branch { of } if !of.is_empty());
    let names = |wanted: &dyn Fn(&Task) -> bool| -> HashSet<&str> {
        plan.tasks.iter().filter(|task| wanted(task)).map(|task| task.name.as_str()).collect()
    };
    let (changing, restoring) = (names(&changes), names(&branch));
    let mut changed: HashSet<&TargetId> = HashSet::new();
    let mut broken = BTreeMap::new();
    for call in calls {
        let Some(task) = call.task.as_deref() else { continue };
        if changing.contains(task) && !only_looks(call) && (call.took_effect || !call.answered) {
            changed.extend(&call.machines);
        }
        if restoring.contains(task) && call.took_effect && brings_back(call) {
            let machines = call.machines.iter().filter(|id| plan.targets.contains_key(*id));
            for machine in machines.filter(|id| !changed.contains(id) && !unsure.contains(*id)) {
                broken.entry(machine).or_insert_with(|| {
                    let detail =
                        format!("{task} restored {machine} at {}, which nothing had changed", call.at);
                    Violation::of(Law::TheFailedGoBack, detail)
                });
            }
        }
    }
    broken.into_values().collect()
}

/// Whether a call of a change only prepares it, or ends it.
fn only_looks(call: &Call) -> bool {
    matches!(call.does(), Some("Boot" | "Scan" | "refresh" | "capture" | "discard" | "keep"))
        || matches!(call.call.as_str(), "ssm:CancelCommand" | "ssh:end" | "ssh:forget")
}

/// Whether a call of a restore does something to the machine.
fn brings_back(call: &Call) -> bool {
    const CALLS: [&str; 4] = [
        "ec2:CreateReplaceRootVolumeTask",
        "ec2:StopInstances",
        "ec2:DetachVolume",
        "backup:StartRestoreJob",
    ];
    CALLS.contains(&call.call.as_str())
        || call.call == "ssh:start" && matches!(call.does(), Some("revert" | "install-back"))
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plan() -> Plan {
        let task = |name: &str, role: Value, restores: Option<&str>| {
            json!({
                "name": name, "step": name, "scope": "", "action": "a", "role": role, "effect": "changes",
                "restores": restores, "work": { "action": { "shared": {} } }, "timeout": "1h",
                "retry": { "attempts": 1, "errors": [], "delay": "0s" }, "resolve_within": "1d",
            })
        };
        let target = |id: &str| json!({ "id": id, "name": id, "group": "g", "platform": "linux", "home": { "aws": {} } });
        serde_json::from_value(json!({
            "format": 1, "runbook": "r", "sources": {}, "entry": "r", "params": {}, "groups": {},
            "targets": { "i-1": target("i-1"), "i-2": target("i-2") },
            "scopes": [{ "name": "", "kind": "root" }],
            "tasks": [
                task("patch", json!("step"), None),
                task("restore", json!({ "branch": { "of": ["patch"] } }), Some("backup")),
                task("undo", json!({ "branch": { "of": [] } }), Some("backup")),
            ],
        }))
        .expect("a plan")
    }

    fn call(name: &str, task: &str, machines: &[&str]) -> Call {
        Call {
            at: at(0),
            call: name.to_owned(),
            machines: machines.iter().copied().map(TargetId::new).collect(),
            token: String::new(),
            resource: None,
            source: None,
            operation: None,
            task: Some(task.to_owned()),
            attempt: Some(1),
            took_effect: true,
            answered: true,
        }
    }

    #[test]
    fn who_was_not_changed_is_not_restored() {
        let install = |machines| call("ssm:SendCommand", "patch", machines);
        let restore = |task| call("ec2:CreateReplaceRootVolumeTask", task, &["i-1"]);
        let broken = |before: Call, after: Call| {
            never_changed(&plan(), &[before, after.clone(), after], &BTreeSet::new()).len()
        };
        assert_eq!(broken(install(&["i-1", "i-2"]), restore("restore")), 0);
        assert_eq!(broken(install(&["i-2"]), restore("restore")), 1);
        let boot = Call { operation: Some("Boot"), ..install(&["i-1"]) };
        assert_eq!(broken(boot, restore("restore")), 1);
        let throttled = Call { took_effect: false, ..install(&["i-1"]) };
        assert_eq!(broken(throttled.clone(), restore("restore")), 1);
        // Nobody heard whether it was carried out.
        assert_eq!(broken(Call { answered: false, ..throttled }, restore("restore")), 0);
        assert_eq!(broken(install(&["i-2"]), Call { took_effect: false, ..restore("restore") }), 0);
        assert_eq!(broken(install(&["i-2"]), call("ec2:CreateVolume", "restore", &["i-1"])), 0);
        // A person wanted that, or nobody can say what was applied.
        assert_eq!(broken(install(&["i-2"]), restore("undo")), 0);
        let unsure = BTreeSet::from([TargetId::new("i-1")]);
        assert!(never_changed(&plan(), &[restore("restore")], &unsure).is_empty());
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::constant(second, 0)
    }

    fn way(token: &str, usable_from: Option<Timestamp>) -> WayBack {
        WayBack { id: None, token: token.to_owned(), machine: TargetId::new("i-1"), usable_from }
    }

    #[test]
    fn a_backup_can_be_used_when_all_of_it_can() {
        let from = |ways| usable_from(ways).get(&TargetId::new("i-1")).copied();
        assert_eq!(from(vec![way("a", Some(at(5))), way("a", Some(at(9)))]), Some(at(9)));
        assert_eq!(from(vec![way("a", Some(at(5))), way("a", None), way("a", Some(at(6)))]), None);
        assert_eq!(from(vec![way("a", None), way("b", Some(at(7))), way("c", Some(at(8)))]), Some(at(7)));
    }
}
