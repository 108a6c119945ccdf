//! The shipped fleets, straight and with a crash at every batch.

use runbook_state::{MemoryStore, store::RunStore};
use runbook_steps::world::World;

use super::rig::{self, Shown};
use crate::coordinator::refused::Refused;

const PATCH_LINUX: &str = include_str!("../../../runbooks/patch-linux.yaml");
const PATCH_WINDOWS: &str = include_str!("../../../runbooks/patch-windows.yaml");
const ANSIBLE: &str = include_str!("../../../runbooks/ansible.yaml");
const ANSIBLE_FLEET: &str = include_str!("../../../runbooks/fleets/ansible.yaml");
const RUN_COMMAND: &str = include_str!("../../../runbooks/run-command.yaml");
const DEPLOY_LOCAL: &str = include_str!("../../../runbooks/deploy-local.yaml");
const HAPPY: &str = include_str!("../../../runbooks/fleets/happy.yaml");
const WINDOWS: &str = include_str!("../../../runbooks/fleets/windows.yaml");
const CONTAINED: &str = include_str!("../../../runbooks/fleets/contained.yaml");
const OVER_BUDGET: &str = include_str!("../../../runbooks/fleets/over-budget.yaml");
const RESTORE_FAILS: &str = include_str!("../../../runbooks/fleets/restore-fails.yaml");

/// The exit code, and how many machines came out how.
fn straight(fleet: &str) -> (u8, Vec<(&'static str, usize)>) {
    straight_of(PATCH_LINUX, fleet)
}

fn straight_of(runbook: &str, fleet: &str) -> (u8, Vec<(&'static str, usize)>) {
    let world = World::in_memory(fleet, 1).expect("a world");
    let store = MemoryStore::new();
    let plan = rig::plan(runbook, &world);
    let mut shown = Shown::default();
    let report = rig::run(rig::parts(store.reopened(), &world), plan, &mut shown).expect("it runs");
    (report.code, counted(&store, &report.run))
}

fn counted(store: &MemoryStore, run: &runbook_engine::ids::RunId) -> Vec<(&'static str, usize)> {
    let mut counts = std::collections::BTreeMap::new();
    for outcome in rig::outcomes(&store.reopened(), run).into_values() {
        *counts.entry(outcome).or_default() += 1;
    }
    counts.into_iter().collect()
}

#[test]
fn a_fleet_without_faults_succeeds() {
    assert_eq!(straight(HAPPY), (0, vec![("succeeded", 20)]));
}

#[test]
fn a_contained_failure_is_restored_and_the_rollout_goes_on() {
    assert_eq!(straight(CONTAINED), (0, vec![("restored", 1), ("succeeded", 67)]));
}

#[test]
fn windows_machines_are_patched_and_restored_as_well() {
    assert_eq!(straight_of(PATCH_WINDOWS, WINDOWS), (0, vec![("restored", 1), ("succeeded", 14)]));
}

#[test]
fn a_rollout_over_its_budget_stops_and_is_restored() {
    let (code, counts) = straight(OVER_BUDGET);
    assert_eq!(code, 10, "{counts:?}");
}

#[test]
fn a_restore_that_fails_leaves_the_run_stuck() {
    let (code, counts) = straight(RESTORE_FAILS);
    assert_eq!(code, 11, "{counts:?}");
    assert!(counts.contains(&("restore_failed", 1)), "{counts:?}");
}

/// Dies again and again, each life after a few batches: at every batch of the run some life begins or ends.
#[test]
fn a_crash_at_every_batch_changes_nothing() {
    for fleet in [HAPPY, CONTAINED, OVER_BUDGET, RESTORE_FAILS] {
        crash_at_every_batch(PATCH_LINUX, fleet);
    }
    let run_command =
        RUN_COMMAND.replace("script:  { type: string,", "script:  { type: string, default: uptime,");
    for runbook in [&run_command, DEPLOY_LOCAL] {
        crash_at_every_batch(runbook, HAPPY);
    }
    crash_at_every_batch(ANSIBLE, ANSIBLE_FLEET);
}

fn crash_at_every_batch(runbook: &str, fleet: &str) {
    let smooth = straight_of(runbook, fleet);
    let world = World::in_memory(fleet, 1).expect("a world");
    let store = MemoryStore::new();
    let plan = rig::plan(runbook, &world);
    let mut lives = 0;
    let report = loop {
        lives += 1;
        assert!(lives < 1_000, "it does not get on");
        let mut shown = Shown::default();
        let began = !store.reopened().runs().expect("rows").is_empty();
        let opened = store.reopened_with_fuse(4 + lives % 7);
        let parts = rig::parts(opened, &world);
        let result =
            if began { rig::resume(parts, &mut shown) } else { rig::run(parts, plan.clone(), &mut shown) };
        match result {
            Ok(report) => break report,
            Err(Refused::Store(_)) => {}
            Err(other) => panic!("life {lives}: {other}"),
        }
    };
    assert!(lives > 2, "{lives} lives");
    assert_eq!((report.code, counted(&store, &report.run)), smooth);
    assert_eq!(world.calls().doubled(), Vec::<String>::new());
}
