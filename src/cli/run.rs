//! `runbook run`.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use runbook::{
    coordinator::{Start, session},
    view::{paint::Paint, plan_page},
};

use super::{
    Done, Session, ending,
    history::Unread,
    planning::{self, Wishes},
    watch::Watch,
};

/// Run a runbook, or a saved plan, to its end
///
/// It never asks a question. Ctrl-C starts nothing more and leaves what runs to `runbook resume`. A plan is refused
/// when the fleet is no longer the planned one.
#[derive(Debug, Args)]
pub struct RunCommand {
    /// The runbook, or a plan saved by `runbook plan -o`
    file: PathBuf,
    #[command(flatten)]
    wishes: Wishes,
    /// Refuse to run any plan but the one with this SHA-256
    #[arg(long, value_name = "SHA256")]
    expect_plan: Option<String>,
    /// End with exit 12 as soon as only waits are left: `runbook resume` goes on
    #[arg(long)]
    no_wait: bool,
    /// Start nothing before this time, like 2026-11-22T22:00:00+01:00
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

impl RunCommand {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let plan = planning::from_file(session, &self.file, &self.wishes, Unread::Refused)?;
        if !session.screen.json {
            session.screen.data(&format!("{}\n", plan_page::brief(&plan, Paint(session.screen.color))));
        }
        let start = Start {
            plan: plan.into(),
            expect_plan: self.expect_plan,
            not_before: self.at,
            no_wait: self.no_wait,
        };
        let mut watch = Watch::new(&session.screen);
        let report = session::run(&session.setup()?, &self.wishes.choice(), start, &mut watch);
        watch.finish();
        ending::tell(session, &report?)
    }
}
