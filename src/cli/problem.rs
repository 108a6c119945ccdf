//! An expected error: one cause, the place, the next command to type.

use std::{error::Error, fmt::Write as _};

use runbook::coordinator::refused::Refused;
use runbook_engine::{
    diagnostic::{self, Diagnostic},
    document::Sources,
};
use serde_json::{Value, json};

use super::exit::Exit;

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let mut problem = Self::from_error(Exit::from_code(refused.exit_code()), &refused);
        problem.next = refused.hint();
        problem
    }
}

/// Why a command could not do what it was asked.
#[derive(Debug)]
pub struct Problem {
    /// What the process exits with.
    pub exit: Exit,
    /// One lower-case sentence.
    pub cause: String,
    /// A file, a run, a task.
    pub at: Option<String>,
    /// The command to type next.
    pub next: Option<String>,
    /// What is wrong with a document, where that is the cause.
    defects: Option<Box<Defects>>,
}

/// What is wrong with a document.
#[derive(Debug)]
struct Defects {
    diagnostics: Vec<Diagnostic>,
    /// The texts that the diagnostics point into.
    sources: Sources,
}

impl Problem {
    /// A problem with its cause.
    pub fn new(exit: Exit, cause: impl Into<String>) -> Self {
        Self { exit, cause: cause.into(), at: None, next: None, defects: None }
    }

    /// A problem with the cause that an error and its sources tell.
    pub fn from_error(exit: Exit, error: &dyn Error) -> Self {
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let _ = write!(cause, ": {error}");
            source = error.source();
        }
        Self::new(exit, cause)
    }

    /// Something that nobody foresaw.
    pub fn bug(cause: impl Into<String>) -> Self {
        Self::new(Exit::Bug, cause)
    }

    /// Problems of a document, parameters included.
    pub fn invalid(cause: impl Into<String>, diagnostics: Vec<Diagnostic>, sources: Sources) -> Self {
        let defects = Some(Box::new(Defects { diagnostics, sources }));
        Self { defects, ..Self::new(Exit::Invalid, cause) }
    }

    /// With its place.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.at = Some(place.into());
        self
    }

    /// With the command to type next.
    #[must_use]
    pub fn next(mut self, command: impl Into<String>) -> Self {
        self.next = Some(command.into());
        self
    }

    /// For a person.
    pub fn to_text(&self, color: bool) -> String {
        let mut text = String::new();
        if let Some(Defects { diagnostics, sources }) = self.defects.as_deref() {
            text.push_str(diagnostic::render(diagnostics, sources, color).trim_end());
            text.push_str("\n\n");
        }
        let (red, bold, off) = if color { ("\x1b[1;31m", "\x1b[1m", "\x1b[0m") } else { ("", "", "") };
        let _ = writeln!(text, "{red}error{off}{bold}: {}{off}", self.cause);
        if let Some(at) = &self.at {
            let _ = writeln!(text, "  at {at}");
        }
        if self.exit == Exit::Bug {
            let _ = writeln!(
                text,
                "  this is our bug, or an I/O error that we did not foresee; the journal is safe"
            );
        }
        if let Some(next) = &self.next {
            // Most hints are a command to type; a few are something else to do.
            let word = if next.starts_with("runbook ") { "try" } else { "do" };
            let _ = writeln!(text, "  {word}: {next}");
        }
        text
    }

    /// For a program: one line.
    pub fn to_json(&self) -> Value {
        let diagnostics: Vec<Value> = match self.defects.as_deref() {
            Some(Defects { diagnostics, sources }) => {
                diagnostics.iter().map(|each| diagnostic::to_json(each, sources)).collect()
            }
            None => Vec::new(),
        };
        json!({
            "error": self.cause,
            "exit": self.exit.code(),
            "at": self.at,
            "try": self.next,
            "diagnostics": diagnostics,
        })
    }
}
