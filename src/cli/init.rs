//! `runbook init`.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use super::{Done, Session, exit::Exit, problem::Problem, source};

const RUNBOOK: &str = include_str!("init/rollout.yaml");
const FLEET: &str = include_str!("init/fleet.yaml");

/// Write a first runbook, and a simulated fleet to try it on
///
/// Nothing that exists is overwritten.
#[derive(Debug, Args)]
pub struct Init {
    /// The folder [default: this one]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl Init {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let folder = self.folder.unwrap_or_else(|| PathBuf::from("."));
        let files = [("rollout.yaml", RUNBOOK), ("fleet.yaml", FLEET)]
            .map(|(name, text)| (beside(&folder, name), text));
        for (path, _) in &files {
            if path.exists() {
                return Err(Problem::new(Exit::Usage, "it exists already, and is not overwritten")
                    .at(path.display().to_string())
                    .next("runbook init DIR"));
            }
        }
        fs::create_dir_all(&folder).map_err(|error| failed(&error, &folder))?;
        for (path, text) in &files {
            fs::write(path, text).map_err(|error| failed(&error, path))?;
        }
        let [rollout, fleet] = files.map(|(path, _)| path.display().to_string());
        if session.screen.json {
            session.screen.json_page(&json!({ "runbook": rollout, "fleet": fleet }));
            return Ok(Exit::Succeeded);
        }
        session.screen.data(&format!(
            "wrote {rollout} and {fleet}\n\n\
             look at what it would do:   runbook plan {rollout} --fleet {fleet}\n\
             run it on a simulation:     runbook run {rollout} --fleet {fleet}\n"
        ));
        Ok(Exit::Succeeded)
    }
}

/// `rollout.yaml` rather than `./rollout.yaml`.
fn beside(folder: &Path, name: &str) -> PathBuf {
    if folder == Path::new(".") { PathBuf::from(name) } else { folder.join(name) }
}

fn failed(error: &io::Error, path: &Path) -> Problem {
    Problem::new(Exit::Usage, format!("it cannot be written: {}", source::reason(error)))
        .at(path.display().to_string())
}
