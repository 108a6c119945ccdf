//! Durable batches per second, beside the drive's own rate of small synced appends, measured in turns so that both see
//! the same drive: `cargo bench -p runbook-state --bench append -- [FOLDER]`.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use runbook_engine::{
    ids::{RunId, TaskName},
    plan::Plan,
    run::event::{Event, Report},
};
use runbook_state::{
    SledStore,
    store::{RunRow, RunStore as _},
};

const ROUNDS: u64 = 10;
const EACH: u64 = 400;

fn main() {
    // Cargo hands over `--bench`.
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let folder = folder.map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = tempfile::tempdir_in(folder).expect("a folder");
    let mut store = SledStore::open(folder.path()).expect("a store");
    let run = RunId::new("7k2m");
    store.create(&row(&run), &plan(), now(), &[started(&run)]).expect("a run");
    let mut raw = File::create(folder.path().join("raw")).expect("a file");

    let (mut of_drive, mut of_store) = (Duration::ZERO, Duration::ZERO);
    let before = size(folder.path());
    for round in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..EACH {
            raw.write_all(&[b'x'; 256]).expect("a write");
            raw.sync_data().expect("a sync");
        }
        of_drive += begun.elapsed();
        let begun = Instant::now();
        for number in 0..EACH {
            store.append(&run, now(), &step(round * EACH + number), None).expect("an append");
        }
        of_store += begun.elapsed();
    }
    let batches = ROUNDS * EACH;
    let rate = |spent: Duration| batches as f64 / spent.as_secs_f64();
    let bytes = (size(folder.path()) - before).saturating_sub(batches * 256);
    println!("drive: append + fdatasync   {:>9.0}/s", rate(of_drive));
    println!("store: batches of 2 events  {:>9.0}/s", rate(of_store));
    println!("store: bytes a batch        {:>9.0}", bytes as f64 / batches as f64);
    drop(store);

    println!("process: memory at its peak {:>9.1} MB", peak());
    let begun = Instant::now();
    let store = SledStore::open(folder.path()).expect("a store");
    println!("store: opened again         {:>9.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    let begun = Instant::now();
    let mut entries = 0;
    store.each(&run, 1, &mut |_| entries += 1).expect("entries");
    println!("store: {entries} entries read   {:>9.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    println!("process: memory at its peak {:>9.1} MB", peak());
}

fn now() -> Timestamp {
    Timestamp::now()
}

/// What a step of a chain writes: the end of one, the start of the next.
fn step(number: u64) -> [Event; 2] {
    let task = |number| TaskName::new(format!("step-{number}"));
    [
        Event::TaskReported { task: task(number), attempt: 1, report: Report::succeeded() },
        Event::TaskStarted { task: task(number + 1), attempt: 1, targets: Vec::new(), refused: [].into() },
    ]
}

fn started(run: &RunId) -> Event {
    Event::RunStarted {
        run: run.clone(),
        plan: "0".repeat(64),
        by: "ann".to_owned(),
        link: None,
        not_before: None,
    }
}

fn plan() -> Plan {
    serde_json::from_value(serde_json::json!({
        "format": 1, "runbook": "bench", "sources": {}, "entry": "", "params": {}, "groups": {}, "targets": {},
        "scopes": [], "tasks": [],
    }))
    .expect("a plan")
}

fn row(run: &RunId) -> RunRow {
    RunRow {
        run: run.clone(),
        runbook: "bench".to_owned(),
        status: "running".to_owned(),
        exit: None,
        started_at: now(),
        finished_at: None,
        plan: "0".repeat(64),
        holds: Vec::new(),
        linked_to: None,
        world: None,
    }
}

/// Megabytes, where the system says so.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

fn size(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).expect("a folder").flatten();
    files
        .map(|file| {
            let metadata = file.metadata().expect("metadata");
            if metadata.is_dir() { size(&file.path()) } else { metadata.len() }
        })
        .sum()
}
