//! What a run wants done now. Derived from its whole state, never queued: losing one costs nothing.

use jiff::Timestamp;

use super::event::Event;
use crate::ids::{ScopeName, TargetId, TaskName};

/// One intention.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Journal this decision; it takes effect when applied.
    Record(Event),
    /// This attempt should be executing: start it, unless it runs already in this process.
    Execute {
        /// The task.
        task: TaskName,
        /// Its attempt.
        attempt: u32,
        /// The machines that entered and are not reported yet.
        targets: Vec<TargetId>,
        /// An earlier process began it: look up before acting.
        resumed: bool,
        /// When the attempt is over; absent while a resumed attempt is not looked up.
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
    /// Look at the machines of a wave before it starts.
    Inspect {
        /// The wave.
        scope: ScopeName,
        /// Its machines.
        targets: Vec<TargetId>,
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
