//! One case at a time.

use std::time::Duration;

use jiff::Timestamp;
use runbook_engine::artifact::ArtifactKind::{Image, RecoveryPoint, Snapshot, Volume};
use runbook_state::{artifact::CollectionEnd, store::RunStore};
use runbook_steps::ports::fault::FaultKind;

use super::scene::{Cut, End, Scene};
use crate::artifacts::{
    collect::{Reason, Report, Wishes},
    orphan::Why,
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn past(scene: &Scene) -> Option<Timestamp> {
    Some(scene.ago(HOUR))
}

fn ends(report: &Report) -> Vec<(Reason, Option<CollectionEnd>)> {
    report.collected.iter().map(|each| (each.reason, each.end)).collect()
}

fn all_orphans() -> Wishes {
    Wishes { orphans: true, older_than: Some(Duration::ZERO), ..Wishes::default() }
}

#[test]
fn what_has_expired_is_deleted_once_and_that_is_recorded() {
    let mut scene = Scene::new();
    scene.begin("r1", None);
    let past = past(&scene);
    for kind in [Snapshot, Volume, Image, RecoveryPoint] {
        scene.call("r1", kind, Cut::Made, past);
    }
    scene.end("r1", End::Over);
    let report = scene.gc(Wishes::default());
    assert_eq!(ends(&report), [(Reason::Expired, Some(CollectionEnd::Deleted)); 4]);
    assert_eq!(scene.shelf.ids(), Vec::<String>::new());
    // The image with its snapshot.
    assert_eq!(scene.shelf.things().deletions.len(), 5);
    assert_eq!(ends(&scene.gc(Wishes::default())), []);
    let rows = scene.store.artifacts(None).expect("rows");
    assert!(rows.iter().all(|row| row.gc.as_ref().is_some_and(|gc| gc.by == "ann")), "{rows:?}");
    assert_eq!(scene.shelf.things().deletions.len(), 5);
}

#[test]
fn nothing_that_a_live_run_needs_is_collected() {
    for (run, end) in [("open", End::Unfinished), ("stuck", End::Stuck)] {
        let mut scene = Scene::new();
        scene.begin("r1", None);
        let past = past(&scene);
        scene.call("r1", Snapshot, Cut::Made, past);
        scene.call("r1", Snapshot, Cut::Unheard, past);
        scene.end("r1", End::Over);
        // It goes back to the other one, through a third.
        scene.begin("between", Some("r1"));
        scene.end("between", End::Over);
        scene.begin(run, Some("between"));
        scene.call(run, Volume, Cut::Made, past);
        scene.call(run, Volume, Cut::Unheard, past);
        scene.end(run, end);
        assert_eq!(ends(&scene.gc(all_orphans())), [], "{run}");
        assert_eq!(scene.shelf.ids().len(), 4);
        assert_eq!(scene.orphan_ids(), Vec::<String>::new());
    }
}

#[test]
fn what_is_kept_for_longer_or_without_an_end_stays() {
    let mut scene = Scene::new();
    scene.begin("r1", None);
    scene.call("r1", Snapshot, Cut::Made, None);
    let later = scene.now() + jiff::SignedDuration::from_hours(1);
    scene.call("r1", Snapshot, Cut::Made, Some(later));
    scene.end("r1", End::Over);
    assert_eq!(ends(&scene.gc(all_orphans())), []);
    assert_eq!(scene.orphan_ids(), Vec::<String>::new());
}

#[test]
fn what_nobody_heard_of_is_found_by_its_token() {
    let mut scene = Scene::new();
    scene.begin("r1", None);
    let unheard = scene.call("r1", Snapshot, Cut::Unheard, None).expect("an id");
    scene.call("r1", Snapshot, Cut::Intended, None);
    scene.end("r1", End::Over);
    assert_eq!(scene.orphans().iter().map(|orphan| orphan.why).collect::<Vec<_>>(), [Why::Intended]);
    assert_eq!(scene.orphan_ids(), [unheard]);
    let report = scene.gc(Wishes::default());
    let (deleted, never) = (Some(CollectionEnd::Deleted), Some(CollectionEnd::NeverMade));
    assert_eq!(ends(&report), [(Reason::Intended, deleted), (Reason::Intended, never)]);
    assert_eq!(scene.orphan_ids(), Vec::<String>::new());
    assert_eq!(ends(&scene.gc(Wishes::default())), []);
}

#[test]
fn what_other_state_folders_made_is_left_alone_unless_it_is_asked_for_and_old() {
    let mut scene = Scene::new();
    let (old, young) = (scene.ago(8 * DAY), scene.ago(6 * DAY));
    let later = Some(scene.now() + jiff::SignedDuration::from_hours(1));
    let earlier = Some(scene.now() - jiff::SignedDuration::from_hours(1));
    scene.put(Snapshot, "theirs", Some("t1"), Some("there"), old, earlier);
    scene.put(Snapshot, "theirs", Some("t2"), Some("there"), old, later);
    scene.put(Snapshot, "theirs", Some("t3"), Some("there"), young, None);
    scene.put(Snapshot, "lost", Some("t4"), Some("here"), old, later);
    scene.put(Snapshot, "untold", None, None, old, earlier);
    // Kept for ever by its run, which nobody here can ask.
    scene.put(Snapshot, "theirs", Some("t5"), Some("there"), old, None);
    let why: Vec<_> = scene.orphans().iter().map(|orphan| orphan.why).collect();
    let theirs = Why::OtherStore;
    assert_eq!(why, [theirs, theirs, theirs, Why::NoRun, theirs, theirs]);
    assert_eq!(ends(&scene.gc(Wishes::default())), []);
    let report = scene.gc(Wishes { orphans: true, ..Wishes::default() });
    let deleted = Some(CollectionEnd::Deleted);
    let other = (Reason::Orphan(Why::OtherStore), deleted);
    assert_eq!(ends(&report), [other, (Reason::Orphan(Why::NoRun), deleted), other]);
    assert_eq!(scene.shelf.ids(), ["snap-0002", "snap-0003", "snap-0006"]);
    let wishes = Wishes { orphans: true, older_than: Some(7 * DAY), ..Wishes::default() };
    assert_eq!(ends(&scene.gc(wishes)), [other, other]);
    assert_eq!(ends(&scene.gc(all_orphans())), [other]);
}

#[test]
fn what_a_machine_uses_is_the_machines() {
    let mut scene = Scene::new();
    scene.begin("r1", None);
    let past = past(&scene);
    for cut in [Cut::Made, Cut::Unheard] {
        let volume = scene.call("r1", Volume, cut, past).expect("an id");
        scene.attach(&volume);
    }
    scene.end("r1", End::Over);
    let report = scene.gc(all_orphans());
    assert_eq!(ends(&report), [(Reason::Expired, Some(CollectionEnd::Kept))]);
    assert!(report.collected[0].note.as_ref().is_some_and(|note| note.contains("it is the machine's")));
    assert!(!report.collected[0].failed);
    assert_eq!(scene.orphan_ids(), Vec::<String>::new());
    // It is said again, and not written again.
    let batches = scene.store.batches();
    assert_eq!(scene.gc(Wishes::default()).collected.len(), 1);
    assert_eq!((batches, scene.store.batches()), (1, 0));
}

#[test]
fn what_carries_other_tags_by_now_is_left_alone() {
    let mut scene = Scene::new();
    scene.begin("r1", None);
    let past = past(&scene);
    let snapshot = scene.call("r1", Snapshot, Cut::Made, past).expect("an id");
    let gone = scene.call("r1", Snapshot, Cut::Made, past).expect("an id");
    scene.end("r1", End::Over);
    {
        let mut things = scene.shelf.things();
        things.snapshots.remove(&gone);
        let tags = &mut things.snapshots.get_mut(&snapshot).expect("it").tags;
        tags.insert("runbook:token".to_owned(), "another".to_owned());
    }
    let report = scene.gc(Wishes::default());
    let (kept, gone) = (Some(CollectionEnd::Kept), Some(CollectionEnd::Gone));
    assert_eq!(ends(&report), [(Reason::Expired, kept), (Reason::Expired, gone)]);
    assert!(report.collected[0].failed);
    assert_eq!(scene.shelf.things().deletions, Vec::<String>::new());
}

#[test]
fn a_recovery_point_that_is_left_expired_is_said() {
    let mut scene = Scene::new();
    scene.begin("r1", None);
    let past = past(&scene);
    let arn = scene.call("r1", RecoveryPoint, Cut::Made, past).expect("an id");
    scene.end("r1", End::Over);
    scene.shelf.things().stubborn.push(arn);
    let report = scene.gc(Wishes::default());
    assert_eq!(ends(&report), [(Reason::Expired, Some(CollectionEnd::Kept))]);
    let note = report.collected[0].note.clone().unwrap_or_default();
    assert!(note.contains("left it EXPIRED") && report.collected[0].failed, "{note}");
}

#[test]
fn the_image_and_snapshots_behind_a_recovery_point_are_its_own() {
    let mut scene = Scene::new();
    scene.begin("r1", None);
    scene.end("r1", End::Over);
    let at = scene.ago(8 * DAY);
    let arn = scene.put(RecoveryPoint, "r1", Some("t"), Some("here"), at, None);
    let image = scene.put(Image, "r1", Some("t"), Some("here"), at, None);
    {
        let mut things = scene.shelf.things();
        let mut behind = things.images.remove(&image).expect("it");
        behind.id = arn.rsplit('/').next().expect("an id").to_owned();
        things.images.insert(behind.id.clone(), behind);
    }
    assert_eq!(scene.orphan_ids(), [arn]);
}

#[test]
fn rate_limits_and_lost_answers_are_waited_out_and_a_place_that_cannot_be_asked_is_said() {
    let mut scene = Scene::new();
    scene.begin("r1", None);
    let past = past(&scene);
    scene.call("r1", Snapshot, Cut::Made, past);
    scene.call("r1", Snapshot, Cut::Unheard, past);
    scene.end("r1", End::Over);
    scene.shelf.things().faults = vec![FaultKind::Throttled, FaultKind::Ambiguous, FaultKind::NotSent];
    assert_eq!(scene.gc(Wishes::default()).collected.len(), 2);
    assert_eq!(scene.shelf.ids(), Vec::<String>::new());

    scene.put(Snapshot, "lost", None, None, scene.ago(8 * DAY), None);
    scene.shelf.things().faults = vec![FaultKind::Denied; 2];
    let report = scene.gc(all_orphans());
    assert_eq!((report.collected.len(), report.unasked.is_empty()), (0, false));
}

#[test]
fn a_few_at_a_time_come_to_the_same() {
    let mut scene = Scene::new();
    scene.begin("r1", None);
    let past = past(&scene);
    for _ in 0..5 {
        scene.call("r1", Snapshot, Cut::Made, past);
    }
    scene.end("r1", End::Over);
    let report = scene.gc(Wishes { at_most: Some(3), ..Wishes::default() });
    assert_eq!((report.collected.len(), report.more), (3, true));
    let report = scene.gc(Wishes { at_most: Some(3), ..Wishes::default() });
    assert_eq!((report.collected.len(), report.more), (2, false));
}
