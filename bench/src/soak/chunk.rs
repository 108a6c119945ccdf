//! Some worlds of one fleet, in a process of their own.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::case::{Case, Mode};

/// How long a process may take: hundreds of times what it needs. A world whose time stands still would never end.
const MOST: Duration = Duration::from_secs(900);

/// How often it is asked whether it ended.
const LOOK: Duration = Duration::from_millis(10);

/// Some worlds.
#[derive(Debug)]
pub struct Chunk {
    /// How they go.
    pub mode: &'static Mode,
    /// The seed of the first.
    pub first: u64,
}

impl Chunk {
    /// Rehearses them: the summary, or what is wrong with the process.
    pub fn run(&self, program: &Path, case: &Case, output: &Path) -> Result<Value, String> {
        let (seeds, first) = (self.mode.seeds.to_string(), self.first.to_string());
        let open = |kind: &str| File::create(output.with_extension(kind)).map_err(|error| error.to_string());
        let mut child = Command::new(program)
            .args(case.arguments())
            .args(["--faults", self.mode.faults, "--crash", self.mode.crash])
            .args(["--seed", &first, "--seeds", &seeds, "--jobs", "1", "--json", "--state"])
            .arg(output.with_extension("state"))
            .stdin(Stdio::null())
            .stdout(open("out")?)
            .stderr(open("err")?)
            .spawn()
            .map_err(|error| error.to_string())?;
        let began = Instant::now();
        let status = loop {
            match child.try_wait().map_err(|error| error.to_string())? {
                Some(status) => break status,
                None if began.elapsed() > MOST => {
                    child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
                    return Err(format!("it did not end within {} s", MOST.as_secs()));
                }
                None => thread::sleep(LOOK),
            }
        };
        let told = fs::read(output.with_extension("out")).map_err(|error| error.to_string())?;
        serde_json::from_slice(&told).map_err(|_| Self::last_words(status, &output.with_extension("err")))
    }

    /// The command that shows these worlds again.
    pub fn command(&self, case: &Case) -> String {
        let arguments = case.arguments().join(" ");
        let Mode { faults, crash, seeds, .. } = self.mode;
        let first = self.first;
        format!("runbook {arguments} --faults {faults} --crash {crash} --seed {first} --seeds {seeds}")
    }

    fn last_words(status: ExitStatus, file: &Path) -> String {
        let said = fs::read_to_string(file).unwrap_or_default();
        let last: Vec<&str> = said.lines().rev().take(4).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        format!("it ended with {status}: {}", last.join(" / "))
    }
}
