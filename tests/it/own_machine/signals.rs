//! Signals beside those of `holder` and `killed`.

use std::{
    fs,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{Chain, code, done, signal};
use crate::{
    holder::{lines, slow, until},
    program::{Done, Place},
};

/// Whether a process is stopped.
fn is_stopped(child: &Child) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

fn stop(child: &Child) {
    signal(child, "-STOP");
    until("the stop", || is_stopped(child));
}

#[test]
fn a_stopped_process_keeps_the_store_and_others_are_told_how_to_let_it_go_on() {
    let place = Place::new();
    let file = slow(&place);
    let mut holder = place.start(&["run", &file]);
    until("the first step", || !lines(&place.path("log")).is_empty());
    stop(&holder);
    let ask = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    };
    let asked = [
        ask(&["show"]),
        ask(&["resume"]),
        ask(&["list"]),
        ask(&["run", &file]),
        ask(&["events", "--follow"]),
    ];
    for child in asked {
        let refused = Done::from(child.wait_with_output().expect("an end")).exits(20);
        let pid = holder.id();
        let told = format!(
            "is held by process {pid}, which is stopped and does not answer; what it was asked it may"
        );
        assert!(refused.stderr.contains(&told), "{}", refused.stderr);
        assert!(refused.stderr.contains(&format!("kill -CONT {pid}")), "{}", refused.stderr);
    }
    signal(&holder, "-CONT");
    fs::write(place.path("go"), "").expect("go");
    assert_eq!(code(&mut holder), Some(0));
    let ran = lines(&place.path("log"));
    // The run that was handed over may have been taken up after all: as it was told.
    let runs = place.run(&["list", "--json"]).lines().len();
    assert!(ran == ["first", "second", "second"].repeat(runs) || runs == 2, "{ran:?}");
    assert_eq!(ran.iter().filter(|line| *line == "first").count(), runs);
    assert_eq!(ran.iter().filter(|line| *line == "second").count(), 2 * runs);
}

#[test]
fn a_program_that_ended_in_time_while_we_were_stopped_ended_in_time() {
    let place = Place::new();
    let text = format!(
        "runbook: timed\nsteps:\n  first: {{ uses: local/command, effect: reads, timeout: 2s, with: {{ script: \"echo \
         began >> {log}; while [ ! -e {go} ]; do sleep 0.01; done; echo ended >> {log}\" }} }}\n  second: {{ needs: \
         [first], uses: local/command, effect: reads, with: {{ script: \"echo second >> {log}\" }} }}\n",
        log = place.path("log").display(),
        go = place.path("go").display(),
    );
    let file = place.write("timed.yaml", &text).display().to_string();
    let mut holder = place.start(&["run", &file]);
    let begun = Instant::now();
    until("the program", || !lines(&place.path("log")).is_empty());
    stop(&holder);
    fs::write(place.path("go"), "").expect("go");
    until("its end", || lines(&place.path("log")).len() == 2);
    let in_time = begun.elapsed() < Duration::from_secs(1);
    until("the deadline", || begun.elapsed() > Duration::from_secs(3));
    signal(&holder, "-CONT");
    let ended = code(&mut holder);
    // On a machine so busy that the program itself took longer there is nothing to be told apart.
    if in_time {
        assert_eq!(ended, Some(0));
        assert_eq!(lines(&place.path("log")), ["began", "ended", "second"]);
    }
}

#[test]
fn told_to_stop_at_any_moment_each_step_still_runs_once() {
    let chain = Chain { steps: 4, hosts: 2 };
    let place = Place::new();
    let file = chain.write(&place);
    for number in 0_u64.. {
        let begun = !place.run(&["list", "--json"]).exits(0).stdout.is_empty();
        let mut life = if begun { place.start(&["resume"]) } else { place.start(&["run", &file]) };
        thread::sleep(Duration::from_millis(number * 53 % 400));
        if life.try_wait().expect("a child").is_none() {
            signal(&life, "-TERM");
        }
        match code(&mut life) {
            Some(0) => break,
            // Killed before it listens to signals: nothing was begun then, or it was just being opened.
            None | Some(12) => {}
            other => panic!("{other:?}"),
        }
    }
    chain.ran_once(&place, "TERM");
}

#[test]
fn without_any_output_a_run_goes_on_all_the_same() {
    let chain = Chain { steps: 2, hosts: 2 };
    for shell in ["exec <&- >&- 2>&-", "exec >/dev/full 2>/dev/full"] {
        let place = Place::new();
        let file = chain.write(&place);
        done(super::below(&place, shell, &["run", &file]));
        chain.ran_once(&place, shell);
        assert_eq!(place.run(&["show", "--json"]).exits(0).json()["status"], "succeeded");
    }
}
