//! `runbook approve`.

use clap::Args;
use runbook::control::order::Order;
use runbook_engine::ids::TaskName;

use super::{Done, Session, order};

/// Approve an open gate, or confirm a manual one
///
/// The approval counts for the Unix user who types it, and for the plan that the run was started with.
#[derive(Debug, Args)]
pub struct Approve {
    /// The run: its id or the beginning of it [default: the only unfinished run, else the newest]
    run: Option<String>,
    /// The gate [default: the only open one]
    #[arg(long)]
    task: Option<String>,
    /// A comment, or the evidence that a manual gate asks for
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

impl Approve {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let order = Order::Approve { task: self.task.map(TaskName::from), note: self.note };
        order::tell(session, self.run.as_deref(), order)
    }
}
