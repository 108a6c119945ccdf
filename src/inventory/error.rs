//! Why an inventory gives no hosts.

use std::{io, path::Path};

use runbook_engine::{diagnostic::Diagnostic, document::Sources};
use runbook_steps::ports::fault::{Fault, FaultKind};
use thiserror::Error;

/// Why an inventory gives no hosts. No secret is in it.
#[derive(Clone, Debug, Error)]
pub enum InventoryError {
    /// The file is wrong.
    #[error("{}", first(path, sources, diagnostics))]
    Invalid {
        /// The file.
        path: String,
        /// Its text.
        sources: Sources,
        /// What is wrong.
        diagnostics: Vec<Diagnostic>,
    },
    /// It cannot be read.
    #[error("{path}: {why}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why, one phrase.
        why: String,
    },
    /// The source that it names gave no answer that can be used.
    #[error("{path}: {why}")]
    Refused {
        /// The file.
        path: String,
        /// Why, one lower-case sentence.
        why: String,
        /// What to do.
        hint: Option<String>,
    },
}

impl InventoryError {
    /// Whether the file itself is wrong, and not what lies outside.
    pub fn is_invalid(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }

    /// What to do, where there is something to say.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }

    /// As the port to inventories says it.
    pub(crate) fn fault(&self) -> Fault {
        let kind = if self.is_invalid() { FaultKind::Invalid } else { FaultKind::NotFound };
        let mut message = self.to_string();
        if let Some(hint) = self.hint() {
            message.push_str("; ");
            message.push_str(hint);
        }
        Fault { call: "hosts:inventory", kind, code: None, message }
    }
}

/// The first problem with its place; `runbook inventory` shows all of them.
fn first(path: &str, sources: &Sources, diagnostics: &[Diagnostic]) -> String {
    let Some(problem) = diagnostics.first() else { return format!("{path}: it is not valid") };
    let name = sources.files.first().map_or(path, |(name, _)| name);
    let mut text = format!("{name}:{}:{}: {}", problem.place.line, problem.place.column, problem.message);
    if let Some(hint) = &problem.hint {
        text.push_str(&format!(" ({hint})"));
    }
    if diagnostics.len() > 1 {
        text.push_str(&format!("; and {} more problems", diagnostics.len() - 1));
    }
    text
}

/// A file that cannot be read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> InventoryError {
    let why = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    InventoryError::Unreadable { path: path.display().to_string(), why }
}
