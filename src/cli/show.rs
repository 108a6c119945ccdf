//! `runbook show`.

use clap::Args;
use runbook::{
    control::client,
    view::{paint::Paint, run_json, run_page},
};

use super::{Done, Session, ending, exit::Exit};

/// Show a run: its status and cause, stages, waves, failed machines, and what to do next
#[derive(Debug, Args)]
pub struct Show {
    /// The run: its id or the beginning of it [default: the only unfinished run, else the newest]
    run: Option<String>,
}

impl Show {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let journal = client::journal(&session.setup()?, self.run.as_deref())?;
        let run = journal.replay()?;
        if session.screen.json {
            session.screen.json_page(&run_json::show(&run, journal.live));
        } else {
            let paint = Paint(session.screen.color);
            session.screen.data(&run_page::page(&run, journal.live, ending::now(&journal), paint));
        }
        Ok(Exit::Succeeded)
    }
}
