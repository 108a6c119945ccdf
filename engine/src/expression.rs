//! Expressions: `{{ … }}` in texts, and `when:`.
//!
//! The language of what stands between the braces is minijinja's, with undefined names as errors. Statements and
//! comments (`{% … %}`, `{# … #}`) are not part of it: a shell script may hold `${#list}`.

mod names;
mod quote;
mod scope;
mod segment;

use std::collections::BTreeSet;

use minijinja::{Environment, ErrorKind, UndefinedBehavior, value::ValueKind};
use serde_json::Value;
use thiserror::Error;

pub use names::{Call, FilterUse, Path, Uses};
pub use scope::{Scope, Secrets};
pub use segment::{Segment, segments};

/// The longest expression, in bytes.
const LONGEST: usize = 16 * 1024;

/// Why a text could not be rendered.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExpressionError {
    /// What stands between the braces is not an expression.
    #[error("{message}")]
    Syntax {
        /// What the parser says.
        message: String,
        /// Where in the text, in bytes.
        offset: usize,
    },
    /// A name that holds nothing.
    #[error("`{name}` is not defined")]
    Undefined {
        /// The name, as written.
        name: String,
    },
    /// A secret that nobody gave.
    #[error("the secret `{name}` is not set")]
    MissingSecret {
        /// Its name.
        name: String,
    },
    /// A list, a mapping or nothing in the middle of a text.
    #[error("`{expression}` is {kind}, which cannot stand inside a text")]
    NoText {
        /// The expression.
        expression: String,
        /// What it is.
        kind: String,
    },
    /// It could not be computed.
    #[error("`{expression}` cannot be computed: {message}")]
    Evaluation {
        /// The expression.
        expression: String,
        /// Why.
        message: String,
    },
}

/// Reads and renders expressions.
#[derive(Debug)]
pub struct Expressions {
    environment: Environment<'static>,
}

impl Default for Expressions {
    fn default() -> Self {
        Self::new()
    }
}

impl Expressions {
    /// The one language of expressions that there is.
    pub fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        for function in ["range", "dict", "debug", "namespace"] {
            environment.remove_global(function);
        }
        for markup in ["escape", "e", "safe", "pprint"] {
            environment.remove_filter(markup);
        }
        environment.add_filter("sh", quote::sh);
        environment.add_filter("ps", quote::ps);
        Self { environment }
    }

    /// The names of all filters, sorted.
    pub fn filters() -> &'static [&'static str] {
        names::FILTERS
    }

    /// Whether a text holds an expression at all.
    pub fn is_used_in(text: &str) -> bool {
        text.contains("{{")
    }

    /// The top-level names that a text uses: `params`, `target`, …; `secret` when it calls `secret()`.
    ///
    /// # Errors
    /// [`ExpressionError::Syntax`].
    pub fn names_used(&self, text: &str) -> Result<BTreeSet<String>, ExpressionError> {
        let mut names = BTreeSet::new();
        for segment in segments(text)? {
            if let Segment::Expression { text, offset } = segment {
                let uses = Uses::of(text).map_err(|error| error.moved(offset))?;
                uses.add_names_to(&mut names);
            }
        }
        Ok(names)
    }

    /// The top-level names that any text inside a value uses.
    ///
    /// # Errors
    /// [`ExpressionError::Syntax`].
    pub fn names_used_in(&self, value: &Value) -> Result<BTreeSet<String>, ExpressionError> {
        Ok(match value {
            Value::String(text) if Self::is_used_in(text) => self.names_used(text)?,
            Value::Array(items) => self.names_of_all(items)?,
            Value::Object(entries) => self.names_of_all(entries.values())?,
            _ => BTreeSet::new(),
        })
    }

    fn names_of_all<'v>(
        &self,
        values: impl IntoIterator<Item = &'v Value>,
    ) -> Result<BTreeSet<String>, ExpressionError> {
        let mut names = BTreeSet::new();
        for value in values {
            names.append(&mut self.names_used_in(value)?);
        }
        Ok(names)
    }

    /// The top-level names that a condition (`when:`) uses.
    ///
    /// # Errors
    /// [`ExpressionError::Syntax`].
    pub fn names_in_condition(&self, when: &str) -> Result<BTreeSet<String>, ExpressionError> {
        let mut names = BTreeSet::new();
        Uses::of(condition(when))?.add_names_to(&mut names);
        Ok(names)
    }

    /// The value with every expression in it replaced by what it comes to. A text that is nothing but one
    /// expression takes over the type of what it comes to.
    ///
    /// # Errors
    /// Any [`ExpressionError`].
    pub fn render(&self, value: &Value, scope: &Scope<'_>) -> Result<Value, ExpressionError> {
        Ok(match value {
            Value::String(text) if Self::is_used_in(text) => self.render_text(text, scope)?,
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.render(item, scope)).collect::<Result<_, _>>()?)
            }
            Value::Object(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), self.render(value, scope)?)))
                    .collect::<Result<_, ExpressionError>>()?,
            ),
            _ => value.clone(),
        })
    }

    /// Whether a condition (`when:`) holds.
    ///
    /// # Errors
    /// Any [`ExpressionError`].
    pub fn test(&self, when: &str, scope: &Scope<'_>) -> Result<bool, ExpressionError> {
        Ok(self.evaluate(condition(when), 0, scope)?.is_true())
    }

    fn render_text(&self, text: &str, scope: &Scope<'_>) -> Result<Value, ExpressionError> {
        let segments = segments(text)?;
        if let [Segment::Expression { text, offset }] = segments[..] {
            let value = self.evaluate(text, offset, scope)?;
            return serde_json::to_value(&value).map_err(|error| ExpressionError::Evaluation {
                expression: text.trim().to_owned(),
                message: error.to_string(),
            });
        }
        let mut rendered = String::with_capacity(text.len());
        for segment in segments {
            match segment {
                Segment::Text(text) => rendered.push_str(text),
                Segment::Expression { text, offset } => {
                    let value = self.evaluate(text, offset, scope)?;
                    match value.kind() {
                        ValueKind::Bool => rendered.push_str(if value.is_true() { "true" } else { "false" }),
                        ValueKind::String | ValueKind::Number => rendered.push_str(&value.to_string()),
                        kind => {
                            return Err(ExpressionError::NoText {
                                expression: text.trim().to_owned(),
                                kind: match kind {
                                    ValueKind::None => "nothing".into(),
                                    ValueKind::Map => "a mapping".into(),
                                    _ => "a list".into(),
                                },
                            });
                        }
                    }
                }
            }
        }
        Ok(Value::String(rendered))
    }

    fn evaluate(
        &self,
        expression: &str,
        offset: usize,
        scope: &Scope<'_>,
    ) -> Result<minijinja::Value, ExpressionError> {
        let uses = Uses::of(expression).map_err(|error| error.moved(offset))?;
        let context = scope.context(&uses)?;
        let undefined = || ExpressionError::Undefined {
            name: uses.first_undefined(&context).unwrap_or_else(|| expression.trim().to_owned()),
        };
        let failed = |message: String| ExpressionError::Evaluation {
            expression: expression.trim().to_owned(),
            message,
        };
        let compiled = self
            .environment
            .compile_expression_owned(expression.to_owned())
            .map_err(|error| failed(said(&error)))?;
        match compiled.eval(context.clone()) {
            Ok(value) if value.is_undefined() => Err(undefined()),
            Ok(value) => Ok(value),
            Err(error) if error.kind() == ErrorKind::UndefinedError => Err(undefined()),
            Err(error) => Err(failed(said(&error))),
        }
    }
}

impl ExpressionError {
    /// The same error, for a text that begins `by` bytes earlier.
    fn moved(self, by: usize) -> Self {
        match self {
            Self::Syntax { message, offset } => Self::Syntax { message, offset: offset + by },
            other => other,
        }
    }
}

/// What a condition says, without the braces that some people write around it.
pub fn condition(when: &str) -> &str {
    let trimmed = when.trim();
    match segments(trimmed).as_deref() {
        Ok([Segment::Expression { text, .. }]) => text,
        _ => trimmed,
    }
}

/// What minijinja says of an error, without its prefix and place.
fn said(error: &minijinja::Error) -> String {
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    }
}

#[cfg(test)]
mod tests;
