//! What hosts of our own keep, and who deletes it.

use std::{collections::BTreeSet, sync::Arc};

use jiff::SignedDuration;
use runbook_engine::artifact::ArtifactKind;
use runbook_state::{
    MemoryStore,
    artifact::{ArtifactState, CollectionEnd},
    store::RunStore,
};
use runbook_steps::world::{World, runtime};

use crate::{
    artifacts::{
        collect::{self, Reason, Report, Wishes},
        snapshots::Snapshots,
    },
    coordinator::{
        refused::Refused,
        tests::rig::{self, Shown},
    },
};

const SLES: (&str, &str) =
    (include_str!("../../../runbooks/patch-sles.yaml"), include_str!("../../../runbooks/fleets/sles.yaml"));
const DEBIAN: (&str, &str) = (
    include_str!("../../../runbooks/patch-debian.yaml"),
    include_str!("../../../runbooks/fleets/debian.yaml"),
);

/// A run that is over: the world and the store that it leaves.
fn over((runbook, fleet): (&str, &str)) -> (Arc<World>, MemoryStore) {
    let world = World::in_memory(fleet, 1).expect("a world");
    let store = MemoryStore::called("here");
    let plan = rig::plan(runbook, &world);
    rig::run(rig::parts(store.reopened(), &world), plan, &mut Shown::default()).expect("it ends");
    (world, store.reopened())
}

fn gc(store: &mut dyn RunStore, world: &Arc<World>) -> Result<Report, Refused> {
    let (ports, mut wishes) = (world.ports(), Wishes::default());
    let gc = collect::gc(store, Some("test"), &ports, &mut wishes, "ann");
    runtime().expect("a runtime").block_on(gc)
}

/// The hosts that were told to delete something, once for each time, and the names of these jobs.
fn told(world: &Arc<World>) -> Vec<(String, String)> {
    let calls = world.calls();
    let discards = calls.effects("ssh:start").filter(|call| call.resource.as_deref() == Some("discard"));
    discards.map(|call| (call.machines[0].to_string(), call.token.clone())).collect()
}

fn made(store: &dyn RunStore) -> Vec<ArtifactKind> {
    let rows = store.artifacts(None).expect("rows");
    rows.iter().filter(|row| row.state == ArtifactState::Made).map(|row| row.kind).collect()
}

#[test]
fn what_hosts_keep_is_deleted_when_its_time_is_over_also_after_a_collection_that_was_killed() {
    for (scene, kind) in [(SLES, ArtifactKind::HostSnapshot), (DEBIAN, ArtifactKind::PackageFiles)] {
        let (world, store) = over(scene);
        let there = made(&store.reopened());
        assert!(there.len() > 3 && there.iter().all(|each| *each == kind), "{there:?}");
        assert_eq!(gc(&mut store.reopened(), &world).expect("gc").collected, []);

        world.advance_to(world.now() + SignedDuration::from_hours(24 * 60));
        // Everything is deleted, and nobody writes that down.
        let killed = gc(&mut store.reopened_with_fuse(1), &world);
        assert!(matches!(killed, Err(Refused::Store(_))), "{killed:?}");
        assert_eq!(made(&store.reopened()), there);
        let report = gc(&mut store.reopened(), &world).expect("gc");
        assert!(report.collected.iter().all(|each| !each.failed), "{:?}", report.collected[0]);
        assert_eq!((report.collected.len(), made(&store.reopened())), (there.len(), Vec::new()));
        let told = told(&world);
        let hosts: BTreeSet<_> = told.iter().map(|(host, _)| host).collect();
        // A job whose traces were deleted is not begun once more: the second time it has another name.
        let jobs: BTreeSet<_> = told.iter().map(|(_, token)| token).collect();
        assert_eq!((jobs.len(), hosts.len()), (2 * there.len(), there.len()));
    }
}

#[test]
fn what_a_host_told_of_its_snapshot_is_known_to_what_deletes_it() {
    let (_, store) = over(SLES);
    let rows = store.artifacts(None).expect("rows");
    let mut snapshots = Snapshots::default();
    snapshots.read(&store, rows.iter().map(|row| &row.run)).expect("read");
    for row in rows {
        let revert = snapshots.of(&row.run, &row.token).expect("one");
        assert!(!revert.captured.is_null(), "{row:?}");
    }
}

#[test]
fn a_snapshot_of_which_nobody_heard_is_deleted_by_its_marker() {
    let intended = |store: &dyn RunStore| {
        let rows = store.artifacts(None).expect("rows");
        rows.into_iter().find(|row| row.state == ArtifactState::Intended)
    };
    let (mut world, mut store) = (None, None);
    for fuse in 1..60 {
        let place = World::in_memory(SLES.1, fuse).expect("a world");
        let memory = MemoryStore::called("here");
        let plan = rig::plan(SLES.0, &place);
        let died = rig::run(rig::parts(memory.reopened_with_fuse(fuse), &place), plan, &mut Shown::default());
        assert!(died.is_err());
        if intended(&memory.reopened()).is_some() {
            (world, store) = (Some(place), Some(memory.reopened()));
            break;
        }
    }
    let (world, mut store) = (world.expect("one dies then"), store.expect("one dies then"));
    let row = intended(&store).expect("intended");
    assert_eq!((row.kind, row.id.clone()), (ArtifactKind::HostSnapshot, None));
    world.advance_to(world.now() + SignedDuration::from_hours(2));
    assert_eq!(gc(&mut store, &world).expect("gc").collected, [], "its run may go on");

    // Nobody takes the run up again.
    let mut run = store.runs().expect("runs").remove(0);
    (run.status, run.holds, run.finished_at) = ("cancelled".to_owned(), Vec::new(), Some(world.now()));
    store.append(&run.run, world.now(), &[], Some(&run)).expect("append");
    let report = gc(&mut store, &world).expect("gc");
    let ends: Vec<_> = report.collected.iter().map(|each| (each.reason, each.end, each.failed)).collect();
    assert!(ends.contains(&(Reason::Intended, Some(CollectionEnd::Deleted), false)), "{report:?}");
    assert_eq!(intended(&store), None);
    let host = row.target.expect("a host").to_string();
    assert!(told(&world).iter().any(|(told, _)| *told == host));
}
