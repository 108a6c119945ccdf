//! Real runs on a simulated fleet, killed anywhere: what they leave is found, and collected.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::SignedDuration;
use runbook_engine::target::Home;
use runbook_state::{MemoryStore, artifact::ArtifactState, store::RunStore};
use runbook_steps::world::{World, runtime};

use crate::{
    artifacts::{
        books::Books,
        collect::{self, Report, Wishes},
        held::{self, Held},
        orphan,
    },
    coordinator::{
        refused::Refused,
        tests::rig::{self, Shown},
    },
};

const PATCH_LINUX: &str = include_str!("../../../runbooks/patch-linux.yaml");
const OVER_BUDGET: &str = include_str!("../../../runbooks/fleets/over-budget.yaml");

fn homes(books: &Books) -> BTreeSet<Home> {
    let default = Home::Aws { account: None, region: None, role: None, external_id: None };
    books.homes(Some("test")).into_iter().chain([default]).collect()
}

/// What the world holds with our tags, and no machine uses.
fn lies_there(world: &Arc<World>, books: &Books) -> Vec<Held> {
    let survey = runtime().expect("a runtime").block_on(held::survey(&world.ports(), &homes(books)));
    assert_eq!(survey.unasked, []);
    survey.held.into_iter().filter(|held| held.in_use_by.is_none()).collect()
}

fn gc(store: &mut dyn RunStore, world: &Arc<World>, older_than: Duration) -> Report {
    let books = Books::read(store).expect("books");
    let mut wishes =
        Wishes { orphans: true, older_than: Some(older_than), homes: homes(&books), ..Wishes::default() };
    let ports = world.ports();
    let gc = collect::gc(store, Some("test"), &ports, &mut wishes, "ann");
    runtime().expect("a runtime").block_on(gc).expect("gc")
}

fn ids(held: &[Held]) -> BTreeSet<String> {
    held.iter().map(|held| held.id.clone()).collect()
}

/// Dies before this batch; the world and the store that it leaves.
fn killed(fuse: u64) -> (Arc<World>, MemoryStore) {
    let world = World::in_memory(OVER_BUDGET, fuse).expect("a world");
    let store = MemoryStore::called("here");
    let plan = rig::plan(PATCH_LINUX, &world);
    let parts = rig::parts(store.reopened_with_fuse(fuse), &world);
    match rig::run(parts, plan, &mut Shown::default()) {
        Err(Refused::Store(_)) => {}
        other => panic!("it lived: {other:?}"),
    }
    (world, store.reopened())
}

#[test]
fn the_state_folder_is_lost_and_everything_is_found_by_its_tags() {
    for fuse in [3, 9, 20, 45] {
        let (world, _lost) = killed(fuse);
        let mut other = MemoryStore::called("there");
        let books = Books::read(&other).expect("books");
        let there = lies_there(&world, &books);
        let orphans = orphan::orphans(&books, &there);
        assert_eq!(orphans.len(), there.len());
        assert!(orphans.iter().all(|orphan| orphan.held.store.as_deref() == Some("here")), "{orphans:?}");
        // A week has not passed.
        gc(&mut other, &world, Duration::from_secs(7 * 86_400));
        assert_eq!(ids(&lies_there(&world, &books)), ids(&there));
        let report = gc(&mut other, &world, Duration::ZERO);
        assert_eq!(report.collected.len(), there.len());
        assert_eq!(lies_there(&world, &books), []);
    }
}

#[test]
fn a_run_that_may_go_on_keeps_everything_and_one_that_is_over_keeps_it_until_it_expires() {
    for fuse in [3, 9, 20, 45] {
        let (world, mut store) = killed(fuse);
        let books = Books::read(&store).expect("books");
        let there = lies_there(&world, &books);
        assert_eq!(orphan::orphans(&books, &there), []);
        world.advance_to(world.now() + SignedDuration::from_hours(1));
        assert_eq!(gc(&mut store, &world, Duration::ZERO).collected, []);

        rig::resume(rig::parts(store.reopened(), &world), &mut Shown::default()).expect("it ends");
        let mut store = store.reopened();
        let books = Books::read(&store).expect("books");
        let there = lies_there(&world, &books);
        let made = books.rows.iter().filter(|row| row.state == ArtifactState::Made);
        let mut told: BTreeSet<String> = made.filter_map(|row| row.id.clone()).collect();
        let orphans = orphan::orphans(&books, &there);
        told.extend(orphans.iter().map(|orphan| orphan.held.id.clone()));
        let missing: Vec<_> = ids(&there).difference(&told).cloned().collect();
        assert_eq!(missing, Vec::<String>::new(), "nobody answers for these");
        gc(&mut store, &world, Duration::from_secs(7 * 86_400));
        assert_eq!(ids(&lies_there(&world, &books)), ids(&there));

        world.advance_to(world.now() + SignedDuration::from_hours(24 * 30));
        let report = gc(&mut store, &world, Duration::ZERO);
        assert!(report.collected.iter().all(|each| !each.failed), "{report:?}");
        assert_eq!(lies_there(&world, &books), []);
        let deletions: Vec<_> = report.collected.iter().filter_map(|each| each.row.id.clone()).collect();
        assert_eq!(deletions.len(), deletions.iter().collect::<BTreeSet<_>>().len());
    }
}
