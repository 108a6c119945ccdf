//! What an input may hold.

use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

use super::Check;
use crate::{
    catalog::{InputDoc, InputKind},
    diagnostic::Diagnostic,
    document::{decode::alternatives, model::Input, suggestion::nearest},
    duration::Span,
    expression::{Expressions, Segment, segments},
    plan::{Window, WindowError},
};

impl<'r> Check<'r> {
    /// One value. A text that is one expression becomes what the expression comes to: the plan looks at it.
    pub(super) fn value(&mut self, input: &Input, doc: &InputDoc) {
        let (value, place) = (&input.value.value, input.value.place);
        if is_expression(value) {
            if doc.kind == InputKind::StepRef {
                let message = format!("`{}` must name a step, not compute one", doc.name);
                self.report(Diagnostic::error("wrong-type", message, place));
            }
            return;
        }
        let fits = match &doc.kind {
            InputKind::String | InputKind::Script | InputKind::StepRef => value.is_string(),
            InputKind::Bool => value.is_boolean(),
            InputKind::Integer => value.is_u64(),
            InputKind::Duration => {
                value.as_str().is_some_and(|text| has_expression(text) || Span::parse(text).is_some())
            }
            InputKind::Timestamp => {
                value.as_str().is_some_and(|text| has_expression(text) || text.parse::<Timestamp>().is_ok())
            }
            InputKind::Url => value.as_str().is_some_and(is_url),
            InputKind::Cron => return self.cron(input),
            InputKind::TimeZone => return self.time_zone(input),
            InputKind::Enum(words) => return self.word_of(input, doc, words),
            InputKind::Strings => is_texts(value),
            InputKind::StringMap => return self.entries(input, doc, "a text", Value::is_string),
            InputKind::StringListMap => {
                return self
                    .entries(input, doc, "a list of texts", |value| is_texts(value) || is_expression(value));
            }
            InputKind::Any => !value.is_null(),
        };
        if !fits {
            let message = format!("`{}` must be {}, not {}", doc.name, described(&doc.kind), shown(value));
            let problem = Diagnostic::error("wrong-type", message, place);
            self.report(match (&doc.kind, value) {
                (
                    InputKind::String | InputKind::Script | InputKind::StepRef,
                    Value::Number(_) | Value::Bool(_),
                ) => problem.hint(format!("put it in quotes: \"{value}\"")),
                (InputKind::Strings, Value::String(text)) => problem.hint(format!("write {}", words(text))),
                _ => problem,
            });
        }
    }

    /// A mapping whose values are all of one kind.
    fn entries(&mut self, input: &Input, doc: &InputDoc, wanted: &str, fits: impl Fn(&Value) -> bool) {
        let Value::Object(entries) = &input.value.value else {
            let message =
                format!("`{}` must be {}, not {}", doc.name, described(&doc.kind), shown(&input.value.value));
            return self.report(Diagnostic::error("wrong-type", message, input.value.place));
        };
        let mut wrong: Vec<_> = entries.iter().filter(|(_, value)| !fits(value)).collect();
        wrong.sort_by_key(|(key, _)| *key);
        for (key, value) in wrong {
            let message = format!("`{key}` in `{}` must be {wanted}, not {}", doc.name, shown(value));
            let problem = Diagnostic::error("wrong-type", message, input.value.place);
            self.report(match value {
                Value::String(text) => problem.hint(format!("write {}", words(text))),
                Value::Number(_) | Value::Bool(_) if wanted == "a text" => {
                    problem.hint(format!("put it in quotes: \"{value}\""))
                }
                _ => problem,
            });
        }
    }

    fn word_of(&mut self, input: &Input, doc: &InputDoc, words: &[&'static str]) {
        let given = input.value.value.as_str().unwrap_or_default();
        if words.contains(&given) || has_expression(given) {
            return;
        }
        let message =
            format!("`{}` must be {}, not {}", doc.name, alternatives(words), shown(&input.value.value));
        let problem = Diagnostic::error("unknown-word", message, input.value.place);
        self.report(match nearest(given, words.iter().copied()) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem,
        });
    }

    fn cron(&mut self, input: &Input) {
        let problem = match input.value.value.as_str() {
            Some(text) if has_expression(text) => return,
            Some(text) => {
                let window = Window {
                    cron: text.to_owned(),
                    duration: Span::from_hours(1),
                    timezone: "UTC".into(),
                    cutoff: Span::ZERO,
                };
                match window.check() {
                    Ok(()) => return,
                    Err(error @ WindowError::NeverOpens(_)) => {
                        let problem =
                            Diagnostic::error("window-never-opens", error.to_string(), input.value.place);
                        return self.report(problem);
                    }
                    Err(error) => error.to_string(),
                }
            }
            None => format!(
                "`{}` must be a cron expression of five fields, not {}",
                input.key.value,
                shown(&input.value.value)
            ),
        };
        self.report(
            Diagnostic::error("wrong-cron", problem, input.value.place)
                .hint("minute, hour, day of month, month, day of week: \"0 22 * * SAT\""),
        );
    }

    fn time_zone(&mut self, input: &Input) {
        match input.value.value.as_str() {
            Some(text) if has_expression(text) || TimeZone::get(text).is_ok() => {}
            Some(text) => {
                let message = format!("there is no time zone `{text}`");
                let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
                let problem = Diagnostic::error("unknown-time-zone", message, input.value.place);
                self.report(match nearest(text, known.iter().map(String::as_str)) {
                    Some(near) => problem.hint(format!("did you mean `{near}`?")),
                    None => problem.hint("IANA names are known, like Europe/Berlin"),
                });
            }
            None => {
                let message = format!("`{}` must be the name of a time zone", input.key.value);
                self.report(Diagnostic::error("wrong-type", message, input.value.place));
            }
        }
    }
}

/// Whether a value is a text that is nothing but one expression.
pub(super) fn is_expression(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| matches!(segments(text.trim()).as_deref(), Ok([Segment::Expression { .. }])))
}

fn has_expression(text: &str) -> bool {
    Expressions::is_used_in(text)
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    has_expression(text) && !text.contains("://")
        || rest.is_some_and(|rest| {
            !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace)
                || has_expression(rest)
        })
}

fn is_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_string))
}

/// A text as a list of its words.
fn words(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(|word| format!("{word:?}")).collect();
    format!("[{}]", words.join(", "))
}

/// A kind as a sentence names it.
pub(crate) fn described(kind: &InputKind) -> String {
    match kind {
        InputKind::String | InputKind::Script => "a text".into(),
        InputKind::Bool => "true or false".into(),
        InputKind::Integer => "a whole number, 0 or more".into(),
        InputKind::Duration => "a duration like 90s, 15m, 2h or 14d".into(),
        InputKind::Timestamp => "a time like 2026-11-22T22:00:00+01:00".into(),
        InputKind::Url => "a URL that begins with http:// or https://".into(),
        InputKind::Cron => "a cron expression of five fields".into(),
        InputKind::TimeZone => "the name of a time zone".into(),
        InputKind::StepRef => "the id or path of a step".into(),
        InputKind::Enum(words) => alternatives(words),
        InputKind::Strings => "a list of texts that is not empty".into(),
        InputKind::StringMap => "a mapping of texts".into(),
        InputKind::StringListMap => "a mapping of lists of texts".into(),
        InputKind::Any => "a value".into(),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("`{}`", crate::document::tree::shortened(text)),
        Value::Array(items) if items.is_empty() => "an empty list".into(),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a mapping".into(),
    }
}
