//! The state that is kept beside a journal: a cache that is used only where it fits.

use std::fs;

use runbook_engine::ids::RunId;
use runbook_state::{SledStore, store::RunStore as _};

use crate::{contract::both, sample};

const STATE: &[u8] = b"{\"as\":\"the core says\"}\n\xff";

#[test]
fn what_is_kept_stands_behind_the_entry_that_was_the_last_one() {
    both(|openings| {
        let run = RunId::new("7k2m");
        {
            let mut store = openings.open();
            let events = [sample::started("7k2m")];
            store.create(&sample::row("7k2m"), &sample::plan("one"), sample::at(0), &events).expect("create");
            assert_eq!(store.kept_state(&run).expect("no error"), None);
            store.append(&run, sample::at(1), &sample::step(1), None).expect("append");
            store.keep_state(&run, b"older").expect("kept");
            store.append(&run, sample::at(2), &sample::step(2), None).expect("append");
            store.keep_state(&run, STATE).expect("kept");
            store.append(&run, sample::at(3), &sample::step(3), None).expect("append");
        }
        let mut store = openings.open();
        let kept = store.kept_state(&run).expect("no error").expect("a state");
        assert_eq!((kept.seq, kept.at, kept.state.as_slice()), (5, sample::at(2), STATE));
        assert_eq!(store.entries(&run, kept.seq + 1).expect("entries").len(), 2);
        assert_eq!(store.batches(), 0, "it costs no batch");
        let events = [sample::started("other")];
        store.create(&sample::row("other"), &sample::plan("one"), sample::at(0), &events).expect("create");
        assert_eq!(store.kept_state(&RunId::new("other")).expect("no error"), None);
        assert!(store.kept_state(&RunId::new("none")).is_err());
        assert!(store.keep_state(&RunId::new("none"), STATE).is_err());
    });
}

/// A store with five entries and a state behind the third.
fn left() -> tempfile::TempDir {
    let folder = sample::folder();
    let run = RunId::new("7k2m");
    let mut store = SledStore::open(folder.path()).expect("a store");
    let events = [sample::started("7k2m")];
    store.create(&sample::row("7k2m"), &sample::plan("one"), sample::at(0), &events).expect("create");
    store.append(&run, sample::at(1), &sample::step(1), None).expect("append");
    store.keep_state(&run, STATE).expect("kept");
    store.append(&run, sample::at(2), &sample::step(2), None).expect("append");
    folder
}

#[test]
fn a_damaged_state_is_as_good_as_none() {
    let folder = left();
    let run = RunId::new("7k2m");
    let path = folder.path().join("states/7k2m");
    let whole = fs::read(&path).expect("a file");
    let store = SledStore::open(folder.path()).expect("a store");
    assert_eq!(store.kept_state(&run).expect("no error").map(|kept| kept.seq), Some(3));
    for place in 0..whole.len() {
        for change in [1, 0x80] {
            let mut damaged = whole.clone();
            damaged[place] ^= change;
            fs::write(&path, &damaged).expect("written");
            assert_eq!(store.kept_state(&run).expect("no error"), None, "byte {place} is another one");
        }
        fs::write(&path, &whole[..place]).expect("written");
        assert_eq!(store.kept_state(&run).expect("no error"), None, "cut to {place} bytes");
    }
    fs::remove_file(&path).expect("removed");
    assert_eq!(store.kept_state(&run).expect("no error"), None);
    assert_eq!(store.entries(&run, 1).expect("entries").len(), 5);
}

#[test]
fn a_state_of_another_journal_is_not_used() {
    let (folder, other) = (left(), sample::folder());
    let run = RunId::new("7k2m");
    // The same run by name, and as long, but something else happened in it.
    let mut store = SledStore::open(other.path()).expect("a store");
    let events = [sample::started("7k2m")];
    store.create(&sample::row("7k2m"), &sample::plan("one"), sample::at(9), &events).expect("create");
    store.append(&run, sample::at(9), &sample::step(9), None).expect("append");
    fs::create_dir(other.path().join("states")).expect("a folder");
    let state = |folder: &tempfile::TempDir| folder.path().join("states/7k2m");
    fs::copy(state(&folder), state(&other)).expect("copied");
    assert_eq!(store.kept_state(&run).expect("no error"), None);
    store.keep_state(&run, STATE).expect("kept");
    assert_eq!(store.kept_state(&run).expect("no error").map(|kept| kept.seq), Some(3));
    // One that is ahead: the journal was put back from a backup.
    store.append(&run, sample::at(9), &sample::step(9), None).expect("append");
    store.append(&run, sample::at(9), &sample::step(9), None).expect("append");
    store.keep_state(&run, STATE).expect("kept");
    drop(store);
    fs::copy(state(&other), state(&folder)).expect("copied");
    let store = SledStore::open(folder.path()).expect("a store");
    assert_eq!(store.kept_state(&run).expect("no error"), None);
}

#[test]
fn where_no_state_can_be_kept_the_journal_goes_on() {
    let folder = left();
    let run = RunId::new("7k2m");
    fs::remove_dir_all(folder.path().join("states")).expect("removed");
    fs::write(folder.path().join("states"), "no folder").expect("written");
    let mut store = SledStore::open(folder.path()).expect("a store");
    assert!(store.keep_state(&run, STATE).is_err());
    store.append(&run, sample::at(3), &sample::step(3), None).expect("append");
    assert_eq!(store.kept_state(&run).expect("no error"), None);
    assert_eq!(store.entries(&run, 1).expect("entries").len(), 7);
}

#[test]
fn a_state_that_cannot_be_read_is_as_good_as_none() {
    let folder = left();
    let run = RunId::new("7k2m");
    let path = folder.path().join("states/7k2m");
    let store = SledStore::open(folder.path()).expect("a store");
    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("a folder in its place");
    assert_eq!(store.kept_state(&run).expect("no error"), None);
    fs::remove_dir(&path).expect("removed");
    std::os::unix::fs::symlink(&path, &path).expect("a link to itself");
    assert_eq!(store.kept_state(&run).expect("no error"), None);
    assert_eq!(store.entries(&run, 1).expect("entries").len(), 5);
    assert_eq!(store.plan(&run).expect("a plan").digest(), sample::plan("one").digest());
}
