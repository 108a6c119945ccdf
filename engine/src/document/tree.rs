//! The document as a tree in which every value knows its place.

use serde_json::{Map, Number, Value};

use crate::diagnostic::Place;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Where it begins, and how wide it is on that line.
    pub place: Place,
    /// Where it ends: line and column behind it, from 1.
    pub end: (usize, usize),
    /// What it is.
    pub data: Data,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Data {
    /// A text or what YAML makes of a plain one.
    Scalar {
        /// As it reads, quotes and folding resolved.
        text: String,
        /// Without quotes: YAML may take it for a number, a truth value or nothing.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order written.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its key.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// As JSON.
    pub(super) fn value(&self) -> Value {
        match &self.data {
            Data::Scalar { text, plain: true } => typed(text),
            Data::Scalar { text, plain: false } => Value::String(text.clone()),
            Data::List(items) => Value::Array(items.iter().map(Self::value).collect()),
            Data::Map(entries) => {
                Value::Object(entries.iter().map(|e| (e.key.clone(), e.value.value())).collect::<Map<_, _>>())
            }
        }
    }

    /// Nothing was written.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.data, Data::Scalar { text, plain: true } if typed(text).is_null())
    }

    /// What it is, as a sentence names it: "the number 5", "a list".
    pub(super) fn described(&self) -> String {
        match &self.data {
            Data::List(_) => "a list".into(),
            Data::Map(_) => "a mapping".into(),
            Data::Scalar { text, .. } => match self.value() {
                Value::Null => "nothing".into(),
                Value::Bool(flag) => format!("{flag}"),
                Value::Number(_) => format!("the number {}", shortened(text)),
                _ => format!("`{}`", shortened(text)),
            },
        }
    }

    /// How many values it holds, itself included.
    pub(super) fn size(&self) -> usize {
        1 + match &self.data {
            Data::Scalar { .. } => 0,
            Data::List(items) => items.iter().map(Self::size).sum(),
            Data::Map(entries) => entries.iter().map(|entry| entry.value.size()).sum(),
        }
    }

    /// How deep it is, itself included.
    pub(super) fn depth(&self) -> usize {
        1 + match &self.data {
            Data::Scalar { .. } => 0,
            Data::List(items) => items.iter().map(Self::depth).max().unwrap_or(0),
            Data::Map(entries) => entries.iter().map(|entry| entry.value.depth()).max().unwrap_or(0),
        }
    }
}

/// A text short enough for a message.
pub(super) fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() > 60 || line.len() < text.trim_end().len() {
        format!("{}…", line.chars().take(60).collect::<String>())
    } else {
        line.to_owned()
    }
}

/// What YAML makes of a plain scalar.
pub(super) fn typed(text: &str) -> Value {
    // Everything that is not a text begins with one of these and holds no blank: the rest need not be asked.
    let candidate = match text.bytes().next() {
        None => return Value::Null,
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => true,
        Some(b'~' | b'n' | b'N' | b't' | b'T' | b'f' | b'F') => text.len() <= 5,
        Some(_) => false,
    };
    if !candidate || text.contains(char::is_whitespace) {
        return Value::String(text.to_owned());
    }
    match serde_yaml::from_str::<serde_yaml::Value>(text) {
        Ok(serde_yaml::Value::Null) => Value::Null,
        Ok(serde_yaml::Value::Bool(flag)) => Value::Bool(flag),
        Ok(serde_yaml::Value::Number(number)) => number
            .as_i64()
            .map(Number::from)
            .or_else(|| number.as_u64().map(Number::from))
            .or_else(|| number.as_f64().and_then(Number::from_f64))
            .map_or_else(|| Value::String(text.to_owned()), Value::Number),
        _ => Value::String(text.to_owned()),
    }
}
