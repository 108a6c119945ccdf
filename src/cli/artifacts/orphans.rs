//! `runbook artifacts orphans`.

use clap::Args;
use runbook::{
    artifacts::session as artifacts,
    view::{artifact_json, artifact_page, paint::Paint},
};

use super::{Done, Session, places::Places};
use crate::cli::exit::Exit;

/// Show what AWS holds with our tags that no run of this state folder needs and the ledger does not answer for
///
/// The accounts and Regions that the ledger knows are asked, the default one, and those that are named. A place that
/// cannot be asked is a warning, and exit 4.
#[derive(Debug, Args)]
pub struct Orphans {
    #[command(flatten)]
    places: Places,
}

impl Orphans {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let setup = session.setup()?;
        let (books, orphans, unasked) =
            artifacts::orphans(&setup, &self.places.choice(), self.places.homes())?;
        if session.screen.json {
            session.screen.json_page(&artifact_json::orphans(&books, &orphans, &unasked));
        } else {
            session.screen.data(&artifact_page::orphans(&orphans, Paint(session.screen.color)));
            session.screen.note(&artifact_page::unasked(&unasked));
            if orphans.is_empty() && unasked.is_empty() {
                session.screen.note("no orphans\n");
            } else if !orphans.is_empty() {
                session.screen.note("next: runbook artifacts gc --orphans --dry-run\n");
            }
        }
        Ok(if unasked.is_empty() { Exit::Succeeded } else { Exit::Refused })
    }
}
