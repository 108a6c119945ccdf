//! The measured functions. Their names are the lines of `counts.txt`; none is inlined, and each is called once.

use std::{collections::BTreeMap, sync::Arc};

use runbook_engine::{
    document::{self, Reading},
    experience::Experience,
    loader::NoFiles,
    plan::{self, Making, Plan},
    run::{Run, event::Event},
};
use runbook_state::{
    MemoryStore,
    store::{RunRow, RunStore},
};

use super::{
    fifty_machines_end, fifty_tasks_end,
    fleet::{self, Words},
};

/// Reads a runbook of 1,000 steps.
#[inline(never)]
pub fn reading(text: &str) -> Reading {
    document::read("chain.yaml", text.as_bytes(), &NoFiles)
}

/// Plans it.
#[inline(never)]
pub fn planning(reading: &Reading) -> Result<Plan, String> {
    let runbook = reading.runbook.as_ref().ok_or_else(|| format!("{:?}", reading.diagnostics))?;
    plan::make(Making {
        runbook,
        sources: &reading.sources,
        catalog: &Words::default(),
        params: BTreeMap::new(),
        env: BTreeMap::new(),
        resolved: BTreeMap::new(),
        limit: Vec::new(),
        tested: None,
        experience: Experience::default(),
    })
    .map_err(|refusal| format!("{refusal:?}"))
}

/// 50 ends of tasks, each with the decisions that follow, while 64 work and the others of 1,000 wait.
#[inline(never)]
pub fn deciding_among_1_000_tasks(run: &mut Run) -> Result<(), String> {
    fifty_tasks_end(run)
}

/// The same among 10,000.
#[inline(never)]
pub fn deciding_among_10_000_tasks(run: &mut Run) -> Result<(), String> {
    fifty_tasks_end(run)
}

/// 50 reports of one machine each, in a wave of 500.
#[inline(never)]
pub fn deciding_among_500_machines(run: &mut Run) -> Result<(), String> {
    fifty_machines_end(run)
}

/// The same in a wave of 5,000.
#[inline(never)]
pub fn deciding_among_5_000_machines(run: &mut Run) -> Result<(), String> {
    fifty_machines_end(run)
}

/// Journals 1,002 entries in 334 batches, in memory: encoding and hashing.
#[inline(never)]
pub fn appending(store: &mut MemoryStore, row: &RunRow, batches: &[Vec<Event>]) -> Result<(), String> {
    for events in batches {
        store.append(&row.run, fleet::now(), events, None).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Reads them, verifies their chain and applies them.
#[inline(never)]
pub fn replaying(store: &MemoryStore, row: &RunRow, plan: Arc<Plan>) -> Result<Run, String> {
    let mut run = Run::new(plan).map_err(|damaged| damaged.to_string())?;
    let mut illegal = None;
    store
        .each(&row.run, 1, &mut |entry| {
            if let Err(error) = run.apply(entry.at, &entry.event) {
                illegal = Some(error.to_string());
            }
        })
        .map_err(|error| error.to_string())?;
    illegal.map_or(Ok(run), Err)
}

/// Saves the state of 1,000 tasks.
#[inline(never)]
pub fn saving(run: &Run) -> Result<Vec<u8>, String> {
    run.saved().map_err(|error| error.to_string())
}

/// Restores it.
#[inline(never)]
pub fn restoring(plan: Arc<Plan>, state: &[u8]) -> Result<Run, String> {
    Run::restored(plan, state).map_err(|error| error.to_string())
}
