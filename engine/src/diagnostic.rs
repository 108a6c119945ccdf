//! What is wrong with a document, and where.

use serde::Serialize;

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
