//! Entries of a journal, applied to a run.

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use runbook_engine::{
    plan::Plan,
    run::{Run, event::Event},
};
use serde::Deserialize;

/// Two waves of three machines with a gate, a wait, a backup, a change, checks and a branch that restores.
static PLAN: LazyLock<Arc<Plan>> =
    LazyLock::new(|| Arc::new(Plan::from_json(include_str!("../replay.json")).expect("a plan")));

/// More entries than a whole run of that plan has.
const MOST: usize = 120;

/// An entry without what the chain of hashes needs.
#[derive(Deserialize)]
struct Entry {
    at: Timestamp,
    event: Event,
}

/// Whatever events come in whatever order, each is applied or refused, and the run can be asked what it wants next.
pub(super) fn replay(bytes: &[u8]) {
    let Ok(mut run) = Run::new(Arc::clone(&PLAN)) else { return };
    for line in bytes.split(|byte| *byte == b'\n').take(MOST) {
        let Ok(Entry { at, event }) = serde_json::from_slice(line) else { continue };
        if run.apply(at, &event).is_ok() {
            run.commands(at);
        }
    }
}
