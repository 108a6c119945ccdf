//! `runbook artifacts gc`.

use clap::Args;
use runbook::{
    artifacts::{collect::Wishes, session as artifacts},
    view::{artifact_json, artifact_page, paint::Paint},
};
use runbook_engine::duration::Span;
use runbook_state::artifact::{ArtifactState, CollectionEnd};

use super::{Done, Session, places::Places};
use crate::cli::{exit::Exit, problem::Problem};

/// Delete what has expired and no run needs any more
///
/// A run needs what it made while it is unfinished or stuck, and while a run that rolls it back or retries it is. What
/// has no expiry is never deleted. Everything is looked at again right before it is deleted: its tags must still name
/// the run and the call that made it. What was done is kept beside the journals.
#[derive(Debug, Args)]
pub struct Gc {
    /// Show what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Orphans too, also those of other state folders
    #[arg(long)]
    orphans: bool,
    /// Orphans that are at least so old [default: 7d, and those that another run may go back to only when they have expired]
    #[arg(long, value_name = "SPAN", requires = "orphans")]
    older_than: Option<String>,
    #[command(flatten)]
    places: Places,
}

impl Gc {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let setup = session.setup()?;
        let older_than = match &self.older_than {
            Some(text) => Some(Span::parse(text).ok_or_else(|| {
                Problem::new(Exit::Usage, format!("`{text}` is not a duration like 12h or 7d"))
                    .at("--older-than")
            })?),
            None => None,
        };
        let wishes = Wishes {
            orphans: self.orphans,
            older_than: older_than.map(Span::get),
            homes: self.places.homes(),
            ..Wishes::default()
        };
        let choice = self.places.choice();
        let report = if self.dry_run {
            artifacts::due(&setup, &choice, wishes)?
        } else {
            artifacts::gc(&setup, &choice, wishes)?
        };
        if session.screen.json {
            session.screen.json_page(&artifact_json::collected(&report, self.dry_run));
        } else {
            session.screen.data(&artifact_page::collected(&report, Paint(session.screen.color)));
            let touched = report.collected.iter().filter(|each| {
                each.row.id.is_some() && (self.dry_run || each.end == Some(CollectionEnd::Deleted))
            });
            let sizes: Vec<_> = touched.map(|each| (each.row.kind, each.row.size_gib)).collect();
            let word = if self.dry_run { "would be deleted" } else { "deleted" };
            session.screen.note(&format!("{word}: {}\n", artifact_page::total(&sizes)));
            session.screen.note(&artifact_page::unasked(&report.unasked));
        }
        let failed = report.collected.iter().any(|each| each.failed);
        let deleted = report.collected.iter().any(|each| each.row.state == ArtifactState::Deleted);
        Ok(if failed || (deleted && !report.unasked.is_empty()) {
            Exit::Failed
        } else if !report.unasked.is_empty() {
            Exit::Refused
        } else {
            Exit::Succeeded
        })
    }
}
