//! The shipped runbooks for hosts of one's own: checked, planned and run on their fleets, killed, and gone back on.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use runbook_steps::world::{Call, CallLog};
use serde_json::Value;

use crate::program::{Done, Place};

/// Runbook, fleet, exit code, and how many machines come to each outcome.
type Scene = (&'static str, &'static str, i32, &'static [(&'static str, usize)]);

const SCENES: [Scene; 9] = [
    ("restic-drill", "mixed", 0, &[("succeeded", 7)]),
    ("change-database", "database", 10, &[("restored", 1)]),
    ("patch-debian", "debian", 0, &[("restored", 1), ("succeeded", 7)]),
    ("patch-rhel", "rhel", 0, &[("failed", 1), ("succeeded", 5)]),
    ("patch-sles", "sles", 0, &[("restored", 1), ("succeeded", 3)]),
    ("mixed-fleet", "mixed", 0, &[("failed", 1), ("succeeded", 6)]),
    ("rollback-packages", "bad-version", 10, &[("not_started", 3), ("restored", 1)]),
    ("rollback-snapshot", "snapshots", 0, &[("restored", 1), ("succeeded", 3)]),
    ("compliance-report", "mixed", 10, &[("failed", 7)]),
];

fn files(runbook: &str, fleet: &str) -> (String, String) {
    (format!("runbooks/{runbook}.yaml"), format!("runbooks/fleets/{fleet}.yaml"))
}

fn calls(place: &Place) -> CallLog {
    let worlds: PathBuf = place.path("state").join("worlds");
    let world = std::fs::read_dir(worlds).expect("worlds").next().expect("a world").expect("readable");
    CallLog::read(Path::new(&world.path().join("world.jsonl"))).expect("the world's file")
}

fn outcomes(place: &Place) -> BTreeMap<String, usize> {
    let shown = place.run(&["show", "--json"]).exits(0).json();
    let mut outcomes = BTreeMap::new();
    for target in shown["targets"].as_object().expect("targets").values() {
        *outcomes.entry(target["outcome"].as_str().expect("a word").to_owned()).or_default() += 1;
    }
    outcomes
}

fn expected(outcomes: &[(&str, usize)]) -> BTreeMap<String, usize> {
    outcomes.iter().map(|(word, times)| ((*word).to_owned(), *times)).collect()
}

/// How often each host was installed on, forward and back.
fn installs(calls: &CallLog) -> BTreeMap<String, usize> {
    let installs = |call: &&Call| matches!(call.resource.as_deref(), Some("install" | "install-back"));
    let mut by_host = BTreeMap::new();
    for call in calls.effects("ssh:start").filter(installs) {
        let deed = call.resource.as_deref().unwrap_or_default();
        *by_host.entry(format!("{} {deed}", call.machines[0])).or_default() += 1;
    }
    by_host
}

/// The binary, with the secret that one of them wants.
fn with_secret(place: &Place, arguments: &[&str]) -> Done {
    let mut command = place.command(arguments);
    Done::from(
        command.env("RUNBOOK_SECRET_RESTIC_PASSWORD", "Xq7-vault-91").output().expect("the binary runs"),
    )
}

#[test]
fn each_is_checked_planned_and_run() {
    for (runbook, fleet, exit, ends) in SCENES {
        let place = Place::new();
        let (runbook, fleet) = files(runbook, fleet);
        let checked = place.run(&["check", &runbook, "--json"]).exits(0).json();
        assert_eq!(checked["diagnostics"], serde_json::json!([]), "{runbook}");
        with_secret(&place, &["plan", &runbook, "--fleet", &fleet]).exits(0);
        with_secret(&place, &["run", &runbook, "--fleet", &fleet]).exits(exit);
        assert_eq!(outcomes(&place), expected(ends), "{runbook}");
        let calls = calls(&place);
        assert_eq!(calls.doubled(), Vec::<String>::new(), "{runbook}");
        let twice: Vec<_> = installs(&calls).into_iter().filter(|(_, times)| *times > 1).collect();
        assert_eq!(twice, [], "{runbook}");
    }
}

#[test]
fn a_plan_says_what_going_back_loses() {
    let place = Place::new();
    let (runbook, fleet) = files("rollback-snapshot", "snapshots");
    let planned = place.run(&["plan", &runbook, "--fleet", &fleet]).exits(0);
    for said in [
        "lvm-thin",
        "everything that was written to the volume since",
        "a new kernel that the host runs on stays",
    ] {
        assert!(planned.stdout.contains(said), "{said}\n{}", planned.stdout);
    }
}

#[test]
fn a_rollback_restores_what_was_not_restored_yet() {
    let place = Place::new();
    let (runbook, fleet) = files("patch-sles", "sles");
    place.run(&["run", &runbook, "--fleet", &fleet]).exits(0);
    place.run(&["rollback"]);
    assert_eq!(outcomes(&place).get("restored"), Some(&3));
    let reverts = |call: &&Call| call.resource.as_deref() == Some("revert");
    assert_eq!(calls(&place).effects("ssh:start").filter(reverts).count(), 4);
}

#[test]
fn package_files_are_collected_when_their_time_is_over() {
    let place = Place::new();
    let (runbook, fleet) = files("rollback-packages", "bad-version");
    place.run(&["run", &runbook, "--fleet", &fleet, "--param", "keep=1s"]).exits(10);
    let listed = place.run(&["artifacts", "list", "--json"]).exits(0).stdout;
    assert_eq!(listed.matches("package_files").count(), 1, "{listed}");
    place.run(&["artifacts", "gc", "--fleet", &fleet]).exits(0);
    let discards = |call: &&Call| call.resource.as_deref() == Some("discard");
    assert_eq!(calls(&place).effects("ssh:start").filter(discards).count(), 1);
}

/// Killed again and again, a rollout over hosts comes out as if nothing had happened.
#[test]
fn killed_and_resumed_it_comes_out_the_same() {
    const KILLS: u32 = 30;
    let (runbook, fleet) = files("patch-debian", "debian");
    let begun = Instant::now();
    let smooth = Place::new();
    smooth.run(&["run", &runbook, "--fleet", &fleet]).exits(0);
    let (took, ends) = (begun.elapsed(), outcomes(&smooth));
    let (mut kills, mut nth) = (0, 0_u32);
    while kills < KILLS {
        let place = Place::new();
        for _ in 0..10 {
            let fresh = place.run(&["list", "--json"]).exits(0).stdout.is_empty();
            let arguments = ["run", &runbook, "--fleet", &fleet];
            let mut child = if fresh { place.start(&arguments) } else { place.start(&["resume"]) };
            nth += 1;
            // Moments that differ from one life to the next, and are the same in every test run.
            thread::sleep(took.mul_f64(f64::from(nth.wrapping_mul(2_654_435_761) >> 22) / 1024.0 / 2.0));
            if child.try_wait().expect("a child").is_some() {
                break;
            }
            child.kill().expect("killed");
            child.wait().expect("gone");
            kills += 1;
        }
        if place.run(&["list", "--json"]).exits(0).stdout.is_empty() {
            continue;
        }
        place.run(&["resume"]).exits(0);
        assert_eq!(outcomes(&place), ends, "after {kills} kills");
        let calls = calls(&place);
        assert_eq!(calls.doubled(), Vec::<String>::new());
        assert!(installs(&calls).values().all(|times| *times == 1), "{:?}", installs(&calls));
    }
}

/// What a machine of a plan is given later needs no host to be asked: the plan is made without one.
#[test]
fn a_plan_names_every_machine() {
    let place = Place::new();
    let (runbook, fleet) = files("mixed-fleet", "mixed");
    let planned: Value = place.run(&["plan", &runbook, "--fleet", &fleet, "--json"]).exits(0).json();
    assert_eq!(planned["targets"]["all"].as_array().map(Vec::len), Some(7));
}
