//! Somebody who watches runs.

use jiff::Timestamp;
use runbook_engine::run::{Run, event::Event};

/// Somebody who watches runs: progress lines, a live display.
pub trait Observer {
    /// These events are durable, and `run` stands behind the last of them. They were written at the same time, in one
    /// batch. It must not fail: an output that is gone is no reason to stop a run.
    fn entries(&mut self, run: &Run, at: Timestamp, events: &[Event]);

    /// Something that a person should know and that is no event: a socket that could not be made, an interruption
    /// that is being waited for.
    fn notice(&mut self, text: &str);
}

/// Nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn entries(&mut self, _run: &Run, _at: Timestamp, _events: &[Event]) {}
    fn notice(&mut self, _text: &str) {}
}
