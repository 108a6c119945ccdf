//! `runbook reject`.

use clap::Args;
use runbook::control::order::Order;
use runbook_engine::ids::TaskName;

use super::{Done, Session, order};

/// Reject an open gate
///
/// What follows is what the gate's `on_reject` says: the run fails, or everything changed is restored.
#[derive(Debug, Args)]
pub struct Reject {
    /// The run: its id or the beginning of it [default: the only unfinished run, else the newest]
    run: Option<String>,
    /// The gate [default: the only open one]
    #[arg(long)]
    task: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

impl Reject {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let order = Order::Reject { task: self.task.map(TaskName::from), note: self.note };
        order::tell(session, self.run.as_deref(), order)
    }
}
