//! `runbook pause`.

use clap::Args;
use runbook::control::order::Order;

use super::{Done, Session, order};

/// Start nothing more, but failure branches
///
/// What is in flight ends by itself; deadlines go on. `runbook unpause` or `runbook resume` lifts it.
#[derive(Debug, Args)]
pub struct Pause {
    /// The run: its id or the beginning of it [default: the only unfinished run, else the newest]
    run: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    because: Option<String>,
}

impl Pause {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        order::tell(session, self.run.as_deref(), Order::Pause { cause: self.because })
    }
}
