//! The JSON that others rely on, key by key.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::program::Place;

#[track_caller]
fn has_keys(value: &Value, keys: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    let found: BTreeSet<&str> = object.keys().map(String::as_str).collect();
    let missing: Vec<&&str> = keys.iter().filter(|key| !found.contains(**key)).collect();
    assert!(missing.is_empty(), "{missing:?} are missing in {value}");
}

const RUNBOOK: &str = "\
runbook: shapes
params:
  who: { type: string, default: world }
targets:
  machines: { hosts: { a: { address: 127.0.0.1 }, b: { address: 127.0.0.1 } } }
steps:
  hello:
    uses: local/command
    effect: reads
    targets: machines
    with: { script: \"echo hello {{ params.who | sh }}\" }
  approve:
    needs: [hello]
    uses: gate/approval
    with: { approvers: [nobody-we-know], expires: 1h }
";

#[test]
fn of_check() {
    let place = Place::new();
    let file =
        place.write("bad.yaml", "runbook: bad\nsteps:\n  a: { uses: nothing }\n").display().to_string();
    let checked = place.run(&["check", &file, "--json"]).exits(3).json();
    assert_eq!(checked["ok"], false);
    has_keys(&checked["diagnostics"][0], &["severity", "code", "message", "file", "line", "column", "hint"]);
    assert_eq!(checked["diagnostics"][0]["line"], 3);
}

#[test]
fn of_plan() {
    let place = Place::new();
    let file = place.write("shapes.yaml", RUNBOOK).display().to_string();
    let plan = place.run(&["plan", &file, "--json"]).exits(0).json();
    has_keys(&plan, &["sha256", "runbook", "params", "targets", "tasks"]);
    assert_eq!(plan["targets"]["machines"], serde_json::json!(["a", "b"]));
    for task in plan["tasks"].as_array().expect("a list of tasks") {
        has_keys(task, &["task", "action", "needs", "on_failure", "targets", "effect", "timeout_s"]);
    }
    assert_eq!(plan["tasks"][0]["task"], "hello/wave-1");
    assert_eq!(plan["tasks"][0]["timeout_s"], 3600);
}

#[test]
fn of_a_run_that_waits() {
    let place = Place::new();
    let file = place.write("shapes.yaml", RUNBOOK).display().to_string();
    let lines = place.run(&["run", &file, "--no-wait", "--json"]).exits(12).lines();
    let (show, events) = lines.split_last().expect("a last line");
    for line in events {
        has_keys(line, &["run", "at", "event"]);
        has_keys(&line["event"], &["type"]);
    }
    has_keys(
        show,
        &[
            "run",
            "runbook",
            "status",
            "exit",
            "plan",
            "params",
            "started_at",
            "finished_at",
            "cause",
            "waiting_on",
            "tasks",
            "targets",
        ],
    );
    has_keys(&show["plan"], &["sha256", "tasks", "targets"]);
    assert_eq!(show["status"], "waiting");
    assert_eq!(show["exit"], Value::Null);
    assert_eq!(show["params"]["who"], "world");
    has_keys(&show["waiting_on"][0], &["task", "kind", "since", "until", "on"]);
    assert_eq!(show["waiting_on"][0]["kind"], "approval");
    for task in show["tasks"].as_array().expect("a list of tasks") {
        let keys = [
            "task",
            "action",
            "status",
            "attempt",
            "started_at",
            "finished_at",
            "targets",
            "outputs",
            "error",
        ];
        has_keys(task, &keys);
    }
    has_keys(&show["targets"]["a"], &["outcome", "group", "wave", "cause"]);
    assert_eq!(show["targets"]["a"]["group"], "machines");

    let id = show["run"].as_str().expect("an id");
    let again = place.run(&["show", &id[..2], "--json"]).exits(0).json();
    assert_eq!(&again, show);

    let list = place.run(&["list", "--json"]).exits(0).lines();
    assert_eq!(list.len(), 1);
    has_keys(&list[0], &["run", "runbook", "status", "exit", "started_at", "finished_at"]);
    assert_eq!(list[0]["run"], id);

    let journal = place.run(&["events", "--json"]).exits(0).lines();
    for (at, entry) in journal.iter().enumerate() {
        has_keys(entry, &["seq", "at", "epoch", "event", "prev", "hash"]);
        assert_eq!(entry["seq"], at as u64 + 1);
    }
    assert_eq!(journal[0]["event"]["type"], "run_started");

    let logs = place.run(&["logs", "--target", "b", "--json"]).exits(0).lines();
    assert_eq!(logs.len(), 1);
    assert_eq!(logs[0]["outputs"]["stdout"], "hello world");

    place.run(&["cancel", "--leave"]).exits(0);
    let ended = place.run(&["resume", "--json"]).exits(13).lines();
    let show = ended.last().expect("a last line");
    assert_eq!(show["status"], "cancelled");
    assert_eq!(show["exit"], 13);
    place.run(&["resume"]).exits(13);
}
