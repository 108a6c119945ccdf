//! Whether what an expression came to is what an input may hold. What is written down was checked before.

use jiff::{Timestamp, tz::TimeZone};
use serde_json::Value;

use crate::{catalog::InputKind, duration::Span};

/// The value as this kind, or nothing when it cannot be. Numbers and flags become texts where texts are wanted.
pub(super) fn fit(kind: &InputKind, value: Value) -> Option<Value> {
    let text = value.as_str();
    let fits = match kind {
        InputKind::String | InputKind::Script => return text_of(value),
        InputKind::Strings => return texts_of(value),
        InputKind::StringMap => return map_of(value, text_of),
        InputKind::StringListMap => return map_of(value, texts_of),
        InputKind::StepRef => text.is_some(),
        InputKind::Bool => value.is_boolean(),
        InputKind::Integer => value.is_u64(),
        InputKind::Duration => text.is_some_and(|text| Span::parse(text).is_some()),
        InputKind::Timestamp => text.is_some_and(|text| text.parse::<Timestamp>().is_ok()),
        InputKind::Url => text.is_some_and(is_url),
        InputKind::Cron => text.is_some_and(|text| text.split_ascii_whitespace().count() == 5),
        InputKind::TimeZone => text.is_some_and(|text| TimeZone::get(text).is_ok()),
        InputKind::Enum(words) => text.is_some_and(|text| words.contains(&text)),
        InputKind::Any => !value.is_null(),
    };
    fits.then_some(value)
}

fn text_of(value: Value) -> Option<Value> {
    match value {
        Value::String(_) => Some(value),
        Value::Number(_) | Value::Bool(_) => Some(Value::String(value.to_string())),
        _ => None,
    }
}

fn texts_of(value: Value) -> Option<Value> {
    match value {
        Value::Array(items) if !items.is_empty() => {
            items.into_iter().map(text_of).collect::<Option<_>>().map(Value::Array)
        }
        _ => None,
    }
}

fn map_of(value: Value, each: fn(Value) -> Option<Value>) -> Option<Value> {
    let Value::Object(map) = value else { return None };
    map.into_iter().map(|(key, value)| Some((key, each(value)?))).collect::<Option<_>>().map(Value::Object)
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace))
}
