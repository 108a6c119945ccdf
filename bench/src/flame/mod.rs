//! `make flame`: where the time of a rehearsal on 10,000 machines goes, as a flame graph in `docs/`.
//!
//! It needs `perf`, and the `runbook` that stands beside it with its symbols.

mod drawing;
mod frame;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use self::frame::Frame;
use crate::beside;

const DRAWING: &str = "docs/rehearsal-flame.svg";

/// Samples a rehearsal, and draws what they say.
///
/// # Errors
/// There is no `perf`, or no symbols, or the rehearsal failed.
pub fn run() -> Result<(), String> {
    let runbook = beside()?;
    let folder = tempfile::Builder::new().prefix("flame-").tempdir().map_err(|error| error.to_string())?;
    let samples = folder.path().join("samples");
    let machines = std::env::var("FLAME_MACHINES").unwrap_or_else(|_| "3333".to_owned());
    let recorded = Command::new("perf")
        .args(["record", "--event", "cpu-clock", "--freq", "199", "--call-graph", "dwarf,16384", "--output"])
        .arg(&samples)
        .arg(&runbook)
        .args([
            "rehearse",
            "runbooks/patch-linux.yaml",
            "--machines",
            &machines,
            "--seed",
            "1",
            "--crash",
            "none",
        ])
        .args(["--jobs", "1", "--json", "--state"])
        .arg(folder.path().join("state"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("perf: {error}"))?;
    if !recorded.success() {
        return Err(format!("perf record ended with {recorded}"));
    }
    let root = frames(&samples)?;
    fs::write(DRAWING, drawing::of(&root)).map_err(|error| format!("{DRAWING}: {error}"))?;
    for (name, share) in root.largest() {
        println!("{share:5.1} %  {name}");
    }
    Ok(())
}

fn frames(samples: &Path) -> Result<Frame, String> {
    let told = Command::new("perf")
        .args(["script", "--fields", "ip,sym", "--no-inline", "--input"])
        .arg(samples)
        .output()
        .map_err(|error| format!("perf: {error}"))?;
    let text = String::from_utf8_lossy(&told.stdout);
    let mut root = Frame::default();
    for stack in text.split("\n\n") {
        let symbols =
            stack.lines().filter_map(|line| line.trim().split_once(' ').map(|(_, symbol)| symbol.trim()));
        let symbols: Vec<&str> = symbols.collect();
        root.take_in(&symbols);
    }
    if root.samples == 0 { Err("perf has no samples with symbols".to_owned()) } else { Ok(root) }
}
