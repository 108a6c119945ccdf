//! `runbook artifacts`.

mod gc;
mod list;
mod orphans;
mod places;

use clap::{Args, Subcommand};

use super::{Done, Session};

/// What runs made in AWS accounts and costs money until it is deleted: snapshots, images, volumes, recovery points
#[derive(Debug, Args)]
pub struct Artifacts {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(list::List),
    Gc(gc::Gc),
    Orphans(orphans::Orphans),
}

impl Artifacts {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        match self.what {
            What::List(list) => list.run(session),
            What::Gc(gc) => gc.run(session),
            What::Orphans(orphans) => orphans.run(session),
        }
    }
}
