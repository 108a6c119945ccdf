//! Somebody who watches runs.

use jiff::Timestamp;
use runbook_engine::run::{Run, event::Event};
use runbook_state::store::Entry;

/// Somebody who watches runs: progress lines, a live display.
pub trait Observer {
    /// These events of one batch (or one of them) are durable, and `run` stands behind the last of them. It must not
    /// fail: an output that is gone is no reason to stop a run.
    fn entries(&mut self, run: &Run, at: Timestamp, events: &[Event]);

    /// The entry of an event that was just shown, with its place in the journal. Only those who follow a run from
    /// another process are told.
    fn entry(&mut self, _entry: &Entry) {}

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
