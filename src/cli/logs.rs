//! `runbook logs`.

use clap::Args;
use jiff::Timestamp;
use runbook::{
    control::client,
    coordinator::observer::{Heard, Observer},
    view::{logs, paint::Paint, words},
};
use runbook_engine::{
    plan::Plan,
    run::{Run, event::Event},
};
use runbook_state::store::Entry;
use serde_json::json;

use super::{Done, Session, exit::Exit, screen::Screen};

/// Show what the steps of a run put out, and what their jobs on hosts printed
#[derive(Debug, Args)]
pub struct Logs {
    /// The run: its id or the beginning of it [default: the only unfinished run, else the newest]
    run: Option<String>,
    /// Only this task, or the tasks below this part of the plan
    #[arg(long)]
    task: Option<String>,
    /// Only this machine
    #[arg(long, value_name = "ID")]
    target: Option<String>,
    /// Go on as things are printed and put out, until the run ends
    #[arg(long, short)]
    follow: bool,
}

impl Logs {
    /// Runs the command.
    pub fn run(self, session: &Session) -> Done {
        let setup = session.setup()?;
        let wanted = logs::Wanted { task: self.task.as_deref(), target: self.target.as_deref() };
        let (mut some, mut next) = (false, 1);
        let found = client::journal(&setup, self.run.as_deref(), &mut |found, entry| {
            let mut printer = Printer { screen: &session.screen, plan: &found.plan, wanted, some };
            printer.entry(entry);
            (some, next) = (printer.some, entry.seq + 1);
            Ok(())
        })?;
        let follows = self.follow && found.live;
        if !some && !follows && !session.screen.json {
            session.screen.note("no step has put out anything here yet\n");
        }
        if follows {
            let mut printer = Printer { screen: &session.screen, plan: &found.plan, wanted, some };
            client::follow(&setup, Some(found.row.run.as_str()), next, &mut printer)?;
        }
        Ok(Exit::Succeeded)
    }
}

/// Prints what is wanted.
struct Printer<'a> {
    screen: &'a Screen,
    plan: &'a Plan,
    wanted: logs::Wanted<'a>,
    /// Something was printed.
    some: bool,
}

impl Observer for Printer<'_> {
    // Each comes again with its place in the journal.
    fn entries(&mut self, _run: &Run, _at: Timestamp, _events: &[Event]) {}

    fn entry(&mut self, entry: &Entry) {
        let paint = Paint(self.screen.color);
        for each in logs::of_entry(self.plan, entry, self.wanted) {
            self.some = true;
            if self.screen.json {
                self.screen.json_line(&each.to_json());
            } else {
                self.screen.data(&each.to_text(self.plan, paint));
            }
        }
    }

    fn heard(&mut self, heard: &Heard) {
        if !self.wanted.has(self.plan, &heard.task, Some(&heard.target)) {
            return;
        }
        if self.screen.json {
            self.screen.json_line(&json!(heard));
        } else {
            let machine = words::machine(self.plan, &heard.target);
            self.screen.data(&logs::visible(&format!("{} on {machine}: {}\n", heard.task, heard.line)));
        }
    }

    fn notice(&mut self, text: &str) {
        self.screen.note(&format!("note: {text}\n"));
    }
}
