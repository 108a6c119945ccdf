//! The one place that reads the environment.

use std::{collections::BTreeMap, env, ffi::OsString, path::PathBuf};

use runbook_engine::duration::Span;
use runbook_steps::context::Settings;

use super::{exit::Exit, problem::Problem};

/// What the process was started with.
#[derive(Debug)]
pub struct Surroundings {
    /// The command line, program first.
    pub arguments: Vec<OsString>,
    /// The environment variables that are text.
    pub variables: BTreeMap<String, String>,
}

impl Surroundings {
    /// Reads them.
    pub fn read() -> Self {
        let variables = env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { arguments: env::args_os().collect(), variables }
    }

    /// A variable that is set and not empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether the environment asks for no colours.
    pub fn no_color(&self) -> bool {
        self.variable("NO_COLOR").is_some() || self.is_dumb()
    }

    /// Whether the terminal can only print lines.
    pub fn is_dumb(&self) -> bool {
        self.variable("TERM") == Some("dumb")
    }

    /// The state folder: as given, else `$RUNBOOK_STATE`, else `$XDG_STATE_HOME/runbook`, else
    /// `~/.local/state/runbook`.
    ///
    /// # Errors
    /// There is no home folder.
    pub fn state(&self, given: Option<PathBuf>) -> Result<PathBuf, Problem> {
        let folder = given
            .or_else(|| self.variable("RUNBOOK_STATE").map(PathBuf::from))
            .or_else(|| self.variable("XDG_STATE_HOME").map(|home| PathBuf::from(home).join("runbook")))
            .or_else(|| self.variable("HOME").map(|home| PathBuf::from(home).join(".local/state/runbook")))
            .ok_or_else(|| {
                Problem::new(Exit::Usage, "there is no home folder to keep runs in")
                    .next("runbook --state DIR …")
            })?;
        // Relative to where the command was typed: a process that changes its folder must not lose its store.
        std::path::absolute(&folder)
            .map_err(|error| Problem::from_error(Exit::Usage, &error).at(folder.display().to_string()))
    }

    /// Limits and times of this installation: `$RUNBOOK_SETTLE` (`60s`) is the time between two searches before "not
    /// found" means "not applied".
    ///
    /// # Errors
    /// It is no duration.
    pub fn settings(&self) -> Result<Settings, Problem> {
        let mut settings = Settings::default();
        if let Some(text) = self.variable("RUNBOOK_SETTLE") {
            let span = Span::parse(text).ok_or_else(|| {
                Problem::new(Exit::Usage, format!("`{text}` is not a duration like 60s")).at("RUNBOOK_SETTLE")
            })?;
            settings.settle = span.get();
        }
        Ok(settings)
    }
}
