//! Somebody who watches runs.

use jiff::Timestamp;
use runbook_engine::{
    ids::{TargetId, TaskName},
    run::{Run, event::Event},
};
use runbook_state::store::Entry;
use serde::{Deserialize, Serialize};

/// Somebody who watches runs: progress lines, a live display.
pub trait Observer {
    /// These events of one batch (or one of them) are durable, and `run` stands behind the last of them. It must not
    /// fail: an output that is gone is no reason to stop a run.
    fn entries(&mut self, run: &Run, at: Timestamp, events: &[Event]);

    /// The entry of an event that was just shown, with its place in the journal. Only those who follow a run from
    /// another process are told.
    fn entry(&mut self, _entry: &Entry) {}

    /// A machine printed this just now. It is not journaled, and some of it may be lost.
    fn heard(&mut self, _heard: &Heard) {}

    /// Something that a person should know and that is no event: a socket that could not be made, an interruption
    /// that is being waited for.
    fn notice(&mut self, text: &str);
}

/// A line that a machine printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The task that works on it.
    pub task: TaskName,
    /// The machine.
    pub target: TargetId,
    /// What it printed, without secrets.
    pub line: String,
}

/// Nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn entries(&mut self, _run: &Run, _at: Timestamp, _events: &[Event]) {}
    fn notice(&mut self, _text: &str) {}
}
