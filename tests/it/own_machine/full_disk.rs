//! A drive that gets full loses nothing that was acknowledged.

use std::{fs, process::Stdio};

use super::{Chain, below, code, done, drive::Drive};
use crate::{
    holder::{lines, until},
    program::{Done, Place},
};

#[test]
fn a_full_drive_stops_the_run_and_room_lets_it_go_on() {
    let place = Place::new();
    let Some(drive) = Drive::in_memory(&place, "400k") else { return };
    let state = drive.state();
    let fleet = "runbooks/fleets/contained.yaml";
    let full =
        place.run(&["run", "runbooks/patch-linux.yaml", "--fleet", fleet, "--state", &state]).exits(20);
    assert!(full.stderr.contains("no space is left"), "{}", full.stderr);
    place.run(&["resume", "--state", &state]).exits(20);
    drive.grow();
    place.run(&["resume", "--state", &state]).exits(0);
}

/// Whether a program has ended, and nobody could write down how.
fn has_empty_result(state: &str) -> bool {
    let files = fs::read_dir(format!("{state}/programs")).into_iter().flatten().flatten();
    files.map(|file| file.path()).any(|path| {
        path.extension().is_some_and(|ending| ending == "code")
            && fs::metadata(path).is_ok_and(|code| code.len() == 0)
    })
}

#[test]
fn at_whatever_moment_the_drive_gets_full_the_run_goes_on_with_room() {
    let chain = Chain { steps: 3, hosts: 2 };
    let mut stopped = 0;
    // From a drive that does not even hold an empty store to one that holds the whole run.
    for kilobytes in (4..=84).step_by(8) {
        let place = Place::new();
        let Some(drive) = Drive::in_memory(&place, &format!("{kilobytes}k")) else { return };
        let (state, file) = (drive.state(), chain.write(&place));
        let when = format!("a drive of {kilobytes} KiB");
        let mut command = place.command(&["run", &file, "--state", &state]);
        let mut run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        // Where there was room for a program and none for its result, the run waits: until there is.
        let (mut waits, mut over) = (0, false);
        until(&when, || {
            over = run.try_wait().expect("a child").is_some();
            waits = if has_empty_result(&state) { waits + 1 } else { 0 };
            over || waits >= 50
        });
        if !over {
            stopped += 1;
            drive.grow();
        }
        let full = Done::from(run.wait_with_output().expect("an end"));
        if full.code == 0 {
            chain.ran_once(&place, &when);
        } else {
            stopped += 1;
            if full.code == 12 {
                // There was room for the journal, and none for a program: no machine is counted as failed.
                assert!(full.stdout.contains("the program could not be started"), "{when}: {}", full.stdout);
            } else {
                assert_eq!(full.code, 20, "{when}: {}{}", full.stdout, full.stderr);
                assert!(full.stderr.contains("no space is left"), "{when}: {}", full.stderr);
                assert!(full.stderr.contains("make room on the drive"), "{when}: {}", full.stderr);
            }
            drive.grow();
            chain.goes_on(&place, &state, &when);
        }
    }
    assert!(stopped >= 3, "{stopped}");
}

#[test]
fn a_file_that_may_not_grow_is_a_full_drive_and_not_the_end_of_the_process() {
    let chain = Chain { steps: 3, hosts: 2 };
    let mut stopped = 0;
    // In blocks of 512 bytes.
    for blocks in [1, 2, 4, 8, 12, 16, 24] {
        let place = Place::new();
        let (state, file) = (place.path("state").display().to_string(), chain.write(&place));
        let full = done(below(&place, &format!("ulimit -f {blocks}"), &["run", &file]));
        let when = format!("files of at most {blocks} blocks");
        if full.code != 0 {
            stopped += 1;
            assert_eq!(full.code, 20, "{when}: {}", full.stderr);
            assert!(full.stderr.contains("no space is left"), "{when}: {}", full.stderr);
            chain.goes_on(&place, &state, &when);
        }
    }
    assert!(stopped >= 2, "{stopped}");
}

#[test]
fn a_drive_that_gets_full_while_a_program_runs_does_not_cost_its_result() {
    let place = Place::new();
    let Some(drive) = Drive::in_memory(&place, "8m") else { return };
    let (state, log, go) = (drive.state(), place.path("log"), place.path("go"));
    let text = format!(
        "runbook: long\nsteps:\n  first: {{ uses: local/command, effect: reads, with: {{ script: \"echo began >> {log}; \
         while [ ! -e {go} ]; do sleep 0.05; done; echo ended >> {log}\" }} }}\n  second: {{ needs: [first], uses: \
         local/command, effect: reads, with: {{ script: \"echo second >> {log}\" }} }}\n",
        log = log.display(),
        go = go.display(),
    );
    let file = place.write("long.yaml", &text).display().to_string();
    let mut holder = place.start(&["run", &file, "--state", &state]);
    until("the program's beginning", || !lines(&log).is_empty());
    drive.fill();
    fs::write(&go, "").expect("go");
    until("the program's end", || lines(&log).len() >= 2);
    drive.drain();
    // It goes on by itself, or was stopped by its own journal meanwhile.
    let ended = code(&mut holder);
    if ended != Some(0) {
        assert_eq!(ended, Some(20));
        place.run(&["resume", "--state", &state]).exits(0);
    }
    assert_eq!(lines(&log), ["began", "ended", "second"]);
}
