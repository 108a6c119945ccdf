//! The status word of a run, as everybody sees it.

use runbook_engine::run::{Run, TaskStatus};

/// The `status` of docs/json.md: the core knows the journal only, and a run that should be working while no
/// process holds it is interrupted. One that only waits goes on waiting.
pub fn word(run: &Run, live: bool) -> &'static str {
    match run.status().as_str() {
        "running" if !live => "interrupted",
        word => word,
    }
}

/// The word of a task: one that should be working while no process holds its run is interrupted, too.
pub fn task_word(status: TaskStatus, live: bool) -> &'static str {
    match status {
        TaskStatus::Running if !live => TaskStatus::Interrupted.as_str(),
        status => status.as_str(),
    }
}
