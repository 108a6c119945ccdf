//! `runbook resolve`.

use clap::Args;
use runbook::control::order::Order;
use runbook_engine::ids::{TargetId, TaskName};

use super::{Done, Session, order};

/// Say what became of a machine whose outcome nobody knows
///
/// In an unfinished run: whether the task's effect was applied on the machine. After a stuck run: that somebody has
/// looked at the machine, so that other runs may change it again.
#[derive(Debug, Args)]
pub struct Resolve {
    /// The run: its id or the beginning of it [default: the only unfinished run, else the newest]
    run: Option<String>,
    /// The task whose outcome is unknown [default: the only one]
    #[arg(long)]
    task: Option<String>,
    /// The machine, by id or name
    #[arg(long, value_name = "ID")]
    target: Option<String>,
    /// The effect was applied: the machine succeeded there
    #[arg(long, conflicts_with = "not_applied")]
    applied: bool,
    /// The effect was not applied: the machine failed there
    #[arg(long)]
    not_applied: bool,
    /// What was seen
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

impl Resolve {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let applied = match (self.applied, self.not_applied) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        };
        let order = Order::Resolve {
            task: self.task.map(TaskName::from),
            target: self.target.map(TargetId::from),
            applied,
            note: self.note,
        };
        order::tell(session, self.run.as_deref(), order)
    }
}
