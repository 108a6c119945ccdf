//! A full drive, and one that cannot be written.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use crate::child::{self, RUN, Work};

/// A child under this shell script, in which `"$0" "$@"` is the child.
fn under(script: &str, folder: &Path, work: Work) -> Output {
    let program = env::current_exe().expect("this program");
    let child = child::command(&program, folder, work);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).arg(program).args(child.get_args());
    shell.env("FOLDER", folder);
    for (name, value) in child.get_envs() {
        shell.env(name, value.expect("a value"));
    }
    shell.output().expect("a shell")
}

fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a full drive must look like: an error that says so, exit 20, no panic; later everything is there.
fn assert_filled(first: &str) -> u64 {
    let error = child::error(first).unwrap_or_else(|| panic!("no error: {first}"));
    assert!(error.starts_with("20 no space is left for the state folder"), "{error}");
    *child::numbers("seq", first).last().expect("some entries")
}

#[test]
fn a_file_that_may_not_grow_is_a_full_drive_and_loses_nothing() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("state");
    let limited = r#"trap "" XFSZ; ulimit -f 300; exec "$0" "$@""#;
    let output = under(limited, &folder, Work::Append);
    let last = assert_filled(&printed(&output));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{output:?}");
    // Still no room: the next opening says so too, or has no need of it.
    let again = printed(&under(limited, &folder, Work::Append));
    let error = child::error(&again).unwrap_or_else(|| panic!("no error: {again}"));
    assert!(error.starts_with("20 no space is left"), "{error}");
    let last = child::numbers("seq", &again).last().copied().unwrap_or(0).max(last);
    let output = printed(&under(r#"exec "$0" "$@""#, &folder, Work::Read));
    assert!(child::numbers("has", &output)[..] >= [last][..], "{output} after {last}");
}

#[test]
fn a_full_drive_loses_nothing() {
    let place = tempfile::tempdir().expect("a folder");
    let small = r#"exec unshare -m sh -c 'mount -t tmpfs -o size=1500k none "$FOLDER" || exit 77
        "$0" "$@"; cd "$FOLDER" && chmod 755 . && df . >&2; STATE_TEST_CHILD_WORK=Read "$0" "$@"
        rm -f "$FOLDER/state/ballast"; STATE_TEST_CHILD_WORK=Read "$0" "$@"' "$0" "$@""#;
    // A store beside a file that takes a part of the room and can go.
    let script = small.replace(
        "|| exit 77",
        r#"|| exit 77; mkdir -m 700 "$FOLDER/state" && head -c 600000 /dev/zero > "$FOLDER/state/ballast""#,
    );
    let program = env::current_exe().expect("this program");
    let child = child::command(&program, &place.path().join("state"), Work::Append);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).arg(&program).args(child.get_args()).env("FOLDER", place.path());
    for (name, value) in child.get_envs() {
        shell.env(name, value.expect("a value"));
    }
    let output = shell.output().expect("a shell");
    if output.status.code() == Some(77) || printed(&output).is_empty() {
        // No mounting here: the limit on a file's size, tested above, is the same to the store.
        return;
    }
    let printed = printed(&output);
    let last = assert_filled(&printed);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{output:?}");
    let has = child::numbers("has", &printed);
    assert!(has.last().is_some_and(|has| *has >= last), "{printed}");
}

#[test]
fn a_folder_that_cannot_be_written_is_said_to_be_so() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("state");
    {
        let run = runbook_engine::ids::RunId::new(RUN);
        let mut store = runbook_state::SledStore::open(&folder).expect("a store");
        use runbook_state::store::RunStore as _;
        let sample = [crate::sample::started(RUN)];
        store
            .create(&crate::sample::row(RUN), &crate::sample::plan("one"), crate::sample::at(0), &sample)
            .expect("create");
        store.append(&run, crate::sample::at(1), &crate::sample::step(1), None).expect("append");
    }
    let root = fs::metadata(&folder).is_ok_and(|folder| std::os::unix::fs::MetadataExt::uid(&folder) == 0);
    let output = if root {
        // Modes do not bind root.
        let mount = r#"exec unshare -m sh -c 'mount --bind "$FOLDER" "$FOLDER" && mount -o remount,bind,ro "$FOLDER" || exit 77
            exec "$0" "$@"' "$0" "$@""#;
        under(mount, &folder, Work::Append)
    } else {
        for file in fs::read_dir(&folder).expect("a folder").flatten() {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(0o500)).expect("its mode");
        }
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).expect("its mode");
        under(r#"exec "$0" "$@""#, &folder, Work::Append)
    };
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("its mode");
    if output.status.code() == Some(77) {
        return;
    }
    let printed = printed(&output);
    let error = child::error(&printed).unwrap_or_else(|| panic!("no error: {printed}"));
    assert!(error.starts_with("20 the state folder") && error.contains("cannot be written"), "{error}");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{output:?}");
}
