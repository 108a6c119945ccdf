//! A drive that refuses one write or sync, each in turn: `strace` answers in the kernel's place.

use std::{fs, os::unix::fs::PermissionsExt};

use super::{Chain, below_program, done};
use crate::{holder::lines, program::Place};

/// Below strace, in which this call fails at its so-manieth time in a thread.
fn failing(place: &Place, call: &str, error: &str, at: usize, arguments: &[&str]) -> crate::program::Done {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:error={error}:when={at}"));
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "--seccomp-bpf", "-e", &trace, "-e", &inject];
    done(below_program(place, &strace, arguments))
}

/// Whatever happens at each of the first calls: the store says so, and a resume goes on.
#[track_caller]
fn each_in_turn(call: &str, error: &str, first: usize) {
    let chain = Chain { steps: 2, hosts: 2 };
    let mut stopped = 0;
    for at in 1..=first {
        let place = Place::new();
        let (state, file) = (place.path("state").display().to_string(), chain.write(&place));
        let failed = failing(&place, call, error, at, &["run", &file]);
        let when = format!("{call} fails with {error} at {at}");
        if failed.code != 0 {
            stopped += 1;
            assert_eq!(failed.code, 20, "{when}: {}{}", failed.stdout, failed.stderr);
            let about = format!("the state folder {state}");
            assert!(failed.stderr.contains(&about), "{when}: {}", failed.stderr);
            assert!(!failed.stderr.contains("Os {"), "{when}: {}", failed.stderr);
            assert!(failed.stderr.contains("runbook resume"), "{when}: {}", failed.stderr);
            chain.goes_on(&place, &state, &when);
        } else {
            chain.ran_once(&place, &when);
        }
    }
    assert!(stopped > 0, "{call}");
}

#[test]
fn each_sync_of_the_journal_fails_in_turn() {
    each_in_turn("fdatasync", "EIO", 10);
}

#[test]
fn each_flush_to_the_kernel_fails_in_turn() {
    each_in_turn("sync_file_range", "ENOSPC", 3);
}

#[test]
fn each_write_fails_in_turn() {
    each_in_turn("pwrite64", "EROFS", 6);
}

#[test]
fn a_sync_that_fails_before_a_program_starts_leaves_it_unstarted() {
    let chain = Chain { steps: 2, hosts: 1 };
    for at in [1, 2, 3, 5, 7, 9, 11, 13] {
        let place = Place::new();
        let (state, file) = (place.path("state").display().to_string(), chain.write(&place));
        let failed = failing(&place, "fsync", "EIO", at, &["run", &file]);
        let when = format!("fsync fails at {at}: {}{}", failed.stdout, failed.stderr);
        match failed.code {
            0 => chain.ran_once(&place, &when),
            // What is remembered of a program could not be made durable: it was not started, the run is paused, and no
            // machine counts as failed.
            12 => {
                assert!(failed.stdout.contains("the program could not be started"), "{when}");
                chain.goes_on(&place, &state, &when);
            }
            code => {
                assert_eq!(code, 20, "{when}");
                chain.goes_on(&place, &state, &when);
            }
        }
    }
}

#[test]
fn a_program_whose_claim_the_drive_refuses_to_sync_is_not_begun() {
    let chain = Chain { steps: 2, hosts: 1 };
    let place = Place::new();
    let (state, file) = (place.path("state").display().to_string(), chain.write(&place));
    // Before the system's own `sync`: the same, to which the kernel says that the drive failed.
    fs::create_dir(place.path("failing")).expect("a folder");
    let sync = place.write(
        "failing/sync",
        "#!/bin/sh\nPATH=${PATH#*:}\nexec strace -f -qq -o /dev/null -e trace=fsync,syncfs \
         -e inject=fsync,syncfs:error=EIO sync \"$@\"\n",
    );
    fs::set_permissions(&sync, fs::Permissions::from_mode(0o755)).expect("a mode");
    let path = std::env::var("PATH").expect("a PATH");
    let mut command = place.command(&["run", &file]);
    command.env("PATH", format!("{}:{path}", place.path("failing").display()));
    let failed = done(command).exits(12);
    assert!(failed.stdout.contains("the program could not be started"), "{}", failed.stdout);
    assert_eq!(lines(&place.path("log")), Vec::<String>::new());
    chain.goes_on(&place, &state, "the claim");
}
