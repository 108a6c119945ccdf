//! `runbook list`.

use clap::Args;
use runbook::{
    control::client,
    view::{list, paint::Paint},
};

use super::{Done, Session, exit::Exit};

/// List every run, oldest first
#[derive(Debug, Args)]
pub struct List {}

impl List {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let runs = client::runs(&session.setup()?)?;
        if session.screen.json {
            for row in &runs {
                session.screen.json_line(&list::json(row));
            }
        } else if runs.is_empty() {
            session.screen.note("there are no runs yet; start one: runbook run FILE\n");
        } else {
            session.screen.data(&list::page(&runs, Paint(session.screen.color)));
        }
        Ok(Exit::Succeeded)
    }
}
