//! `runbook events`.

use clap::Args;
use jiff::Timestamp;
use runbook::{
    control::client,
    coordinator::observer::Observer,
    view::{event_line::Teller, paint::Paint},
};
use runbook_engine::run::{Run, event::Event};
use runbook_state::store::Entry;
use serde_json::json;

use super::{Done, Session, exit::Exit, screen::Screen};

/// Show the journal of a run: everything that happened, in order
#[derive(Debug, Args)]
pub struct Events {
    /// The run: its id or the beginning of it [default: the only unfinished run, else the newest]
    run: Option<String>,
    /// Go on as things happen, until the run ends
    #[arg(long, short)]
    follow: bool,
}

impl Events {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let setup = session.setup()?;
        let paint = Paint(session.screen.color);
        let (mut teller, mut next) = (None, 1);
        let found = client::journal(&setup, self.run.as_deref(), &mut |found, entry| {
            let teller = teller.get_or_insert_with(|| Teller::new(found.plan.clone(), paint));
            print(&session.screen, teller, entry);
            next = entry.seq + 1;
            Ok(())
        })?;
        if !self.follow || !found.live {
            return Ok(Exit::Succeeded);
        }
        let teller = teller.unwrap_or_else(|| Teller::new(found.plan.clone(), paint));
        let mut follower = Follower { screen: &session.screen, teller };
        client::follow(&setup, Some(found.row.run.as_str()), next, &mut follower)?;
        Ok(Exit::Succeeded)
    }
}

fn print(screen: &Screen, teller: &Teller, entry: &Entry) {
    if screen.json {
        screen.data(&format!("{}\n", json!(entry)));
    } else {
        let (_, line) = teller.tell(entry.at, &entry.event);
        screen.data(&format!("{:>5}  {:.0}  {line}\n", entry.seq, entry.at));
    }
}

/// Prints what follows the entries that are there already.
struct Follower<'a> {
    screen: &'a Screen,
    teller: Teller,
}

impl Observer for Follower<'_> {
    // Each comes again with its place in the journal.
    fn entries(&mut self, _run: &Run, _at: Timestamp, _events: &[Event]) {}

    fn entry(&mut self, entry: &Entry) {
        print(self.screen, &self.teller, entry);
    }

    fn notice(&mut self, text: &str) {
        self.screen.note(&format!("note: {text}\n"));
    }
}
