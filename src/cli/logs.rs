//! `runbook logs`.

use clap::Args;
use runbook::{
    control::client,
    view::{logs, paint::Paint},
};

use super::{Done, Session, exit::Exit};

/// Show what the steps of a run put out
#[derive(Debug, Args)]
pub struct Logs {
    /// The run: its id or the beginning of it [default: the only unfinished run, else the newest]
    run: Option<String>,
    /// Only this task, or the tasks below this part of the plan
    #[arg(long)]
    task: Option<String>,
    /// Only this machine
    #[arg(long, value_name = "ID")]
    target: Option<String>,
}

impl Logs {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let journal = client::journal(&session.setup()?, self.run.as_deref())?;
        let wanted = logs::Wanted { task: self.task.as_deref(), target: self.target.as_deref() };
        let found = logs::outputs(&journal.plan, &journal.entries, wanted);
        if session.screen.json {
            for each in &found {
                session.screen.json_line(&each.to_json());
            }
        } else if found.is_empty() {
            session.screen.note("no step has put out anything here yet\n");
        } else {
            let paint = Paint(session.screen.color);
            for each in &found {
                session.screen.data(&each.to_text(&journal.plan, paint));
            }
        }
        Ok(Exit::Succeeded)
    }
}
