//! The figures of `runbook`.
//!
//! Without `BENCH_STAGES` it prints the table of `docs/performance.md`, running itself once for each line. With it, it
//! runs one plan through the ordinary coordinator and the sled store:
//!
//! * `BENCH_STAGES`: JSON list of how many steps stand side by side in each stage; a step needs every step of the
//!   stage before. `BENCH_GATES=1`: a gate that opens at once stands before each stage.
//! * `BENCH_STATE`: the state folder. `BENCH_EFFECTS`: the file to which each step appends its number, as a line.
//! * `BENCH_KILL`: the number of the step that kills its own process group with SIGKILL after its effect.
//! * `BENCH_RESUME=1`: resume the run that is there, and kill nothing.
//! * `BENCH_NOTES`: how many checkpoints each step leaves in the journal, as actions do that talk to somebody.
//! * `BENCH_SHARES=1`: find out where the time went, too, with the same batches on the same disk.
//!
//! It prints `START` when it is ready and `END` when the run has ended; steps are numbered from 1. With
//! `BENCH_FIGURES` (a file) it leaves what it measured there, as JSON.
//!
//! `runbook-bench soak`, `sizes` and `flame` are `make soak`, `make sizes` and `make flame`: see the folders of these names.

mod append;
mod chart;
mod flame;
mod one;
mod running;
mod shares;
mod sizes;
mod soak;
mod staged;
mod table;
mod watched;

use std::{path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1);
    let outcome = match (wanted.as_deref(), std::env::var("BENCH_STAGES")) {
        (Some("soak"), _) => soak::run(),
        (Some("sizes"), _) => sizes::run(),
        (Some("flame"), _) => flame::run(),
        (Some(other), _) => Err(format!("there is no `{other}`: soak, sizes, flame, or nothing")),
        (None, Ok(stages)) => one::Case::from_environment(&stages).and_then(|case| case.run()),
        (None, Err(_)) => table::print(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The `runbook` that was built with this program.
fn beside() -> Result<PathBuf, String> {
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let runbook = this.with_file_name("runbook");
    if runbook.is_file() { Ok(runbook) } else { Err(format!("there is no {}", runbook.display())) }
}
