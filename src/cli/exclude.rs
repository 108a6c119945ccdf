//! `runbook exclude`.

use clap::Args;
use runbook::control::order::Order;
use runbook_engine::ids::TargetId;

use super::{Done, Session, order};

/// Take machines out of a run, before anything is changed on them
///
/// An excluded machine does not count against the budget. One that a changing task has entered is refused: for that
/// there is `runbook cancel --restore`.
#[derive(Debug, Args)]
pub struct Exclude {
    /// The run: its id or the beginning of it [default: the only unfinished run, else the newest]
    run: Option<String>,
    /// A machine, by id or name; may be repeated
    #[arg(long = "target", required = true, value_name = "ID")]
    targets: Vec<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    because: Option<String>,
}

impl Exclude {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let targets = self.targets.into_iter().map(TargetId::from).collect();
        order::tell(session, self.run.as_deref(), Order::Exclude { targets, because: self.because })
    }
}
