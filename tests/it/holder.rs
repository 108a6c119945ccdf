//! One process holds the store; other commands reach it, and signals stop it.

use std::{
    fs,
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::program::Place;

/// How long something may take before the test gives up: a loaded machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);

#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A step that says in `log` that it began, and waits until the file `go` is there; then others.
pub fn slow(place: &Place) -> String {
    let (log, go) = (place.path("log"), place.path("go"));
    let text = format!(
        r#"
runbook: slow
targets:
  web: {{ hosts: {{ w1: {{ address: 127.0.0.1 }}, w2: {{ address: 127.0.0.2 }} }} }}
steps:
  first:
    uses: local/command
    effect: reads
    with: {{ script: "echo first >> {log}; while [ ! -e {go} ]; do sleep 0.05; done" }}
  second:
    needs: [first]
    uses: local/command
    effect: reads
    targets: web
    rollout: {{ waves: [1, 2] }}
    with: {{ script: "echo second >> {log}" }}
"#,
        log = log.display(),
        go = go.display(),
    );
    place.write("slow.yaml", &text).display().to_string()
}

pub fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn began(place: &Place) -> impl FnMut() -> bool {
    let log = place.path("log");
    move || !lines(&log).is_empty()
}

fn interrupt(child: &Child, signal: &str) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill");
    assert!(status.success());
}

#[track_caller]
fn code(mut child: Child) -> Option<i32> {
    let mut ended = None;
    until("the end of the process", || {
        ended = child.try_wait().expect("a child");
        ended.is_some()
    });
    ended.and_then(|status| status.code())
}

fn status(place: &Place) -> Value {
    place.run(&["show", "--json"]).exits(0).json()["status"].clone()
}

#[test]
fn an_interrupted_run_goes_on_where_it_stopped() {
    for signal in ["-INT", "-TERM"] {
        let place = Place::new();
        let file = slow(&place);
        let child = place.start(&["run", &file]);
        until("the first step", began(&place));
        interrupt(&child, signal);
        assert_eq!(code(child), Some(12));
        assert_eq!(status(&place), "interrupted");
        fs::write(place.path("go"), "").expect("go");
        place.run(&["resume"]).exits(0);
        assert_eq!(lines(&place.path("log")), ["first", "second", "second"]);
    }
}

#[test]
fn a_lost_terminal_stops_nothing() {
    let place = Place::new();
    let file = slow(&place);
    let child = place.start(&["run", &file]);
    until("the first step", began(&place));
    interrupt(&child, "-HUP");
    assert_eq!(status(&place), "running");
    fs::write(place.path("go"), "").expect("go");
    assert_eq!(code(child), Some(0));
}

#[test]
fn a_pause_lets_what_runs_end_and_resume_lifts_it() {
    let place = Place::new();
    let file = slow(&place);
    let child = place.start(&["run", &file]);
    until("the first step", began(&place));
    place.run(&["pause"]).exits(0);
    assert_eq!(status(&place), "paused");
    fs::write(place.path("go"), "").expect("go");
    assert_eq!(code(child), Some(12));
    assert_eq!(lines(&place.path("log")), ["first"]);
    place.run(&["resume"]).exits(0);
    assert_eq!(lines(&place.path("log")), ["first", "second", "second"]);
}

#[test]
fn a_machine_can_be_excluded_and_a_run_cancelled_from_outside() {
    let place = Place::new();
    let file = slow(&place);
    let child = place.start(&["run", &file]);
    until("the first step", began(&place));
    place.run(&["exclude", "w2"]);
    place.run(&["cancel", "--leave"]).exits(0);
    fs::write(place.path("go"), "").expect("go");
    assert_eq!(code(child), Some(13));
    assert_eq!(lines(&place.path("log")), ["first"]);
}

#[test]
fn nobody_holds_the_store_and_its_owner_still_decides() {
    let place = Place::new();
    let file = slow(&place);
    let child = place.start(&["run", &file]);
    until("the first step", began(&place));
    interrupt(&child, "-INT");
    assert_eq!(code(child), Some(12));
    let told = place.run(&["cancel", "--leave"]).exits(0);
    assert!(told.stdout.contains("runbook resume") || told.stderr.contains("runbook resume"), "{told:?}");
    fs::write(place.path("go"), "").expect("go");
    place.run(&["resume"]).exits(13);
}

#[test]
fn a_second_run_joins_the_process_that_holds_the_store() {
    let place = Place::new();
    let file = slow(&place);
    let first = place.start(&["run", &file]);
    until("the first step", began(&place));
    let other = place.write(
        "other.yaml",
        "runbook: other\nsteps:\n  only: { uses: local/command, effect: reads, with: { script: 'true' } }\n",
    );
    let other = other.display().to_string();
    place.run(&["run", &other]).exits(0);
    assert_eq!(place.run(&["list", "--json"]).lines().len(), 2);
    let refused = {
        let mut command = place.command(&["run", &other]);
        command.env("AWS_PROFILE", "elsewhere");
        crate::program::Done::from(command.output().expect("it runs"))
    };
    let refused = refused.exits(20);
    assert!(refused.stderr.contains("use another --state"), "{}", refused.stderr);
    fs::write(place.path("go"), "").expect("go");
    assert_eq!(code(first), Some(0));
}

#[test]
fn a_follower_sees_the_run_to_its_end_and_its_leaving_ends_nothing() {
    let place = Place::new();
    let file = slow(&place);
    let holder = place.start(&["run", &file]);
    until("the first step", began(&place));
    let leaving = place.start(&["events", "--follow", "--json"]);
    thread::sleep(Duration::from_millis(300));
    interrupt(&leaving, "-INT");
    code(leaving);
    let staying = place
        .command(&["events", "--follow", "--json"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    fs::write(place.path("go"), "").expect("go");
    let seen = String::from_utf8(staying.wait_with_output().expect("an end").stdout).expect("text");
    assert_eq!(code(holder), Some(0));
    let events: Vec<Value> = seen.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let last = events.last().expect("events");
    assert_eq!(last["event"]["type"], "run_finished", "{last}");
    assert_eq!(events.len() as u64, last["seq"].as_u64().expect("a number"));
}

#[test]
fn interrupted_twice_it_stops_at_once_and_nothing_is_lost() {
    let place = Place::new();
    let file = slow(&place);
    let child = place.start(&["run", &file]);
    until("the first step", began(&place));
    interrupt(&child, "-INT");
    interrupt(&child, "-INT");
    assert_eq!(code(child), Some(12));
    fs::write(place.path("go"), "").expect("go");
    place.run(&["resume"]).exits(0);
    assert_eq!(lines(&place.path("log")), ["first", "second", "second"]);
}

#[test]
fn a_machine_belongs_to_one_run_at_a_time() {
    let place = Place::new();
    let text = format!(
        r#"
runbook: changes
targets:
  web: {{ hosts: {{ w1: {{ address: 127.0.0.1 }} }} }}
steps:
  ask:
    uses: gate/approval
    with: {{ approvers: [nobody], expires: 1h }}
  change:
    needs: [ask]
    uses: local/command
    effect: changes
    way_back: none
    because: a test
    targets: web
    with: {{ script: "echo changed >> {}" }}
"#,
        place.path("log").display()
    );
    let file = place.write("changes.yaml", &text).display().to_string();
    place.run(&["run", &file, "--no-wait"]).exits(12);
    let refused = place.run(&["run", &file, "--no-wait"]).exits(4);
    assert!(refused.stderr.contains("runbook resume"), "{}", refused.stderr);
    assert_eq!(place.run(&["list", "--json"]).lines().len(), 1);
    place.run(&["cancel", "--leave"]).exits(0);
    place.run(&["resume"]).exits(13);
    place.run(&["run", &file, "--no-wait"]).exits(12);
}

#[test]
fn an_output_that_is_gone_stops_nothing() {
    let place = Place::new();
    let file = slow(&place);
    let mut child = place
        .command(&["run", &file])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    drop((child.stdout.take(), child.stderr.take()));
    until("the first step", began(&place));
    fs::write(place.path("go"), "").expect("go");
    assert_eq!(code(child), Some(0));
    assert_eq!(lines(&place.path("log")), ["first", "second", "second"]);
}
