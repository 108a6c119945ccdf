//! The readiness gate, through the coordinator: nothing is changed whose way back is not ready.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use runbook_engine::{
    ids::{TargetId, TaskName},
    plan::Plan,
    run::Run,
    target::Target,
};
use runbook_state::{MemoryStore, store::RunStore};
use runbook_steps::world::{World, runtime};

use super::rig::{self, Shown};
use crate::coordinator::refused::Refused;

/// Restoring branches stand where the plan puts them: with the wave, in the root, or around a composite.
const LAYOUTS: [(&str, &str); 3] = [
    (
        "web/wave-1/patch",
        "
blocks:
  work:
    backup: { uses: aws/snapshot }
    patch: { needs: [backup], uses: aws/patch, with: { operation: Install }, on_failure: [restore] }
    healthy: { needs: [patch], uses: check/tcp, with: { host: x, port: 80 }, on_failure: [restore] }
    restore: { uses: aws/restore, with: { from: backup } }
steps:
  web: { run: work, targets: web }
",
    ),
    (
        "patch/wave-1",
        "
steps:
  backup: { uses: aws/snapshot, targets: web }
  patch: { needs: [backup], uses: aws/patch, with: { operation: Install }, targets: web, on_failure: [restore] }
  healthy: { needs: [patch], uses: check/tcp, with: { host: x, port: 80 }, targets: web, on_failure: [restore] }
  restore: { uses: aws/restore, with: { from: backup } }
",
    ),
    (
        "web/wave-1/patch",
        "
blocks:
  work:
    backup: { uses: aws/snapshot }
    patch: { needs: [backup], uses: aws/patch, with: { operation: Install } }
    healthy: { needs: [patch], uses: check/tcp, with: { host: x, port: 80 } }
steps:
  web: { run: work, targets: web, on_failure: [restore] }
  restore: { uses: aws/restore, targets: { touched_by: [web/patch] }, with: { from: web/backup } }
",
    ),
];

fn runbook(rest: &str) -> String {
    format!("runbook: gated\ntargets:\n  web: {{ aws: {{ tags: {{ Role: web }} }} }}\n{rest}")
}

fn world(count: usize, faults: &str) -> Arc<World> {
    let fleet = format!(
        "fleet: gated
groups:
  - {{ name: web, count: {count}, tags: {{ Role: web }}, volumes: 2 }}
faults: [{faults}]
"
    );
    World::in_memory(&fleet, 1).expect("a world")
}

#[test]
fn a_right_that_is_missing_stops_the_wave_in_every_layout() {
    for (task, layout) in LAYOUTS {
        let world = world(3, "{ kind: denied, call: 'ec2:CreateVolume' }");
        let store = MemoryStore::new();
        let plan = rig::plan(&runbook(layout), &world);
        let report = rig::run(rig::parts(store.reopened(), &world), plan, &mut Shown::default());
        let report = report.expect("an end");
        assert_eq!(report.code, 10, "{layout}");
        assert_eq!(world.calls().effects("ssm:SendCommand").count(), 0, "{layout}");
        let run = replayed(&store.reopened()).expect("a run");
        let views: Vec<_> = run.tasks().filter(|view| view.task.name.as_str() == task).collect();
        assert_eq!(views.len(), 1, "{layout}");
        let cause = views[0].error.unwrap_or_default();
        assert!(cause.contains("ec2:CreateVolume is not allowed"), "{layout}: {cause}");
    }
}

const CHANGED_ONE_BY_ONE: &str = "
steps:
  backup: { uses: aws/snapshot, targets: web }
  change:
    needs: [backup]
    uses: local/command
    with: { script: update }
    effect: changes
    targets: web
    on_failure: [restore]
  healthy: { needs: [change], uses: check/tcp, with: { host: x, port: 80 }, targets: web, on_failure: [restore] }
  restore: { uses: aws/restore, with: { from: backup } }
";

fn replayed(store: &MemoryStore) -> Option<Run> {
    let row = store.runs().expect("rows").into_iter().next()?;
    Some(crate::coordinator::replay::load(store, &row).expect("a journal").run)
}

/// A run that died when calls were about to be made for some of its machines, and not for the others.
fn half_asked() -> (Arc<World>, MemoryStore, Plan, BTreeSet<TargetId>) {
    for fuse in 1..100 {
        let world = world(4, "");
        let store = MemoryStore::new();
        let plan = rig::plan(&runbook(CHANGED_ONE_BY_ONE), &world);
        let mut parts = rig::parts(store.reopened_with_fuse(fuse), &world);
        parts.settings.concurrency = 1;
        let died = rig::run(parts, plan.clone(), &mut Shown::default());
        assert!(matches!(died, Err(Refused::Store(_))), "it did not die");
        let Some(run) = replayed(&store.reopened()) else { continue };
        let memory = run.memory(&TaskName::from(CHANGE)).expect("a task");
        let asked: BTreeSet<_> = memory.intents.values().flat_map(|intent| intent.targets.clone()).collect();
        if asked.len() == 2 {
            return (world, store, plan, asked);
        }
    }
    panic!("there is no such moment")
}

const CHANGE: &str = "change/wave-1";

/// Deletes the first snapshot of a machine's backup.
fn delete_snapshot(world: &Arc<World>, run: &Run, machine: &Target) {
    let backup = run.backup_for(&TaskName::from("restore"), &machine.id).expect("a backup");
    let id = backup["snapshots"][0].as_str().expect("a snapshot");
    let ec2 = world.ports().aws.expect("AWS").ec2(&machine.home);
    runtime().expect("a runtime").block_on(ec2.delete_snapshot(id)).expect("deleted");
}

#[test]
fn after_a_crash_those_for_which_nothing_was_asked_are_looked_at() {
    let (world, store, plan, asked) = half_asked();
    let (before, after): (Vec<_>, Vec<_>) =
        plan.targets.values().partition(|target| asked.contains(&target.id));
    let died = replayed(&store.reopened()).expect("a run");
    delete_snapshot(&world, &died, before[0]);
    delete_snapshot(&world, &died, after[0]);
    rig::resume(rig::parts(store.reopened(), &world), &mut Shown::default()).expect("an end");
    let run = replayed(&store.reopened()).expect("a run");
    let task = run.tasks().find(|view| view.task.name.as_str() == CHANGE).expect("a task");
    let causes: BTreeMap<_, _> =
        task.targets().map(|(id, outcome, cause)| (id, (outcome.as_str(), cause))).collect();
    assert_eq!(causes[&before[0].id], ("succeeded", None), "it was being changed already");
    let (outcome, cause) = causes[&after[0].id];
    assert_eq!(outcome, "failed");
    assert!(
        cause.is_some_and(|cause| cause.ends_with("of its backup is gone, so it was not changed")),
        "{cause:?}"
    );
    assert_eq!(causes[&after[1].id], ("succeeded", None));
}
