//! This program once more, for one line of a table.

use std::{fs, os::unix::process::CommandExt, path::Path, process::Command, process::Stdio};

use serde_json::Value;

/// What is measured of a run.
#[derive(Debug)]
pub struct Figures {
    /// Steps that were done.
    pub steps: f64,
    /// What it took, planning and start of the process apart.
    pub seconds: f64,
    /// Durable batches.
    pub batches: f64,
    /// The most memory that was resident.
    pub peak_mib: f64,
    /// The state folder's size behind it.
    pub bytes: f64,
    /// Planning.
    pub planning_ms: f64,
    /// Seconds until the run stood: store, plan, state.
    pub stands: f64,
    /// Entries of the journal, at its end.
    pub entries: f64,
    /// Where the time went, if that was asked for.
    pub shares: Value,
}

/// How this program is run.
#[derive(Clone, Copy)]
pub struct Running<'c> {
    /// Where it leaves everything.
    pub place: &'c Path,
    /// How many steps stand side by side in each stage.
    pub stages: &'c [usize],
    /// A gate stands before each stage.
    pub gates: bool,
    /// The step that ends it.
    pub kill: Option<u64>,
    /// It goes on with the run that is there.
    pub resume: bool,
    /// Checkpoints of each step.
    pub notes: u64,
    /// Where the time goes is found out, too.
    pub shares: bool,
}

impl<'c> Running<'c> {
    /// In this folder, in the ordinary way.
    pub fn of(place: &'c Path, stages: &'c [usize], gates: bool) -> Self {
        Self { place, stages, gates, kill: None, resume: false, notes: 0, shares: false }
    }

    /// To its end.
    pub fn run(self) -> Result<Figures, String> {
        if !self.ends()? {
            return Err(format!("the run of {} stages failed", self.stages.len()));
        }
        read(&self.place.join("figures"))
    }

    /// Until it is killed.
    pub fn killed(self) -> Result<(), String> {
        match self.ends()? {
            true => Err("the run that was to kill itself came to its end".into()),
            false => Ok(()),
        }
    }

    /// Whether it ended well; in a process group of its own.
    fn ends(self) -> Result<bool, String> {
        fs::create_dir_all(self.place).map_err(|error| error.to_string())?;
        let this = std::env::current_exe().map_err(|error| error.to_string())?;
        let stages = serde_json::to_string(self.stages).map_err(|error| error.to_string())?;
        let word = |yes| if yes { "1" } else { "0" };
        let status = Command::new(this)
            .env("BENCH_STAGES", stages)
            .env("BENCH_GATES", word(self.gates))
            .env("BENCH_STATE", self.place.join("state"))
            .env("BENCH_EFFECTS", self.place.join("effects"))
            .env("BENCH_FIGURES", self.place.join("figures"))
            .env("BENCH_KILL", self.kill.map(|number| number.to_string()).unwrap_or_default())
            .env("BENCH_NOTES", self.notes.to_string())
            .env("BENCH_RESUME", word(self.resume))
            .env("BENCH_SHARES", word(self.shares))
            .stdout(Stdio::null())
            .process_group(0)
            .status();
        status.map(|status| status.success()).map_err(|error| error.to_string())
    }
}

fn read(file: &Path) -> Result<Figures, String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let number = |key: &str| value[key].as_f64().ok_or_else(|| format!("no figure `{key}`"));
    Ok(Figures {
        steps: number("steps")?,
        seconds: number("seconds")?,
        batches: number("batches")?,
        peak_mib: number("peak_kib")? / 1024.0,
        bytes: number("state_bytes")?,
        planning_ms: number("planning_seconds")? * 1000.0,
        stands: number("stands_seconds")?,
        entries: number("entries")?,
        shares: value["shares"].clone(),
    })
}
