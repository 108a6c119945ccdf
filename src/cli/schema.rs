//! `runbook schema`.

use clap::Args;
use runbook_engine::document;
use runbook_steps::catalog::Actions;

use super::{Done, Session, exit::Exit};

/// Print the JSON Schema of runbooks, for editors
///
/// With the YAML language server, the first line of a runbook names it:
/// `# yaml-language-server: $schema=./schema.json`.
#[derive(Debug, Args)]
pub struct Schema {}

impl Schema {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        session.screen.json_page(&document::schema(&Actions::standard()));
        Ok(Exit::Succeeded)
    }
}
