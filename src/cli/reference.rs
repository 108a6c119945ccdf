//! `runbook reference`: the generated pages of the book.

use clap::{Args, ValueEnum};
use runbook_steps::catalog::Actions;

use super::{Done, Session, command_line, exit::Exit};
use runbook::view::{action_reference, command_reference};

/// Print a generated page of the book
#[derive(Debug, Args)]
#[command(hide = true)]
pub struct Reference {
    /// Which page
    page: Page,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    /// Every command
    Cli,
    /// Every action
    Actions,
}

impl Reference {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let page = match self.page {
            Page::Cli => command_reference::page(command_line()),
            Page::Actions => action_reference::page(&Actions::standard()),
        };
        session.screen.data(&page);
        Ok(Exit::Succeeded)
    }
}
