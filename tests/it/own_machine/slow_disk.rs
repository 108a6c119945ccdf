//! A drive that takes its time for every sync.

use std::fs;

use super::below_program;
use crate::{
    holder::{lines, slow, until},
    program::Place,
};

/// The run has three steps one after the other: it begins, goes from one to the next twice, and ends.
const BATCHES: usize = 4;

#[test]
fn a_slow_drive_makes_a_run_slow_and_nothing_else() {
    let place = Place::new();
    let (file, calls) = (slow(&place), "fsync,fdatasync");
    let said = place.path("trace").display().to_string();
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:delay_enter=200000"));
    let strace = ["strace", "-f", "-qq", "-o", &said, "--seccomp-bpf", "-e", &trace, "-e", &inject];
    let mut run = below_program(&place, &strace, &["run", &file])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    until("the first program", || !lines(&place.path("log")).is_empty());
    let status = || place.run(&["show", "--json"]).exits(0).json()["status"].clone();
    // Whoever asks meanwhile is answered: while a program runs, and while one sync follows the other.
    assert_eq!(status(), "running");
    fs::write(place.path("go"), "").expect("go");
    until("the end of the run", || status() == "succeeded");
    assert_eq!(super::code(&mut run), Some(0));
    assert_eq!(lines(&place.path("log")), ["first", "second", "second"]);
    let slowly = |call: &str| {
        let delayed = lines(&place.path("trace"));
        delayed.iter().filter(|line| line.contains(call) && line.ends_with("(DELAYED)")).count()
    };
    assert!(slowly("fdatasync(") >= BATCHES, "{} syncs of the journal were slow", slowly("fdatasync("));
    // What is written before a program begins, and its folder: three programs.
    assert!(slowly(" fsync(") >= 2 * 3, "{} syncs of what is kept of programs were slow", slowly(" fsync("));
}
