//! `runbook schema`.

use clap::{Args, ValueEnum};
use runbook_engine::document;
use runbook_steps::catalog::Actions;

use super::{Done, Session, exit::Exit};

/// Print the JSON Schema of runbooks or of test files, for editors
///
/// With the YAML language server, the first line of a runbook names it:
/// `# yaml-language-server: $schema=./schema.json`.
#[derive(Debug, Args)]
pub struct Schema {
    /// Of what
    #[arg(value_enum, default_value_t = Of::Runbook)]
    of: Of,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Of {
    /// Runbooks
    Runbook,
    /// Test files
    Test,
}

impl Schema {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        session.screen.json_page(&match self.of {
            Of::Runbook => document::schema(&Actions::standard()),
            Of::Test => document::test_schema(),
        });
        Ok(Exit::Succeeded)
    }
}
