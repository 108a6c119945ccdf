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
//!
//! It prints `START` when it is ready and `END` when the run has ended; steps are numbered from 1. With
//! `BENCH_FIGURES` (a file) it leaves what it measured there, as JSON.

mod append;
mod chart;
mod one;
mod staged;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    let outcome = match std::env::var("BENCH_STAGES") {
        Ok(stages) => one::Case::from_environment(&stages).and_then(|case| case.run()),
        Err(_) => table::print(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
