//! `runbook artifacts list`.

use clap::Args;
use runbook::{
    artifacts::books::Books,
    control::client,
    coordinator::replay,
    view::{artifact_json, artifact_page, paint::Paint},
};

use super::{Done, Session};
use crate::cli::exit::Exit;

/// Show the ledger: what runs made, where, how large, what it costs in a month at most, and when it expires
///
/// Costs are estimates from AWS's list prices for us-east-1. A snapshot is counted as large as its volume; it is billed
/// by the blocks that it holds.
#[derive(Debug, Args)]
pub struct List {
    /// Only of this run: its id or the beginning of it
    run: Option<String>,
    /// What was deleted too (JSON always has it)
    #[arg(long)]
    all: bool,
}

impl List {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let setup = session.setup()?;
        let books = client::books(&setup)?.unwrap_or_else(Books::empty);
        let run = match &self.run {
            Some(run) => Some(replay::select(&books.runs, Some(run), &setup.state)?.run.clone()),
            None => None,
        };
        if session.screen.json {
            session.screen.json_page(&artifact_json::list(&books, run.as_ref()));
            return Ok(Exit::Succeeded);
        }
        let page = artifact_page::list(&books, run.as_ref(), self.all, Paint(session.screen.color));
        if page.is_empty() {
            session.screen.note("no run of this state folder made anything that stays\n");
        }
        session.screen.data(&page);
        Ok(Exit::Succeeded)
    }
}
