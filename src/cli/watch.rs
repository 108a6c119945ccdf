//! What a person or a program sees while a run goes on.

use jiff::Timestamp;
use runbook::{
    coordinator::observer::{Heard, Observer},
    view::{
        event_line::{Teller, Weight},
        paint::Paint,
    },
};
use runbook_engine::run::{Run, event::Event};
use serde_json::json;

use super::{progress::Progress, screen::Screen};

/// Tells a run's events as they become durable: JSON lines, plain lines, or news above live progress.
pub struct Watch<'a> {
    screen: &'a Screen,
    teller: Option<Teller>,
    progress: Option<Progress>,
}

impl<'a> Watch<'a> {
    /// Onto this screen.
    pub fn new(screen: &'a Screen) -> Self {
        Self { screen, teller: None, progress: None }
    }

    /// Takes the live part away.
    pub fn finish(&mut self) {
        if let Some(progress) = self.progress.take() {
            progress.finish();
        }
    }
}

impl Observer for Watch<'_> {
    fn entries(&mut self, run: &Run, at: Timestamp, events: &[Event]) {
        if self.screen.json {
            for event in events {
                self.screen.json_line(&json!({ "run": run.id(), "at": at, "event": event }));
            }
            return;
        }
        let teller =
            self.teller.get_or_insert_with(|| Teller::new(run.plan().clone(), Paint(self.screen.color)));
        let least = if self.screen.live { Weight::News } else { Weight::Step };
        let mut text = String::new();
        for event in events {
            let (weight, line) = teller.tell(at, event);
            if weight >= least {
                text.push_str(&format!("{at:.0}  {line}\n"));
            }
        }
        if !self.screen.live {
            self.screen.data(&text);
            return;
        }
        let progress = self.progress.get_or_insert_with(|| Progress::new(run, Paint(self.screen.color)));
        if !text.is_empty() {
            progress.above(|| self.screen.data(&text));
        }
        progress.update(run, at);
    }

    fn heard(&mut self, heard: &Heard) {
        if let Some(progress) = &mut self.progress {
            progress.heard(heard);
        }
    }

    fn notice(&mut self, text: &str) {
        let say = || self.screen.note(&format!("note: {text}\n"));
        match &self.progress {
            Some(progress) => progress.above(say),
            None => say(),
        }
    }
}
