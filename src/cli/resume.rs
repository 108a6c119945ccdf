//! `runbook resume`.

use clap::Args;
use runbook::coordinator::session;

use super::{Done, Session, ending, watch::Watch};

/// Go on with a run where it stopped
///
/// What was in flight is looked up first, never blindly repeated. The journaled plan is used, not the file. A
/// finished run prints its result and returns its exit code.
#[derive(Debug, Args)]
pub struct Resume {
    /// The run: its id or the beginning of it [default: the only unfinished run, else the newest]
    run: Option<String>,
    /// End with exit 12 as soon as only waits are left
    #[arg(long)]
    no_wait: bool,
}

impl Resume {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let mut watch = Watch::new(&session.screen);
        let report = session::resume(&session.setup()?, self.run.as_deref(), self.no_wait, &mut watch);
        watch.finish();
        ending::tell(session, &report?)
    }
}
