//! A run that is loaded from the state that was kept of it is the run that its whole journal tells.

use std::{collections::BTreeMap, sync::Arc};

use runbook_engine::{plan::Plan, run::Run};
use runbook_state::{
    MemoryStore,
    store::{RunRow, RunStore},
};
use runbook_steps::world::{World, runtime};

use super::rig::{self, Shown};
use crate::coordinator::{
    Coordinator, Start,
    refused::Refused,
    replay::{self, Copied},
};

const PATCH_LINUX: &str = include_str!("../../../runbooks/patch-linux.yaml");
const CONTAINED: &str = include_str!("../../../runbooks/fleets/contained.yaml");
const RESTORE_FAILS: &str = include_str!("../../../runbooks/fleets/restore-fails.yaml");

/// One life of the run, in which its state is kept after so many entries, until the fuse blows; the exit code at the end.
fn life(world: &Arc<World>, store: &MemoryStore, plan: &Plan, keep_every: u64, fuse: u64) -> Option<u8> {
    let row = store.reopened().runs().expect("rows").into_iter().next();
    let parts = rig::parts(store.reopened_with_fuse(fuse), world);
    runtime().expect("a runtime").block_on(async {
        let mut shown = Shown::default();
        let mut coordinator = Coordinator::new(parts, &mut shown);
        coordinator.keep_every = keep_every;
        match row {
            Some(row) => drop(coordinator.resume(&row, "tester", false).expect("it goes on")),
            None => {
                let start =
                    Start { plan: plan.clone().into(), expect_plan: None, not_before: None, no_wait: false };
                coordinator.start(start, "tester").expect("it starts");
            }
        }
        match coordinator.drive().await {
            Ok(reports) => Some(reports[0].code),
            Err(Refused::Store(_)) => None,
            Err(other) => panic!("{other}"),
        }
    })
}

fn whole(store: &dyn RunStore, row: &RunRow) -> Run {
    let plan = Arc::new(store.plan(&row.run).expect("a plan"));
    replay::replay(&row.run, &plan, &store.entries(&row.run, 1).expect("entries")).expect("a journal")
}

/// Dies after a few batches again and again; the exit code, and how machines came out.
fn ends(fleet: &str, keep_every: u64) -> (u8, BTreeMap<String, &'static str>) {
    let world = World::in_memory(fleet, 1).expect("a world");
    let plan = rig::plan(PATCH_LINUX, &world);
    let store = MemoryStore::new();
    for number in 0..1_000 {
        let code = life(&world, &store, &plan, keep_every, 4 + number % 7);
        let opened = store.reopened();
        let row = opened.runs().expect("rows").remove(0);
        let loaded = replay::load(&opened, &row).expect("a run");
        let entries = opened.entries(&row.run, 1).expect("entries").len() as u64;
        assert_eq!(loaded.seq, entries);
        assert_eq!(loaded.kept > 0, entries >= keep_every, "{} of {entries} entries", loaded.kept);
        assert!(loaded.run.stands_as(&whole(&opened, &row)), "life {number}, entry {entries}");
        // So does one that is copied, and applied when the store is gone.
        let copied = Copied::of(&opened, &row).expect("a copy");
        drop(opened);
        let copied = copied.replayed().expect("a journal").expect("a run");
        assert!(copied.seq == entries && copied.last_at == loaded.last_at);
        assert!(copied.run.stands_as(&loaded.run), "life {number}, entry {entries}");
        if let Some(code) = code {
            return (code, rig::outcomes(&store.reopened(), &row.run));
        }
    }
    panic!("it does not get on");
}

#[test]
fn a_run_goes_on_from_its_kept_state_as_from_its_journal() {
    for (fleet, keep_every) in [(CONTAINED, 17), (RESTORE_FAILS, 1)] {
        assert_eq!(ends(fleet, keep_every), ends(fleet, u64::MAX));
    }
}

#[test]
fn a_state_that_the_core_does_not_know_is_replayed() {
    let world = World::in_memory(CONTAINED, 1).expect("a world");
    let plan = rig::plan(PATCH_LINUX, &world);
    let store = MemoryStore::new();
    life(&world, &store, &plan, 1, 20);
    let mut opened = store.reopened();
    let row = opened.runs().expect("rows").remove(0);
    let run = whole(&opened, &row);
    let saved = String::from_utf8(run.saved().expect("bytes")).expect("text");
    let build = saved.split('"').nth(3).expect("the build").to_owned();
    for state in [saved.replace(&build, "another"), "{}".to_owned(), saved[..saved.len() / 2].to_owned()] {
        opened.keep_state(&row.run, state.as_bytes()).expect("kept");
        let loaded = replay::load(&opened, &row).expect("a run");
        assert!(loaded.kept == 0 && loaded.run.stands_as(&run));
        // Whoever copies needs the rest of the journal for that.
        assert!(Copied::of(&opened, &row).expect("a copy").replayed().expect("no error").is_none());
    }
    // A state that is whole and wrong: it is of a run that has not begun, or what follows does not fit it.
    let mut early = Run::new(Arc::clone(run.plan())).expect("a plan");
    opened.keep_state(&row.run, &early.saved().expect("bytes")).expect("kept");
    assert!(replay::load(&opened, &row).expect("a run").run.stands_as(&run));
    let entries = opened.entries(&row.run, 1).expect("entries");
    early.apply(entries[0].at, &entries[0].event).expect("the first entry");
    let mut other = MemoryStore::new();
    let events: Vec<_> = entries.iter().map(|entry| entry.event.clone()).collect();
    let half = events.len() / 2;
    other.create(&row, run.plan(), entries[0].at, &events[..half]).expect("create");
    other.keep_state(&row.run, &early.saved().expect("bytes")).expect("kept");
    other.append(&row.run, entries[half].at, &events[half..], None).expect("append");
    let loaded = replay::load(&other, &row).expect("a run");
    assert!(loaded.kept == 0 && loaded.run.stands_as(&whole(&other, &row)));
    assert!(Copied::of(&other, &row).expect("a copy").replayed().expect("no error").is_none());
}
