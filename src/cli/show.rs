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
        let standing = client::standing(&session.setup()?, self.run.as_deref())?;
        if session.screen.json {
            session.screen.json_page(&run_json::show(&standing.run, standing.live));
        } else {
            let (now, paint) = (ending::now(&standing), Paint(session.screen.color));
            session.screen.data(&run_page::page(&standing.run, standing.live, now, paint));
        }
        Ok(Exit::Succeeded)
    }
}
