//! Reading rendered inputs as what they are.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::{Gate, OnExpiry, OnReject, Window};
use crate::{diagnostic::Diagnostic, document::model::Step, duration::Span};

/// Rendered inputs of a step, to be read one by one.
pub(super) struct Reading<'a> {
    pub(super) step: &'a Step,
    pub(super) inputs: &'a BTreeMap<String, Value>,
}

impl Reading<'_> {
    fn wrong(&self, key: &str, wanted: &str) -> Diagnostic {
        let given = self.step.with.iter().find(|input| input.key.value == key);
        let place = given.map_or(self.step.id.place, |input| input.value.place);
        let message = match self.inputs.get(key) {
            None | Some(Value::Null) => format!("`{key}` is missing"),
            Some(value) => format!("`{key}` must be {wanted}, not {}", super::selection::plain(value)),
        };
        Diagnostic::error("wrong-value", message, place)
    }

    pub(super) fn text(&self, key: &str) -> Result<String, Diagnostic> {
        match self.inputs.get(key) {
            Some(Value::String(text)) => Ok(text.clone()),
            _ => Err(self.wrong(key, "a text")),
        }
    }

    pub(super) fn span(&self, key: &str) -> Result<Span, Diagnostic> {
        let text = self.inputs.get(key).and_then(Value::as_str);
        text.and_then(Span::parse).ok_or_else(|| self.wrong(key, "a duration like 90s, 15m, 2h or 14d"))
    }

    fn is_given(&self, key: &str) -> bool {
        self.inputs.get(key).is_some_and(|value| !value.is_null())
    }

    /// The gate that a `gate/…` step is.
    pub(super) fn gate(&self, action: &str) -> Result<Gate, Diagnostic> {
        match action {
            "gate/approval" => Ok(Gate::Approval {
                quorum: self.quorum()?,
                approvers: self.texts("approvers")?,
                expires: self.span("expires")?,
                on_expiry: match self.text("on_expiry")?.as_str() {
                    "fail" => OnExpiry::Fail,
                    "pause" => OnExpiry::Pause,
                    _ => return Err(self.wrong("on_expiry", "`fail` or `pause`")),
                },
                on_reject: match self.text("on_reject")?.as_str() {
                    "fail" => OnReject::Fail,
                    "rollback" => OnReject::Rollback,
                    _ => return Err(self.wrong("on_reject", "`fail` or `rollback`")),
                },
            }),
            "gate/wait" if self.is_given("until") => {
                let until = self.text("until")?.parse::<Timestamp>();
                let until =
                    until.map_err(|_| self.wrong("until", "a time like 2026-11-22T22:00:00+01:00"))?;
                Ok(Gate::WaitUntil { until })
            }
            "gate/wait" => Ok(Gate::WaitFor { span: self.span("for")? }),
            "gate/window" => self.window().map(Gate::Window),
            "gate/manual" => Ok(Gate::Manual {
                instructions: self.text("instructions")?,
                evidence: if self.is_given("evidence") { Some(self.text("evidence")?) } else { None },
            }),
            _ => {
                let message = format!("the core knows no gate `{action}`");
                Err(Diagnostic::error("unknown-action", message, self.step.id.place))
            }
        }
    }

    fn window(&self) -> Result<Window, Diagnostic> {
        let window = Window {
            cron: self.text("cron")?,
            duration: self.span("duration")?,
            timezone: self.text("timezone")?,
            cutoff: self.span("cutoff")?,
        };
        window.check().map_err(|error| {
            let key = error.input();
            let message = error.to_string();
            Diagnostic { message, ..self.wrong(key, "") }
        })?;
        Ok(window)
    }

    fn texts(&self, key: &str) -> Result<Vec<String>, Diagnostic> {
        let wrong = || self.wrong(key, "a list of texts");
        match self.inputs.get(key) {
            Some(Value::Array(items)) if !items.is_empty() => {
                items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
            }
            // An expression inside a list that came to a list of its own is a mistake of the same kind.
            _ => Err(wrong()),
        }
    }

    /// At most the named people, where no group is named.
    fn quorum(&self) -> Result<u32, Diagnostic> {
        let (approvers, quorum) = (self.texts("approvers")?, self.count("quorum")?);
        let people: BTreeSet<_> = approvers.iter().collect();
        if people.iter().any(|name| name.starts_with("group:")) || quorum as usize <= people.len() {
            return Ok(quorum);
        }
        Err(self.wrong("quorum", &format!("at most {}, the number of people named", people.len())))
    }

    fn count(&self, key: &str) -> Result<u32, Diagnostic> {
        let number = self.inputs.get(key).and_then(Value::as_u64);
        let number = number.and_then(|number| u32::try_from(number).ok()).filter(|number| *number > 0);
        number.ok_or_else(|| self.wrong(key, "a whole number, 1 or more"))
    }
}
