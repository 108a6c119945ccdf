//! Killed with SIGKILL at any moment and resumed until it is done, a run comes out as if nothing had happened, and the
//! simulated world counts every effect once.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use runbook_steps::world::CallLog;
use serde_json::Value;

use crate::program::Place;

/// So many kills on each of four fleets.
const KILLS: u32 = 200;

/// When nothing is killed: exit code, and each machine's outcome.
fn smooth(fleet: &str) -> (Duration, Value) {
    let place = Place::new();
    let begun = Instant::now();
    place.run(&["run", "runbooks/patch-linux.yaml", "--fleet", fleet]);
    (begun.elapsed(), shown(&place))
}

fn shown(place: &Place) -> Value {
    let shown = place.run(&["show", "--json"]).exits(0).json();
    let targets: BTreeMap<&String, &Value> = shown["targets"]
        .as_object()
        .expect("targets")
        .iter()
        .map(|(id, target)| (id, &target["outcome"]))
        .collect();
    serde_json::json!({ "status": shown["status"], "exit": shown["exit"], "targets": targets })
}

/// Moments that differ from one life to the next, and are the same in every test run.
struct Moments(u64);

impl Moments {
    fn next(&mut self, most: Duration) -> Duration {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        most.mul_f64(((self.0 >> 33) % 1_000) as f64 / 1_000.0)
    }
}

#[track_caller]
fn comes_out_the_same(fleet: &str) {
    let fleet = format!("runbooks/fleets/{fleet}.yaml");
    let (took, expected) = smooth(&fleet);
    let mut moments = Moments(took.as_nanos() as u64 | 1);
    let mut kills = 0;
    while kills < KILLS {
        let place = Place::new();
        loop {
            let mut child = if place.run(&["list", "--json"]).exits(0).stdout.is_empty() {
                place.start(&["run", "runbooks/patch-linux.yaml", "--fleet", &fleet])
            } else {
                place.start(&["resume"])
            };
            thread::sleep(moments.next(took));
            if child.try_wait().expect("a child").is_some() {
                break;
            }
            child.kill().expect("killed");
            child.wait().expect("gone");
            kills += 1;
            if kills % 10 == 0 {
                break;
            }
        }
        if place.run(&["list", "--json"]).exits(0).stdout.is_empty() {
            continue;
        }
        place.run(&["resume"]);
        assert_eq!(shown(&place), expected, "after {kills} kills");
        let calls = CallLog::read(&world_file(&place.path("state"))).expect("the world's file");
        assert_eq!(calls.doubled(), Vec::<String>::new(), "after {kills} kills");
    }
}

fn world_file(state: &Path) -> PathBuf {
    let mut worlds = std::fs::read_dir(state.join("worlds")).expect("worlds");
    worlds.next().expect("one world").expect("readable").path().join("world.jsonl")
}

#[test]
fn a_fleet_without_faults() {
    comes_out_the_same("happy");
}

#[test]
fn a_contained_failure() {
    comes_out_the_same("contained");
}

#[test]
fn a_rollout_over_its_budget() {
    comes_out_the_same("over-budget");
}

#[test]
fn a_restore_that_fails() {
    comes_out_the_same("restore-fails");
}
