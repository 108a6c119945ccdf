//! `rollout:` and `retry:`.

use super::Decoder;
use crate::{
    document::{
        model::{Retry, Rollout, Spanned},
        tree::{Data, Entry},
    },
    outcome::ErrorClass,
};

impl Decoder<'_, '_> {
    pub(super) fn rollout(&mut self, entry: &Entry) -> Option<Rollout> {
        let known = ["waves", "soak", "max_failures", "window", "first", "spread", "max_in_flight"];
        let fields = self.fields(&entry.value, entry.place, "`rollout`", &known)?;
        let waves = match fields.get("waves") {
            None => Vec::new(),
            Some(entry) => match &entry.value.data {
                Data::List(items) => items.iter().filter_map(|item| self.amount("waves", item)).collect(),
                _ => {
                    self.wrong("waves", "a list of numbers and shares", &entry.value);
                    Vec::new()
                }
            },
        };
        Some(Rollout {
            place: entry.place,
            waves,
            soak: fields.get("soak").and_then(|entry| self.span(entry)),
            max_failures: fields.get("max_failures").and_then(|entry| self.amount(&entry.key, &entry.value)),
            window: fields.get("window").and_then(|entry| self.text(entry)),
            first: fields.get("first").map(|entry| self.set(entry)).unwrap_or_default(),
            spread: fields.get("spread").and_then(|entry| self.text(entry)),
            max_in_flight: fields
                .get("max_in_flight")
                .and_then(|entry| self.amount(&entry.key, &entry.value)),
        })
    }

    pub(super) fn retry(&mut self, entry: &Entry) -> Option<Retry> {
        let fields = self.fields(&entry.value, entry.place, "`retry`", &["attempts", "errors", "delay"])?;
        self.required(&fields, "attempts");
        let attempts = fields.get("attempts").and_then(|entry| self.whole(entry));
        let classes = ErrorClass::ALL.map(|class| (class.as_str(), class));
        let errors = match fields.get("errors") {
            None => Vec::new(),
            Some(entry) => match &entry.value.data {
                Data::List(items) => {
                    let words: Vec<_> =
                        items.iter().filter_map(|item| self.word("errors", item, &classes)).collect();
                    words.into_iter().map(|word| word.value).collect()
                }
                _ => {
                    self.wrong("errors", "a list of error classes", &entry.value);
                    Vec::new()
                }
            },
        };
        Some(Retry {
            attempts: attempts.unwrap_or_else(|| Spanned::new(1, entry.place)),
            errors,
            delay: fields.get("delay").and_then(|entry| self.span(entry)).map(|span| span.value),
        })
    }
}
