//! Where the time of a run goes: its batches once more, through one part of the way at a time.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use runbook_engine::{
    plan::Plan,
    run::{Run, command::Command, event::Event},
};
use runbook_state::{MemoryStore, store::RunStore};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::watched::Written;

/// The names of the shares, in the order of the table.
pub const SHARES: [(&str, &str); 6] = [
    ("disk", "the disk: append and fdatasync of as many bytes"),
    ("sled", "sled and HEAD, beyond that"),
    ("encode", "encoding the entries"),
    ("hash", "hashing them"),
    ("core", "the core: applying events, deciding what follows"),
    ("rest", "the rest: the action itself, messages, scheduling"),
];

/// Seconds of each share of a run that took `whole`, with its own batches and on its own disk.
pub fn of(written: &Written, plan: &Arc<Plan>, whole: Duration, folder: &Path) -> Result<Value, String> {
    let row = written.row.as_ref().ok_or("the run did not begin")?;
    let now = row.started_at;
    let in_memory = timed(|| {
        let mut store = MemoryStore::new();
        for (number, events) in written.batches.iter().enumerate() {
            if number == 0 {
                store.create(row, plan, now, events).map_err(|error| error.to_string())?;
            } else {
                store.append(&row.run, now, events, None).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    })?;
    let texts = written.batches.iter().map(|events| events.iter().map(text).collect::<Vec<_>>());
    let texts: Vec<_> = texts.collect();
    let hash = timed(|| {
        let mut prev = [0_u8; 32];
        for text in texts.iter().flatten() {
            prev = Sha256::new().chain_update(text).chain_update(prev).finalize().into();
        }
        std::hint::black_box(prev);
        Ok(())
    })?;
    let core = timed(|| decide_again(plan, now, &written.batches))?;
    let sizes: Vec<_> = texts.iter().map(|batch| batch.iter().map(Vec::len).sum()).collect();
    let disk = on_disk(folder, &sizes).map_err(|error| format!("the disk's own part: {error}"))?;
    let less = |from: Duration, by: Duration| from.saturating_sub(by).as_secs_f64();
    Ok(json!({
        "disk": disk.as_secs_f64(),
        "sled": less(written.spent, disk + in_memory),
        "encode": less(in_memory, hash),
        "hash": hash.as_secs_f64(),
        "core": core.as_secs_f64(),
        "rest": less(whole, written.spent + core),
    }))
}

fn timed(work: impl FnOnce() -> Result<(), String>) -> Result<Duration, String> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}

fn text(event: &Event) -> Vec<u8> {
    // An event that was journaled has a JSON form.
    serde_json::to_vec(event).unwrap_or_default()
}

/// What the coordinator has the core do: it applies the facts of a batch, and then what the core decides, until that is
/// nothing more.
fn decide_again(plan: &Arc<Plan>, now: Timestamp, batches: &[Vec<Event>]) -> Result<(), String> {
    let mut run = Run::new(Arc::clone(plan)).map_err(|damaged| damaged.to_string())?;
    for events in batches {
        for fact in events.iter().filter(|event| is_fact(event)) {
            run.apply(now, fact).map_err(|illegal| illegal.to_string())?;
        }
        decide(&mut run, now)?;
    }
    Ok(())
}

/// The decisions of a batch; the first of a reading must fit.
pub fn decide(run: &mut Run, now: Timestamp) -> Result<(), String> {
    loop {
        let mut decided = None;
        for command in run.commands(now) {
            if let Command::Record(event) = command {
                let applied = run.apply(now, &event).map_err(|illegal| illegal.to_string());
                decided = Some(decided.unwrap_or(applied));
            }
        }
        match decided {
            Some(first) => first?,
            None => return Ok(()),
        }
    }
}

/// Whether an event is told to the core, and not decided by it.
fn is_fact(event: &Event) -> bool {
    matches!(
        event,
        Event::RunStarted { .. }
            | Event::RunResumed { .. }
            | Event::TaskReported { .. }
            | Event::TaskLookedUp { .. }
    )
}

/// Appends of these sizes to a file, each synced.
pub fn on_disk(folder: &Path, sizes: &[usize]) -> io::Result<Duration> {
    let mut file = File::create(folder.join("raw"))?;
    let bytes = vec![b'x'; sizes.iter().copied().max().unwrap_or(0)];
    let begun = Instant::now();
    for size in sizes {
        file.write_all(&bytes[..*size])?;
        file.sync_data()?;
    }
    Ok(begun.elapsed())
}
