//! What stands above the steps: `env`, `params`, `patchset`; and `notify`.

use serde_json::Value;

use super::Decoder;
use crate::{
    diagnostic::Diagnostic,
    document::{
        model::{Notify, Param, ParamKind, Patchset, Spanned},
        params::accept,
        tree::{Data, Entry},
    },
};

impl Decoder<'_, '_> {
    pub(super) fn env(&mut self, entry: &Entry) -> Vec<Spanned<String>> {
        let names = self.set(entry);
        for name in &names {
            let begins = name.value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !begins || !name.value.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                let message = format!("`{}` cannot name an environment variable", name.value.escape_debug());
                self.report(Diagnostic::error("invalid-name", message, name.place));
            }
        }
        names
    }

    pub(super) fn params(&mut self, entry: &Entry) -> Vec<Param> {
        self.named(entry, "parameter").iter().filter_map(|entry| self.param(entry)).collect()
    }

    fn param(&mut self, entry: &Entry) -> Option<Param> {
        let fields = self.fields(
            &entry.value,
            entry.place,
            "a parameter",
            &["type", "enum", "default", "description"],
        )?;
        let kinds = ParamKind::ALL.map(|kind| (kind.as_str(), kind));
        let kind = self.required(&fields, "type").and_then(|node| self.word("type", node, &kinds));
        let mut param = Param {
            name: Spanned::new(entry.key.clone(), entry.place),
            kind: kind.as_ref().map_or(ParamKind::String, |kind| kind.value),
            choices: None,
            default: None,
            description: fields.get("description").and_then(|entry| self.text(entry)).map(|text| text.value),
        };
        let known = kind.is_some();
        if let Some(choices) = fields.get("enum") {
            param.choices = self.choices(choices, known.then_some(&param));
        }
        if let Some(default) = fields.get("default") {
            let place = default.value.place;
            match accept(&param, &default.value.value()) {
                _ if !known => {}
                Ok(value) => param.default = Some(Spanned::new(value, place)),
                Err(reason) => {
                    self.report(Diagnostic::error("wrong-default", format!("`default` {reason}"), place));
                    // Something to go on with: nothing else is wrong because of this.
                    param.default = Some(Spanned::new(default.value.value(), place));
                }
            }
        }
        Some(param)
    }

    fn choices(&mut self, entry: &Entry, param: Option<&Param>) -> Option<Vec<Value>> {
        let Data::List(items) = &entry.value.data else {
            self.wrong("enum", "a list of values", &entry.value);
            return None;
        };
        if items.is_empty() {
            self.report(Diagnostic::error("empty", "`enum` allows no value", entry.place));
            return None;
        }
        let param = param?;
        let mut choices = Vec::new();
        for item in items {
            match accept(param, &item.value()) {
                Ok(value) => choices.push(value),
                Err(reason) => {
                    self.report(Diagnostic::error(
                        "wrong-type",
                        format!("a value of `enum` {reason}"),
                        item.place,
                    ));
                }
            }
        }
        Some(choices)
    }

    /// `patchset: { from: dev }`, or short `patchset: dev`.
    pub(super) fn patchset(&mut self, entry: &Entry) -> Option<Patchset> {
        if let Data::Scalar { .. } = &entry.value.data {
            return self.text(entry).map(|from| Patchset { from });
        }
        let fields = self.fields(&entry.value, entry.place, "`patchset`", &["from"])?;
        let from = self.required(&fields, "from").and_then(|node| self.text_of("from", node))?;
        Some(Patchset { from })
    }

    pub(super) fn notify(&mut self, entry: &Entry) -> Vec<Notify> {
        let Data::List(items) = &entry.value.data else {
            self.wrong("notify", "a list", &entry.value);
            return Vec::new();
        };
        let mut rules = Vec::new();
        for item in items {
            let Some(fields) = self.fields(item, item.place, "a notification", &["events", "webhook"]) else {
                continue;
            };
            self.required(&fields, "events");
            if self.required(&fields, "webhook").is_none() {
                continue;
            }
            rules.push(Notify {
                events: fields.get("events").map(|entry| self.set(entry)).unwrap_or_default(),
                webhook: fields.get("webhook").map(|entry| self.inputs(entry)).unwrap_or_default(),
                place: fields.get("webhook").map_or(item.place, |entry| entry.place),
            });
        }
        rules
    }
}
