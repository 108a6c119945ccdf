//! The folder: private, locked, of a known format.

use std::{
    env, fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
};

use runbook_state::{
    SledStore,
    store::{RunStore as _, StoreError},
};

use crate::{
    child::{self, RUN, Work},
    sample,
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("metadata").permissions().mode() & 0o777
}

fn with_a_run(folder: &Path) {
    let mut store = SledStore::open(folder).expect("a store");
    store
        .create(&sample::row(RUN), &sample::plan("one"), sample::at(0), &[sample::started(RUN)])
        .expect("create");
}

#[test]
fn a_new_folder_is_private_its_parents_are_made_and_an_empty_one_is_closed_to_others() {
    let place = tempfile::tempdir().expect("a folder");
    let deep = place.path().join("some/where/state");
    drop(SledStore::open(&deep).expect("a store"));
    assert_eq!(mode(&deep), 0o700);
    let empty = place.path().join("empty");
    fs::create_dir(&empty).expect("a folder");
    fs::set_permissions(&empty, fs::Permissions::from_mode(0o755)).expect("its mode");
    drop(SledStore::open(&empty).expect("a store"));
    assert_eq!(mode(&empty), 0o700);
}

#[test]
fn a_folder_with_other_things_that_others_may_read_is_refused_and_left_as_it_is() {
    let place = tempfile::tempdir().expect("a folder");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
    fs::write(place.path().join("letter"), "dear").expect("a file");
    let refused = SledStore::open(place.path()).expect_err("refused");
    assert!(matches!(refused, StoreError::NotAStore { .. }), "{refused}");
    assert_eq!(mode(place.path()), 0o755);
    assert_eq!(fs::read_dir(place.path()).expect("a folder").count(), 1);
}

#[test]
fn a_second_opening_is_told_that_the_store_is_locked_and_gets_it_once_the_first_is_over() {
    let place = tempfile::tempdir().expect("a folder");
    let first = SledStore::open(place.path()).expect("a store");
    let refused = SledStore::open(place.path()).expect_err("refused");
    assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
    assert_eq!(refused.exit_code(), 20);
    let program = env::current_exe().expect("this program");
    let other = child::command(&program, place.path(), Work::Read).output().expect("a child");
    let printed = String::from_utf8_lossy(&other.stdout).into_owned();
    assert!(
        child::error(&printed).is_some_and(|error| error.contains("held by another process")),
        "{printed}"
    );
    drop(first);
    for _ in 0..20 {
        drop(SledStore::open(place.path()).expect("a store"));
    }
}

#[test]
fn a_newer_store_is_refused_with_the_version_that_reads_it_and_is_not_touched() {
    let place = tempfile::tempdir().expect("a folder");
    with_a_run(place.path());
    let text = r#"{"format":7,"needs":"3.1.0","colour":"blue"}"#;
    fs::write(place.path().join("FORMAT"), text).expect("a file");
    let before = fs::read(place.path().join("db")).expect("a file");
    let refused = SledStore::open(place.path()).expect_err("refused");
    let path = place.path().display();
    assert_eq!(
        refused.to_string(),
        format!("the state folder {path} has format 7, and this version reads up to format 2")
    );
    assert_eq!(refused.hint(), "use runbook 3.1.0 or newer for it, or another folder with `--state DIR`");
    assert_eq!(fs::read(place.path().join("db")).expect("a file"), before);
}

#[test]
fn a_process_that_died_while_it_made_the_folder_leaves_one_that_can_be_used() {
    for made in [&["LOCK"][..], &["LOCK", "FORMAT"], &["LOCK", "FORMAT", "plans/", "HEAD", "conf"]] {
        let whole = tempfile::tempdir().expect("a folder");
        drop(SledStore::open(whole.path()).expect("a store"));
        let place = tempfile::tempdir().expect("a folder");
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o700)).expect("its mode");
        for name in made {
            match name.strip_suffix('/') {
                Some(folder) => fs::create_dir(place.path().join(folder)).expect("a folder"),
                None => fs::copy(whole.path().join(name), place.path().join(name)).map(drop).expect("a copy"),
            }
        }
        with_a_run(place.path());
        assert_eq!(SledStore::open(place.path()).expect("a store").runs().expect("runs").len(), 1);
    }
}

#[test]
fn a_folder_of_somebody_else_counts_as_locked() {
    let place =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().expect("a folder");
    let state = place.path().join("state");
    with_a_run(&state);
    // As root we can become somebody else; otherwise root's own folder is somebody else's.
    let root = fs::metadata(&state).is_ok_and(|folder| std::os::unix::fs::MetadataExt::uid(&folder) == 0);
    if root {
        let program = place.path().join("child");
        fs::copy(env::current_exe().expect("this program"), &program).expect("a copy");
        let mut command = child::command(&program, &state, Work::Read);
        let other = command.uid(65_534).gid(65_534).current_dir("/").output().expect("a child");
        let printed = String::from_utf8_lossy(&other.stdout).into_owned();
        assert!(
            child::error(&printed).is_some_and(|error| error.contains("held by another process")),
            "{printed}"
        );
    } else {
        let refused = SledStore::open(Path::new("/root")).expect_err("refused");
        assert!(matches!(refused, StoreError::Locked { .. } | StoreError::NotAStore { .. }), "{refused}");
    }
}

#[test]
fn a_file_in_the_folders_place_is_an_error_and_not_a_panic() {
    let place = tempfile::tempdir().expect("a folder");
    let file = place.path().join("file");
    fs::write(&file, "").expect("a file");
    assert_eq!(SledStore::open(&file).expect_err("refused").exit_code(), 20);
    assert_eq!(SledStore::open(&file.join("below")).expect_err("refused").exit_code(), 20);
}

#[test]
fn long_events_and_many_held_machines_stay_in_sleds_synced_file() {
    // sled puts a page that grows too long into a file of its own, and does not sync that.
    let place = tempfile::tempdir().expect("a folder");
    let mut store = SledStore::open(place.path()).expect("a store");
    let run = runbook_engine::ids::RunId::new(RUN);
    let mut row = sample::row(RUN);
    row.holds = (0..10_000).map(|number| format!("i-{number:017x}").into()).collect();
    store.create(&row, &sample::plan("one"), sample::at(0), &[sample::started(RUN)]).expect("create");
    for machines in [10_000, 150, 170, 180, 190, 160, 155, 165, 175, 185, 195, 150, 10_000] {
        store.append(&run, sample::at(1), &[sample::wide(machines)], None).expect("append");
    }
    drop(store);
    assert_eq!(fs::read_dir(place.path().join("blobs")).expect("a folder").count(), 0);
    assert_eq!(SledStore::open(place.path()).expect("a store").runs().expect("runs"), [row]);
}

#[test]
fn a_folder_is_called_the_same_as_long_as_it_exists_and_no_other_is_called_so() {
    let (place, other) = (sample::folder(), sample::folder());
    let id = SledStore::open(place.path()).expect("a store").id().to_owned();
    assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(SledStore::open(place.path()).expect("a store").id(), id);
    assert_ne!(SledStore::open(other.path()).expect("a store").id(), id);
}

#[test]
fn a_folder_of_the_layout_before_is_read_and_gets_an_id() {
    let place = sample::folder();
    {
        let mut store = SledStore::open(place.path()).expect("a store");
        let events = [sample::started("7k2m")];
        store.create(&sample::row("7k2m"), &sample::plan("one"), sample::at(0), &events).expect("create");
    }
    let format = place.path().join("FORMAT");
    fs::write(&format, r#"{"format":1,"needs":"0.1.0"}"#).expect("a file");
    let store = SledStore::open(place.path()).expect("a store");
    assert_eq!(store.entries(&runbook_engine::ids::RunId::new("7k2m"), 1).expect("entries").len(), 1);
    let id = store.id().to_owned();
    drop(store);
    assert_eq!(
        fs::read_to_string(&format).expect("a file"),
        format!(r#"{{"format":2,"needs":"0.1.0","store":"{id}"}}"#)
    );
    fs::write(&format, r#"{"format":2,"needs":"0.1.0"}"#).expect("a file");
    assert!(matches!(SledStore::open(place.path()), Err(StoreError::Damaged { .. })));
}
