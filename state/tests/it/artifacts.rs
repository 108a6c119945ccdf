//! The artifact ledger, in memory and in a folder alike.

use runbook_engine::{
    artifact::{Artifact, ArtifactKind, Makes},
    ids::{RunId, TargetId, TaskName},
    run::event::Event,
    target::Home,
};
use runbook_state::{
    MemoryStore,
    artifact::{ArtifactRow, ArtifactState, Collection, CollectionEnd, rows_of},
    store::{RunStore, StoreError},
};

use crate::{contract::both, sample};

fn intended(token: &str, target: &str) -> Event {
    Event::IntentRecorded {
        task: TaskName::new("production/wave-1/backup"),
        attempt: 1,
        key: target.to_owned(),
        call: "ec2:CreateSnapshots".to_owned(),
        token: token.to_owned(),
        targets: vec![TargetId::new(target)],
        makes: Some(Makes { kind: ArtifactKind::Snapshot, expires: Some(sample::at(1_000)) }),
    }
}

fn made(token: &str, target: &str, ids: &[&str]) -> Event {
    let home = Home::Aws {
        account: Some("111122223333".to_owned()),
        region: Some("eu-central-1".to_owned()),
        role: None,
        external_id: None,
    };
    let artifact = |id: &&str| Artifact {
        kind: ArtifactKind::Snapshot,
        id: (*id).to_owned(),
        token: token.to_owned(),
        target: TargetId::new(target),
        home: home.clone(),
        vault: None,
        size_gib: Some(8),
        expires: Some(sample::at(1_000)),
    };
    Event::ArtifactsMade {
        task: TaskName::new("production/wave-1/backup"),
        attempt: 1,
        artifacts: ids.iter().map(artifact).collect(),
    }
}

fn begin(store: &mut dyn RunStore, run: &str, events: &[Event]) {
    let events: Vec<_> = std::iter::once(sample::started(run)).chain(events.iter().cloned()).collect();
    store.create(&sample::row(run), &sample::plan(run), sample::at(0), &events).expect("create");
}

fn seen(rows: &[ArtifactRow]) -> Vec<(&str, Option<&str>, &str)> {
    rows.iter().map(|row| (row.token.as_str(), row.id.as_deref(), row.state.as_str())).collect()
}

#[test]
fn what_is_intended_is_known_before_it_is_made_and_then_by_its_ids() {
    both(|openings| {
        let run = RunId::new("7k2m");
        {
            let mut store = openings.open();
            begin(store.as_mut(), "7k2m", &[intended("t1", "i-1"), intended("t2", "i-2")]);
            let rows = store.artifacts(Some(&run)).expect("rows");
            assert_eq!(seen(&rows), [("t1", None, "intended"), ("t2", None, "intended")]);
            assert_eq!(
                (rows[0].target.as_ref().map(TargetId::as_str), rows[0].made_at),
                (Some("i-1"), sample::at(0))
            );
            store
                .append(&run, sample::at(1), &[made("t1", "i-1", &["snap-a", "snap-b"])], None)
                .expect("append");
            // Journaled again by the next life of an attempt, which had not heard of the answer.
            store.append(&run, sample::at(2), &[intended("t1", "i-1")], None).expect("append");
        }
        let rows = openings.open().artifacts(None).expect("rows");
        let expected =
            [("t1", Some("snap-a"), "made"), ("t1", Some("snap-b"), "made"), ("t2", None, "intended")];
        assert_eq!(seen(&rows), expected);
        assert_eq!(
            (rows[0].size_gib, rows[0].made_at, rows[0].expires),
            (Some(8), sample::at(1), Some(sample::at(1_000)))
        );
    });
}

#[test]
fn the_rows_are_what_the_journal_says() {
    both(|openings| {
        let run = RunId::new("7k2m");
        let mut store = openings.open();
        begin(store.as_mut(), "7k2m", &[]);
        let many: Vec<String> = (0..300).map(|number| format!("snap-{number:017x}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for (second, event) in
            [(1, made("t1", "i-1", &many)), (2, sample::wide(10)), (3, made("t2", "i-2", &["snap-z"]))]
        {
            store.append(&run, sample::at(second), &[event], None).expect("append");
        }
        let journal = store.entries(&run, 1).expect("entries");
        let told: Vec<_> = journal.iter().flat_map(|entry| rows_of(&run, entry.at, &entry.event)).collect();
        assert_eq!(told.len(), 301);
        assert_eq!(store.artifacts(Some(&run)).expect("rows"), told);
    });
}

#[test]
fn what_gc_did_stands_beside_the_journal() {
    both(|openings| {
        let run = RunId::new("7k2m");
        let gc = |end| Some(Collection { at: sample::at(9), by: "ann".to_owned(), end, note: None });
        {
            let mut store = openings.open();
            begin(
                store.as_mut(),
                "7k2m",
                &[intended("t1", "i-1"), made("t2", "i-2", &["snap-b"]), intended("t3", "i-3")],
            );
            let mut rows = store.artifacts(Some(&run)).expect("rows");
            // Found in AWS by its token, and deleted.
            rows[0].id = Some("snap-a".to_owned());
            rows[0].state = ArtifactState::Deleted;
            rows[0].gc = gc(CollectionEnd::Deleted);
            rows[1].gc = gc(CollectionEnd::Kept);
            rows[2].state = ArtifactState::Deleted;
            rows[2].gc = gc(CollectionEnd::NeverMade);
            store.collect(&run, &rows).expect("collect");
            store.collect(&run, &[]).expect("nothing to collect");
            assert_eq!(store.batches(), 2);
            assert_eq!(store.artifacts(Some(&run)).expect("rows"), rows);
        }
        let mut store = openings.open();
        let rows = store.artifacts(None).expect("rows");
        let ends: Vec<_> = rows.iter().map(|row| row.gc.as_ref().map(|gc| gc.end.as_str())).collect();
        assert_eq!(ends, [Some("deleted"), Some("kept"), Some("never_made")]);
        assert_eq!(store.entries(&run, 1).expect("entries").len(), 4);
        // The journal of an unfinished run goes on after it.
        assert_eq!(store.append(&run, sample::at(10), &[sample::finished()], None).expect("append"), 5);
        drop(store);
        assert_eq!(openings.open().entries(&run, 1).expect("entries").len(), 5);
    });
}

#[test]
fn artifacts_of_several_runs_keep_apart_even_when_one_name_begins_with_another() {
    both(|openings| {
        let mut store = openings.open();
        for run in ["a", "ab", "abc"] {
            begin(store.as_mut(), run, &[made(run, "i-1", &[&format!("snap-{run}")])]);
        }
        for run in ["a", "ab", "abc"] {
            let rows = store.artifacts(Some(&RunId::new(run))).expect("rows");
            assert_eq!(seen(&rows), [(run, Some(format!("snap-{run}").as_str()), "made")]);
        }
        assert_eq!(store.artifacts(None).expect("rows").len(), 3);
        let unknown = RunId::new("none");
        assert!(matches!(store.artifacts(Some(&unknown)), Err(StoreError::UnknownRun { .. })));
        assert!(matches!(store.collect(&unknown, &[]), Err(StoreError::UnknownRun { .. })));
    });
}

#[test]
fn a_row_is_there_exactly_when_its_entry_is() {
    for fuse in 1..=3 {
        let mut store = MemoryStore::with_fuse(fuse);
        let run = RunId::new("7k2m");
        let events = [sample::started("7k2m"), intended("t1", "i-1")];
        let _ = store.create(&sample::row("7k2m"), &sample::plan("one"), sample::at(0), &events);
        let _ = store.append(&run, sample::at(1), &[made("t1", "i-1", &["snap-a"])], None);
        let next = store.reopened();
        let rows = next.artifacts(None).expect("rows");
        let expected = match fuse {
            1 => vec![],
            2 => vec![("t1", None, "intended")],
            _ => vec![("t1", Some("snap-a"), "made")],
        };
        assert_eq!(seen(&rows), expected);
    }
}
