//! What a run waits for, in words.

use jiff::Timestamp;
use runbook_engine::{
    plan::{Gate, Work},
    run::{Run, WaitKind, WaitingOn},
};

use super::words::moment;

/// For what, and until when: a window until it opens, everything else until it gives up.
pub fn words(run: &Run, wait: &WaitingOn, now: Timestamp) -> (String, String) {
    if wait.kind == WaitKind::Window
        && let Some(view) = run.task(&wait.task)
        && let Work::Gate(Gate::Window(window)) = &view.task.work
        && let Some(opening) = window.now_or_next(now)
    {
        return (wait.on.clone(), format!("opens {}", moment(opening.opens)));
    }
    (wait.on.clone(), format!("until {}", moment(wait.until)))
}
