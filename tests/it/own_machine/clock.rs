//! The machine's clock, set back and forward in the middle of a run: `libfaketime` answers in the system's place.

use std::{fs, path::PathBuf, process::Child};

use super::code;
use crate::{
    holder::{lines, until},
    program::Place,
};

/// Debian's place for it is named after the machine's kind.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("libraries").flatten();
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketime.so.1"));
    found.find(|path| path.exists()).expect("libfaketime, which tests/hosts/install.sh installs")
}

/// A run of a program, a wait of two seconds and another program, whose clock can be set.
fn begun(place: &Place, gate: &str) -> Child {
    let text = format!(
        "runbook: clocks\nsteps:\n  first: {{ uses: local/command, effect: reads, with: {{ script: \"echo first >> {log}; \
         while [ ! -e {go} ]; do sleep 0.05; done\" }} }}\n  rest: {{ needs: [first], {gate} }}\n  second: {{ needs: \
         [rest], uses: local/command, effect: reads, with: {{ script: \"echo second >> {log}\" }} }}\n",
        log = place.path("log").display(),
        go = place.path("go").display(),
    );
    let file = place.write("clocks.yaml", &text).display().to_string();
    set(place, "+0");
    let child = place
        .command(&["run", &file])
        .env("LD_PRELOAD", library())
        .env("FAKETIME_TIMESTAMP_FILE", place.path("clock"))
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .stdout(std::process::Stdio::null())
        .stderr(fs::File::create(place.path("stderr")).expect("a file"))
        .spawn()
        .expect("it starts");
    until("the first program", || !lines(&place.path("log")).is_empty());
    child
}

fn set(place: &Place, clock: &str) {
    let new = place.write("clock.new", &format!("{clock}\n"));
    fs::rename(new, place.path("clock")).expect("a clock");
}

fn said(place: &Place) -> String {
    fs::read_to_string(place.path("stderr")).expect("what it said")
}

/// Nothing in the journal happens before what stands before it.
fn times_do_not_go_back(place: &Place) {
    let events = place.run(&["events", "--json"]).exits(0).lines();
    let times: Vec<String> =
        events.iter().map(|event| event["at"].as_str().expect("a time").to_owned()).collect();
    let parsed: Vec<jiff::Timestamp> = times.iter().map(|time| time.parse().expect("a time")).collect();
    assert!(parsed.is_sorted(), "{times:?}");
}

#[test]
fn a_clock_that_is_set_back_or_forward_does_not_hold_up_a_wait() {
    for clock in ["-1h", "-30d", "+1h"] {
        let place = Place::new();
        let mut run = begun(&place, "uses: gate/wait, with: { for: 2s }");
        set(&place, clock);
        fs::write(place.path("go"), "").expect("go");
        assert_eq!(code(&mut run), Some(0), "{clock}: {}", said(&place));
        assert_eq!(lines(&place.path("log")), ["first", "second"], "{clock}");
        assert_eq!(
            said(&place).contains("clock was set back by"),
            clock.starts_with('-'),
            "{}",
            said(&place)
        );
        times_do_not_go_back(&place);
    }
}

#[test]
fn a_run_that_asks_for_a_window_is_paused_when_the_clock_is_set_back() {
    let place = Place::new();
    let window = "uses: gate/window, with: { cron: \"0 22 * * SAT\", duration: 6h, timezone: UTC }";
    let mut run = begun(&place, window);
    set(&place, "-2h");
    fs::write(place.path("go"), "").expect("go");
    assert_eq!(code(&mut run), Some(12), "{}", said(&place));
    let shown = place.run(&["show"]).exits(0);
    assert!(shown.stdout.contains("clock was set back by 2h"), "{}", shown.stdout);
    assert_eq!(lines(&place.path("log")), ["first"]);
    times_do_not_go_back(&place);
}

/// A window that is open for an hour every four years.
const LEAP_DAY: &str = "uses: gate/window, with: { cron: \"0 0 29 2 *\", duration: 1h, timezone: UTC }";

#[test]
fn each_time_that_the_clock_is_set_back_holds_for_runs_that_come_later_too() {
    let place = Place::new();
    let mut holder = begun(&place, "uses: gate/wait, with: { for: 1s }");
    let text = format!("runbook: window\nsteps:\n  rest: {{ {LEAP_DAY} }}\n");
    let file = place.write("window.yaml", &text).display().to_string();
    set(&place, "-10s");
    let mut submitted = place.start(&["run", &file]);
    let mut id = None;
    until("the second run", || {
        let rows = place.run(&["list", "--json"]).exits(0).lines();
        let row = rows.into_iter().find(|row| row["runbook"] == "window");
        id = row.and_then(|row| row["run"].as_str().map(str::to_owned));
        id.is_some()
    });
    let id = id.expect("its id");
    let is = |status: &str| place.run(&["show", &id, "--json"]).exits(0).json()["status"] == status;
    let shown = || place.run(&["show", &id]).exits(0).stdout;
    until("its pause", || is("paused"));
    assert!(shown().contains("clock was set back by 10s"), "{}", shown());
    // A person takes that upon himself, and then it is set back for good.
    let mut resumed = place.start(&["resume", &id]);
    until("the wait for its window", || is("waiting"));
    set(&place, "-2h");
    until("its second pause", || is("paused"));
    assert!(shown().contains("clock was set back by 2h"), "{}", shown());
    for ahead in ["10s", "2h"] {
        assert!(said(&place).contains(&format!("clock was set back by {ahead}")), "{}", said(&place));
    }
    fs::write(place.path("go"), "").expect("go");
    assert_eq!(code(&mut holder), Some(0), "{}", said(&place));
    assert_eq!((code(&mut submitted), code(&mut resumed)), (Some(12), Some(12)));
    assert_eq!(lines(&place.path("log")), ["first", "second"]);
}
