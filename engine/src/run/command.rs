//! What a run wants done now. Derived from its whole state, never queued: losing one costs nothing.

use jiff::Timestamp;

use super::event::Event;
use crate::ids::{ScopeName, TaskName};

/// One intention.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Journal this decision; it takes effect when applied.
    Record(Event),
    /// This attempt should be executing: start it, unless it runs already in this process. Its machines are
    /// [`super::Run::open_targets`].
    Execute {
        /// The task.
        task: TaskName,
        /// Its attempt.
        attempt: u32,
        /// An earlier process began it: look up before acting.
        resumed: bool,
        /// When the attempt is over.
        deadline: Timestamp,
    },
    /// This attempt is over its deadline or cancelled: tell the action, which settles and reports.
    Stop {
        /// The task.
        task: TaskName,
        /// Its attempt.
        attempt: u32,
        /// Whether the deadline passed (else the run was cancelled).
        timed_out: bool,
    },
    /// Look at the machines of a wave ([`super::Run::wave_targets`]) before it starts.
    Inspect {
        /// The wave.
        scope: ScopeName,
    },
    /// Send a notification.
    Notify {
        /// Its number, counted over the run.
        number: u64,
        /// The rule in the plan.
        rule: usize,
        /// The event word.
        event: &'static str,
        /// What it is about: a task, a wave or the run's end.
        subject: String,
    },
    /// Ask again at this time at the latest.
    WakeAt(Timestamp),
}
