//! What a run waits for, in words.

use jiff::Timestamp;
use runbook_engine::run::{Run, WaitKind, WaitingOn};

use super::words::moment;

/// For what, and until when: a window until it opens, everything else until it gives up.
pub fn words(run: &Run, wait: &WaitingOn, now: Timestamp) -> (String, String) {
    if wait.kind == WaitKind::Window
        && let Some(view) = run.task(&wait.task)
        && let Some(opening) = run.plan().window_of(view.task).and_then(|window| window.now_or_next(now))
    {
        return (wait.on.clone(), format!("opens {}", moment(opening.opens)));
    }
    (wait.on.clone(), format!("until {}", moment(wait.until)))
}
