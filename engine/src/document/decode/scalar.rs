//! Values that stand alone.

use serde_json::Value;

use super::Decoder;
use crate::{
    diagnostic::Diagnostic,
    document::{
        model::{Amount, Spanned},
        suggestion::nearest,
        tree::{Data, Entry, Node},
    },
    duration::Span,
};

impl Decoder<'_, '_> {
    /// Reports that a value is not what its key wants.
    pub(super) fn wrong(&mut self, key: &str, wanted: &str, node: &Node) {
        let message = format!("`{key}` must be {wanted}, not {}", node.described());
        let mut problem = Diagnostic::error("wrong-type", message, node.place);
        if let Data::Scalar { text, .. } = &node.data
            && !node.is_null()
        {
            if wanted == "a text" {
                problem = problem.hint(format!("put it in quotes: \"{text}\""));
            } else if wanted.starts_with("a list") && !text.contains(char::is_whitespace) {
                problem = problem.hint(format!("write [{text}]"));
            }
        }
        self.report(problem);
    }

    pub(super) fn text(&mut self, entry: &Entry) -> Option<Spanned<String>> {
        self.text_of(&entry.key, &entry.value)
    }

    pub(super) fn text_of(&mut self, key: &str, node: &Node) -> Option<Spanned<String>> {
        match node.value() {
            Value::String(text) => Some(Spanned::new(text, node.place)),
            _ => {
                self.wrong(key, "a text", node);
                None
            }
        }
    }

    /// A text that is a name.
    pub(super) fn name(&mut self, node: &Node, what: &str) -> Option<Spanned<String>> {
        let name = self.text_of(what, node)?;
        self.check_name(&name.value, name.place, what);
        Some(name)
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, entry: &Entry) -> Vec<Spanned<String>> {
        let Data::List(items) = &entry.value.data else {
            self.wrong(&entry.key, "a list of texts", &entry.value);
            return Vec::new();
        };
        items.iter().filter_map(|item| self.text_of(&entry.key, item)).collect()
    }

    /// A list of names in which none stands twice.
    pub(super) fn set(&mut self, entry: &Entry) -> Vec<Spanned<String>> {
        let texts = self.texts(entry);
        for repeated in super::repeated(&texts) {
            let message = format!("`{}` stands twice in `{}`", repeated.value, entry.key);
            self.report(Diagnostic::error("repeated", message, repeated.place).hint("take one out"));
        }
        texts
    }

    pub(super) fn span(&mut self, entry: &Entry) -> Option<Spanned<Span>> {
        let span = match entry.value.value() {
            Value::String(text) => Span::parse(&text),
            _ => None,
        };
        if span.is_none() {
            self.wrong(&entry.key, "a duration like 90s, 15m, 2h or 14d", &entry.value);
        }
        Some(Spanned::new(span?, entry.value.place))
    }

    pub(super) fn whole(&mut self, entry: &Entry) -> Option<Spanned<u32>> {
        let number = entry.value.value().as_u64().and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            self.wrong(&entry.key, "a whole number", &entry.value);
        }
        Some(Spanned::new(number?, entry.value.place))
    }

    pub(super) fn flag(&mut self, entry: &Entry) -> Option<Spanned<bool>> {
        let flag = entry.value.value().as_bool();
        if flag.is_none() {
            self.wrong(&entry.key, "true or false", &entry.value);
        }
        Some(Spanned::new(flag?, entry.value.place))
    }

    pub(super) fn amount(&mut self, key: &str, node: &Node) -> Option<Spanned<Amount>> {
        let amount = match node.value() {
            Value::Number(number) => {
                number.as_u64().and_then(|number| u32::try_from(number).ok()).map(Amount::Count)
            }
            Value::String(text) => text
                .strip_suffix('%')
                .filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok())
                .map(Amount::Percent),
            _ => None,
        };
        if amount.is_none() {
            self.wrong(key, "a number like 5 or a share like 5%", node);
        }
        Some(Spanned::new(amount?, node.place))
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &str,
        node: &Node,
        known: &[(&str, T)],
    ) -> Option<Spanned<T>> {
        let text = match &node.data {
            Data::Scalar { text, .. } if !node.is_null() => text.as_str(),
            _ => "",
        };
        if let Some((_, value)) = known.iter().find(|(word, _)| *word == text) {
            return Some(Spanned::new(*value, node.place));
        }
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        let message = format!("`{key}` must be {}, not {}", alternatives(&words), node.described());
        let mut problem = Diagnostic::error("unknown-word", message, node.place);
        if let Some(near) = nearest(text, words) {
            problem = problem.hint(format!("did you mean `{near}`?"));
        }
        self.report(problem);
        None
    }
}

/// `a`, `b` or `c`.
pub(in crate::document) fn alternatives(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("{} or `{last}`", first.join(", "))
        }
    }
}
