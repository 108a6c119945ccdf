//! `notify:`.

use super::{Check, expression::Around, usage::Used};
use crate::{diagnostic::Diagnostic, document::suggestion::nearest};

/// What a notification can be about.
pub(in crate::document) const EVENTS: &[&str] =
    &["run_started", "gate_opened", "wave_started", "wave_failed", "paused", "stuck", "finished"];

/// The action whose inputs `webhook:` takes.
pub(in crate::document) const WEBHOOK: &str = "notify/webhook";

impl<'r> Check<'r> {
    pub(super) fn notifications(&mut self, used: &mut Used<'r>) {
        let entry = self.entry;
        for rule in &entry.notify {
            for event in rule.events.iter().filter(|event| !EVENTS.contains(&event.value.as_str())) {
                let problem = Diagnostic::error(
                    "unknown-event",
                    format!("there is no event `{}`", event.value),
                    event.place,
                );
                self.report(problem.hint(match nearest(&event.value, EVENTS.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("the events are {}", EVENTS.join(", ")),
                }));
            }
            let doc = self.catalog.action(WEBHOOK);
            if let Some(doc) = doc {
                self.inputs(&rule.webhook, rule.place, doc);
            }
            for input in &rule.webhook {
                let known = doc.and_then(|doc| doc.input(&input.key.value));
                let mut around = Around::notification(entry);
                around.secret = known.is_none_or(|known| known.secret);
                self.input_expressions(input, known, &around, used);
            }
        }
    }
}
