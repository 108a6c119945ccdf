//! This test binary again, as a process of its own that can be killed, limited, or run as somebody else.

use std::{
    env,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use runbook_engine::ids::RunId;
use runbook_state::{SledStore, store::RunStore as _};

use crate::sample;

const FOLDER: &str = "STATE_TEST_CHILD_FOLDER";
const WORK: &str = "STATE_TEST_CHILD_WORK";

/// The run that children work on.
pub const RUN: &str = "7k2m";

/// What a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Opens the store, and begins or goes on with the run until something stops it. Prints `seq N` for each
    /// acknowledged entry and `error CODE TEXT` at the end.
    Append,
    /// Opens the store and prints `has N`, or `error CODE TEXT`.
    Read,
}

/// A command that does this work in this folder.
pub fn command(program: &Path, folder: &Path, work: Work) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--exact", "child::child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(WORK, format!("{work:?}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The numbers after this word in what a child printed.
pub fn numbers(word: &str, printed: &str) -> Vec<u64> {
    let number = |line: &str| line.strip_prefix(word)?.trim().parse().ok();
    printed.lines().filter_map(number).collect()
}

/// The `error` line of what a child printed.
pub fn error(printed: &str) -> Option<&str> {
    printed.lines().find_map(|line| line.strip_prefix("error "))
}

/// Not a test of its own: without its environment it does nothing.
#[test]
fn child() {
    let (Some(folder), Ok(work)) = (env::var_os(FOLDER), env::var(WORK)) else { return };
    let folder = Path::new(&folder);
    let mut out = std::io::stdout();
    // The harness has begun a line.
    let _ = writeln!(out);
    let run = RunId::new(RUN);
    let result = SledStore::open(folder).and_then(|mut store| {
        let mut last = match store.entries(&run, 1) {
            Ok(entries) => entries.len() as u64,
            Err(_) if store.runs()?.is_empty() => 0,
            Err(error) => return Err(error),
        };
        if work == "Read" {
            let _ = writeln!(out, "has {last}");
            return Ok(());
        }
        if last == 0 {
            store.create(
                &sample::row(RUN),
                &sample::plan("child"),
                sample::at(0),
                &[sample::started(RUN)],
            )?;
            last = 1;
        }
        loop {
            let _ = writeln!(out, "seq {last}");
            let row = (last % 10 == 0).then(|| sample::row(RUN));
            last = store.append(&run, sample::at(1), &sample::step(last), row.as_ref())?;
        }
    });
    if let Err(error) = result {
        let _ = writeln!(out, "error {} {error}", error.exit_code());
    }
}
