//! `runbook completions`.

use clap::Args;
use clap_complete::{Shell, generate};

use super::{Done, Session, command_line, exit::Exit};

/// Print the completion script of a shell
///
/// For bash: `runbook completions bash > ~/.local/share/bash-completion/completions/runbook`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let mut script = Vec::new();
        generate(self.shell, &mut command_line(), "runbook", &mut script);
        session.screen.bytes(&script);
        Ok(Exit::Succeeded)
    }
}
