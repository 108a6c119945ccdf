//! What every store must do, in memory and in a folder alike.

use runbook_engine::{
    ids::{RunId, TargetId},
    run::event::Event,
};
use runbook_state::{
    MemoryStore, SledStore,
    store::{Entry, Resolution, RunStore, StoreError},
};
use sha2::{Digest as _, Sha256};

use crate::sample;

/// Opens the store again, as the next process would.
pub trait Openings {
    /// Opens it.
    fn open(&mut self) -> Box<dyn RunStore>;
}

struct InMemory(MemoryStore);

impl Openings for InMemory {
    fn open(&mut self) -> Box<dyn RunStore> {
        self.0 = self.0.reopened();
        Box::new(self.0.reopened())
    }
}

struct InFolder(tempfile::TempDir);

impl Openings for InFolder {
    fn open(&mut self) -> Box<dyn RunStore> {
        Box::new(SledStore::open(self.0.path()).expect("a store"))
    }
}

/// A law of both stores.
pub fn both(law: impl Fn(&mut dyn Openings)) {
    law(&mut InMemory(MemoryStore::new()));
    law(&mut InFolder(tempfile::tempdir().expect("a folder")));
}

fn events(entries: &[Entry]) -> Vec<Event> {
    entries.iter().map(|entry| entry.event.clone()).collect()
}

#[test]
fn what_was_written_is_read_back_in_this_opening_and_the_next() {
    both(|openings| {
        let run = RunId::new("7k2m");
        let mut written = vec![sample::started("7k2m")];
        {
            let mut store = openings.open();
            store
                .create(&sample::row("7k2m"), &sample::plan("one"), sample::at(0), &written)
                .expect("create");
            for number in 1..100 {
                let step = sample::step(number);
                written.extend(step.clone());
                let seq = store.append(&run, sample::at(1), &step, None).expect("append");
                assert_eq!(seq, written.len() as u64);
            }
            assert_eq!(events(&store.entries(&run, 1).expect("entries")), written);
            assert_eq!(store.batches(), 100);
        }
        let store = openings.open();
        let entries = store.entries(&run, 0).expect("entries");
        assert_eq!(events(&entries), written);
        assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), (1..=199).collect::<Vec<_>>());
        assert_eq!(store.plan(&run).expect("plan"), sample::plan("one"));
        assert_eq!(store.batches(), 0);
    });
}

#[test]
fn reading_from_an_entry_on_gives_the_same_entries() {
    both(|openings| {
        let run = RunId::new("7k2m");
        let mut store = openings.open();
        let events = [sample::started("7k2m"), sample::wide(2000)];
        store.create(&sample::row("7k2m"), &sample::plan("one"), sample::at(0), &events).expect("create");
        for number in 0..20 {
            store.append(&run, sample::at(1), &sample::step(number), None).expect("append");
        }
        let all = store.entries(&run, 1).expect("entries");
        assert_eq!(all.len(), 42);
        for from in 1..=43_u64 {
            let rest = store.entries(&run, from).expect("entries");
            assert_eq!(rest, all[usize::try_from(from).expect("small") - 1..]);
            for most in [1, 2, 7, 42, 100] {
                let some = store.some(&run, from, most).expect("entries");
                assert_eq!(some, rest[..most.min(rest.len())]);
            }
        }
        assert_eq!(store.entries(&run, 1000).expect("entries"), []);
    });
}

#[test]
fn entries_are_chained_by_their_hashes_as_documented() {
    both(|openings| {
        let run = RunId::new("7k2m");
        {
            let mut store = openings.open();
            let events = [sample::started("7k2m")];
            store.create(&sample::row("7k2m"), &sample::plan("one"), sample::at(0), &events).expect("create");
            store.append(&run, sample::at(1), &sample::step(1), None).expect("append");
        }
        let mut store = openings.open();
        store.append(&run, sample::at(2), &[sample::finished()], None).expect("append");
        let mut prev = "0".repeat(64);
        let entries = store.entries(&run, 1).expect("entries");
        assert!(entries[0].epoch == entries[2].epoch && entries[2].epoch < entries[3].epoch);
        for entry in entries {
            // As an auditor would, from one line of `events --json`.
            let mut line = serde_json::to_value(&entry).expect("JSON");
            let hash = line.as_object_mut().expect("an object").remove("hash").expect("a hash");
            let digest = Sha256::digest(line.to_string());
            assert_eq!(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), hash);
            assert_eq!(line["prev"], prev);
            prev = entry.hash;
        }
    });
}

#[test]
fn the_opening_number_grows_with_every_opening_that_wrote() {
    both(|openings| {
        let first = openings.open().epoch();
        let mut store = openings.open();
        assert!(store.epoch() >= first);
        let second = store.epoch();
        let events = [sample::started("7k2m")];
        store.create(&sample::row("7k2m"), &sample::plan("one"), sample::at(0), &events).expect("create");
        drop(store);
        assert!(openings.open().epoch() > second);
    });
}

#[test]
fn rows_follow_their_batches_and_are_listed_oldest_first() {
    both(|openings| {
        {
            let mut store = openings.open();
            for (run, second) in [("b", 5), ("c", 1), ("a", 5)] {
                let mut row = sample::row(run);
                row.started_at = sample::at(second);
                // More machines than fit into one record.
                row.holds = (0..2000).map(|number| TargetId::new(format!("i-{number:017x}"))).collect();
                store
                    .create(&row, &sample::plan("one"), sample::at(second), &[sample::started(run)])
                    .expect("create");
            }
            let mut row = store.runs().expect("rows")[0].clone();
            row.status = "paused".to_owned();
            store.append(&row.run.clone(), sample::at(6), &[], Some(&row)).expect("append");
            row.status = "succeeded".to_owned();
            row.exit = Some(0);
            row.finished_at = Some(sample::at(7));
            row.holds = Vec::new();
            store.append(&row.run.clone(), sample::at(7), &[sample::finished()], Some(&row)).expect("append");
        }
        let rows = openings.open().runs().expect("rows");
        let seen: Vec<_> = rows
            .iter()
            .map(|row| (row.run.as_str(), row.status.as_str(), row.exit, row.holds.len()))
            .collect();
        assert_eq!(
            seen,
            [("c", "succeeded", Some(0), 0), ("a", "running", None, 2000), ("b", "running", None, 2000)]
        );
        assert_eq!(rows[0].world.as_deref(), Some("demo"));
    });
}

#[test]
fn machines_that_are_held_can_change_and_come_back() {
    both(|openings| {
        let run = RunId::new("7k2m");
        let mut row = sample::row("7k2m");
        {
            let mut store = openings.open();
            store
                .create(&row, &sample::plan("one"), sample::at(0), &[sample::started("7k2m")])
                .expect("create");
            for machines in [3000, 1, 0, 500] {
                row.holds = (0..machines).map(|number| TargetId::new(format!("i-{number:017x}"))).collect();
                store.append(&run, sample::at(1), &[], Some(&row)).expect("append");
                assert_eq!(store.runs().expect("rows"), [row.clone()]);
            }
        }
        assert_eq!(openings.open().runs().expect("rows"), [row.clone()]);
    });
}

#[test]
fn resolutions_stand_beside_the_journal() {
    both(|openings| {
        let run = RunId::new("7k2m");
        let resolution = |target: &str, note: Option<&str>| Resolution {
            run: run.clone(),
            target: TargetId::new(target),
            at: sample::at(9),
            by: "ann".to_owned(),
            note: note.map(str::to_owned),
        };
        let all = [
            resolution("i-2", None),
            resolution("i-1", Some("reinstalled")),
            resolution("i-2", Some("again")),
        ];
        {
            let mut store = openings.open();
            let events = [sample::started("7k2m")];
            store.create(&sample::row("7k2m"), &sample::plan("one"), sample::at(0), &events).expect("create");
            for resolution in &all {
                store.resolve(resolution).expect("resolve");
            }
        }
        let store = openings.open();
        assert_eq!(store.resolutions().expect("resolutions"), all);
        assert_eq!(store.entries(&run, 1).expect("entries").len(), 1);
    });
}

#[test]
fn several_runs_keep_apart_even_when_one_name_begins_with_another() {
    both(|openings| {
        let runs = ["a", "ab", "abc", "b"];
        {
            let mut store = openings.open();
            for (index, run) in runs.iter().enumerate() {
                let plan = sample::plan(run);
                store
                    .create(&sample::row(run), &plan, sample::at(0), &[sample::started(run)])
                    .expect("create");
                for number in 0..index as u64 {
                    store
                        .append(&RunId::new(run), sample::at(1), &sample::step(number), None)
                        .expect("append");
                }
            }
        }
        let store = openings.open();
        for (index, run) in runs.iter().enumerate() {
            assert_eq!(store.entries(&RunId::new(run), 1).expect("entries").len(), 1 + 2 * index);
            assert_eq!(store.plan(&RunId::new(run)).expect("plan").runbook, **run);
        }
    });
}

#[test]
fn an_unknown_run_is_said_to_be_unknown_and_a_run_begins_once() {
    both(|openings| {
        let mut store = openings.open();
        let run = RunId::new("none");
        assert!(matches!(store.entries(&run, 1), Err(StoreError::UnknownRun { .. })));
        assert!(matches!(store.plan(&run), Err(StoreError::UnknownRun { .. })));
        let refused = store.append(&run, sample::at(0), &sample::step(1), None).expect_err("refused");
        assert_eq!((refused.exit_code(), refused.to_string().as_str()), (2, "there is no run `none`"));
        assert!(store.resolutions().expect("resolutions").is_empty());
        let events = [sample::started("7k2m")];
        store.create(&sample::row("7k2m"), &sample::plan("one"), sample::at(0), &events).expect("create");
        let again = store.create(&sample::row("7k2m"), &sample::plan("one"), sample::at(0), &events);
        assert!(matches!(again, Err(StoreError::RunExists { .. })));
    });
}

#[test]
fn events_far_longer_than_a_record_are_kept_whole() {
    both(|openings| {
        let run = RunId::new("7k2m");
        let mut written = vec![sample::started("7k2m"), sample::wide(10_000), sample::wide(1)];
        {
            let mut store = openings.open();
            store
                .create(&sample::row("7k2m"), &sample::plan("one"), sample::at(0), &written)
                .expect("create");
            for machines in [130, 131, 140, 150, 160, 3000] {
                let event = sample::wide(machines);
                written.push(event.clone());
                store.append(&run, sample::at(1), &[event], None).expect("append");
            }
        }
        assert_eq!(events(&openings.open().entries(&run, 1).expect("entries")), written);
    });
}

#[test]
fn from_the_batch_of_its_fuse_on_a_memory_store_is_dead_and_the_next_opening_reads_what_was_before() {
    let run = RunId::new("7k2m");
    let mut store = MemoryStore::with_fuse(3);
    let events = [sample::started("7k2m")];
    store.create(&sample::row("7k2m"), &sample::plan("one"), sample::at(0), &events).expect("create");
    store.append(&run, sample::at(1), &sample::step(1), None).expect("append");
    let blown = store.append(&run, sample::at(1), &sample::step(2), None);
    assert!(matches!(blown, Err(StoreError::Fuse { batch: 3 })));
    let dead = store.append(&run, sample::at(1), &sample::step(2), None);
    assert!(matches!(dead, Err(StoreError::Failed { .. })));
    assert_eq!(store.batches(), 2);
    let mut next = store.reopened();
    assert_eq!(next.entries(&run, 1).expect("entries").len(), 3);
    assert_eq!(next.append(&run, sample::at(1), &sample::step(2), None).expect("append"), 5);
}
