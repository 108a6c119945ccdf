//! `runbook unpause`.

use clap::Args;
use runbook::control::order::Order;

use super::{Done, Session, order};

/// Go on after a pause
#[derive(Debug, Args)]
pub struct Unpause {
    /// The run: its id or the beginning of it [default: the only unfinished run, else the newest]
    run: Option<String>,
}

impl Unpause {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        order::tell(session, self.run.as_deref(), Order::Unpause)
    }
}
