//! The status word of a run, as everybody sees it.

use runbook_engine::run::Run;

/// The word of DESIGN: the core knows the journal only, and a run that should be working while no process holds it
/// is interrupted. One that only waits goes on waiting.
pub fn word(run: &Run, live: bool) -> &'static str {
    match run.status().as_str() {
        "running" if !live => "interrupted",
        word => word,
    }
}
