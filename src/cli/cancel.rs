//! `runbook cancel`.

use clap::Args;
use runbook::control::order::Order;

use super::{Done, Session, order};

/// End a run: restore what it changed, or leave it
///
/// A change in flight is never interrupted. With `--restore` every machine that entered a changing task and is not
/// restored yet is restored and verified, newest wave first, in this run.
#[derive(Debug, Args)]
pub struct Cancel {
    /// The run: its id or the beginning of it [default: the only unfinished run, else the newest]
    run: Option<String>,
    /// Restore every changed machine, newest wave first
    #[arg(long, required_unless_present = "leave", conflicts_with = "leave")]
    restore: bool,
    /// Leave everything as it is
    #[arg(long)]
    leave: bool,
    /// Why
    #[arg(long, value_name = "TEXT")]
    because: Option<String>,
}

impl Cancel {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let order = Order::Cancel { restore: self.restore && !self.leave, cause: self.because };
        order::tell(session, self.run.as_deref(), order)
    }
}
