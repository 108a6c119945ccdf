//! A plan, rows and events to write.

use std::path::Path;

use jiff::Timestamp;
use runbook_engine::{
    ids::{RunId, TargetId, TaskName},
    plan::Plan,
    run::event::{Event, Report, RunEnd},
};
use runbook_state::store::RunRow;
use serde_json::json;
use tempfile::TempDir;

/// A folder in memory where there is one: these tests are about processes and files, not about the drive, and open
/// and sync a thousand times.
pub fn folder() -> TempDir {
    tempfile::tempdir_in(Path::new("/dev/shm")).or_else(|_| tempfile::tempdir()).expect("a folder")
}

pub fn plan(name: &str) -> Plan {
    serde_json::from_value(json!({
        "format": 1,
        "runbook": name,
        "sources": { "main.yaml": format!("runbook: {name}\n") },
        "entry": "main.yaml",
        "params": { "ratio": 0.1, "z": 1, "a": [null, true, "ü"] },
        "groups": {},
        "targets": {},
        "scopes": [],
        "tasks": [],
    }))
    .expect("a plan")
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::new(1_795_000_000 + second, 123_456_789).expect("a time")
}

pub fn row(run: &str) -> RunRow {
    RunRow {
        run: RunId::new(run),
        runbook: "sample".to_owned(),
        status: "running".to_owned(),
        exit: None,
        started_at: at(0),
        finished_at: None,
        plan: "0".repeat(64),
        holds: vec![TargetId::new("i-0a"), TargetId::new("i-0b")],
        linked_to: None,
        world: Some("demo".to_owned()),
    }
}

pub fn started(run: &str) -> Event {
    Event::RunStarted {
        run: RunId::new(run),
        plan: "0".repeat(64),
        by: "ann".to_owned(),
        link: None,
        not_before: None,
    }
}

/// What a step of a chain writes: the end of one, the start of the next.
pub fn step(number: u64) -> Vec<Event> {
    let task = TaskName::new(format!("step-{number}"));
    vec![
        Event::TaskReported { task: task.clone(), attempt: 1, report: Report::succeeded() },
        Event::TaskSucceeded { task },
    ]
}

/// A start on many machines.
pub fn wide(machines: usize) -> Event {
    Event::TaskStarted {
        task: TaskName::new("production/wave-1/patch"),
        attempt: 1,
        targets: (0..machines).map(|number| TargetId::new(format!("i-{number:017x}"))).collect(),
        refused: [].into(),
    }
}

pub fn finished() -> Event {
    Event::RunFinished { status: RunEnd::Succeeded }
}
