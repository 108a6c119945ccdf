//! The filters that make a value safe inside a script.

use minijinja::{Error, ErrorKind, Value, value::ValueKind};

/// `{{ … | sh }}`: one word of a POSIX shell; a list becomes one word per item.
pub(super) fn sh(value: &Value) -> Result<String, Error> {
    words(value, " ", |text| format!("'{}'", text.replace('\'', r"'\''")))
}

/// `{{ … | ps }}`: one PowerShell string; a list becomes an array.
pub(super) fn ps(value: &Value) -> Result<String, Error> {
    words(value, ", ", |text| {
        let mut quoted = String::from("'");
        for c in text.chars() {
            quoted.push(c);
            // PowerShell ends a string at a typographic quote too.
            if matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}') {
                quoted.push(c);
            }
        }
        quoted.push('\'');
        quoted
    })
}

fn words(value: &Value, between: &str, quote: impl Fn(&str) -> String) -> Result<String, Error> {
    match value.kind() {
        ValueKind::Seq => {
            let words: Vec<String> =
                value.try_iter()?.map(|item| word(&item, &quote)).collect::<Result<_, _>>()?;
            Ok(words.join(between))
        }
        _ => word(value, &quote),
    }
}

fn word(value: &Value, quote: impl Fn(&str) -> String) -> Result<String, Error> {
    match value.kind() {
        ValueKind::String | ValueKind::Number | ValueKind::Bool => {
            let text = match value.kind() {
                ValueKind::Bool => value.is_true().to_string(),
                _ => value.to_string(),
            };
            if text.contains('\0') {
                return Err(Error::new(ErrorKind::InvalidOperation, "a script cannot hold a NUL character"));
            }
            Ok(quote(&text))
        }
        ValueKind::Undefined => Err(ErrorKind::UndefinedError.into()),
        kind => Err(Error::new(ErrorKind::InvalidOperation, format!("a {kind} cannot be quoted"))),
    }
}
