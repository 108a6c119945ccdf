//! `runbook man`.

use std::{fs, io, path::PathBuf};

use clap::Args;
use clap_mangen::Man as Page;

use super::{Done, Session, command_line, exit::Exit, problem::Problem};

/// Print the man page, or write one page per command into a folder
#[derive(Debug, Args)]
#[command(hide = true)]
pub struct Man {
    /// Write `runbook.1`, `runbook-plan.1` and so on into this folder
    folder: Option<PathBuf>,
}

impl Man {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let Some(folder) = &self.folder else {
            let mut page = Vec::new();
            Page::new(command_line()).render(&mut page).map_err(|error| failed(&error))?;
            session.screen.bytes(&page);
            return Ok(Exit::Succeeded);
        };
        fs::create_dir_all(folder).map_err(|error| failed(&error).at(folder.display().to_string()))?;
        clap_mangen::generate_to(command_line().disable_help_subcommand(true), folder)
            .map_err(|error| failed(&error).at(folder.display().to_string()))?;
        Ok(Exit::Succeeded)
    }
}

fn failed(error: &io::Error) -> Problem {
    Problem::from_error(Exit::Bug, error)
}
