//! What is wrong with a document, and where.

mod render;

use serde::Serialize;
use serde_json::{Value, json};

pub use render::render;

use crate::document::Sources;

/// A place in a file; lines and columns count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// Which source of the document, as an index into [`crate::document::Sources`].
    pub source: usize,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How many characters are meant (at least 1, all on this line).
    pub width: usize,
}

impl Place {
    /// The whole file: 1:1.
    pub const fn whole(source: usize) -> Self {
        Self { source, line: 1, column: 1, width: 1 }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The document cannot be planned.
    Error,
    /// It can, but look.
    Warning,
}

/// One problem, at one place, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// A stable word for this kind of problem: `unknown-key`.
    pub code: &'static str,
    /// One lower-case sentence without a full stop.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What to do, if there is something to say.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error.
    pub fn error(code: &'static str, message: impl Into<String>, place: Place) -> Self {
        Self { severity: Severity::Error, code, message: message.into(), place, hint: None }
    }

    /// A warning.
    pub fn warning(code: &'static str, message: impl Into<String>, place: Place) -> Self {
        Self { severity: Severity::Warning, code, message: message.into(), place, hint: None }
    }

    /// With what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether the document cannot be planned.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// As `check --json` prints it: severity, code, message, file, line, column, hint.
pub fn to_json(diagnostic: &Diagnostic, sources: &Sources) -> Value {
    json!({
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "file": sources.get(diagnostic.place.source).0,
        "line": diagnostic.place.line,
        "column": diagnostic.place.column,
        "hint": diagnostic.hint,
    })
}
