//! The runbook as its author wrote it: reading, checking, describing.

mod check;
mod decode;
pub mod expectation;
mod inventory;
pub mod model;
pub mod params;
mod parse;
mod schema;
mod sources;
mod suggestion;
mod test_schema;
mod text;
mod tree;

pub(crate) use check::described;
pub(crate) use text::Lines;

pub use check::check;
pub use expectation::{TestReading, read_test};
pub use inventory::{InventoryFile, InventoryReading, is_inventory, read_inventory, read_listing};
pub use schema::schema;
pub use sources::Sources;
pub use suggestion::nearest;
pub use test_schema::test_schema;

use crate::{catalog::Catalog, diagnostic::Diagnostic, loader::Loader};
use decode::{Decoder, Files};
use model::Runbook;

/// How many problems are told at once.
const MOST_PROBLEMS: usize = 1000;

/// What came of reading a document.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The texts that were read: the runbook first, then the files that it runs.
    pub sources: Sources,
    /// The document, as far as it could be read; when there are errors among the diagnostics, it is not whole.
    pub runbook: Option<Runbook>,
    /// All problems, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
}

impl Reading {
    /// Whether something is wrong with it.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }

    /// With what [`check`] finds, all of it sorted by place. What could not be read may be what uses something: then
    /// nothing is called unused.
    #[must_use]
    pub fn checked(mut self, catalog: &dyn Catalog) -> Self {
        if let Some(runbook) = &self.runbook {
            let whole = !self.has_errors();
            let found = check(runbook, catalog);
            self.diagnostics
                .extend(found.into_iter().filter(|found| whole || !found.code.starts_with("unused-")));
            sort(&mut self.diagnostics);
        }
        self
    }
}

/// Reads a runbook and every file that it runs. Nothing in it is looked up: [`check`] does that.
pub fn read(name: &str, bytes: &[u8], loader: &dyn Loader) -> Reading {
    let mut problems = Vec::new();
    let mut files = Files::new(loader);
    let text = text::decode(0, bytes).unwrap_or_else(|refused| {
        problems.push(refused.0);
        refused.1
    });
    files.begin(name, text.clone());
    let mut runbook = None;
    if problems.is_empty() {
        let lines = Lines::of(&text);
        if let Some(root) = parse::parse(0, &lines, &mut problems) {
            runbook = Decoder::new(0, &lines, &mut problems, &mut files, false).runbook(&root);
        }
    }
    sort(&mut problems);
    Reading { sources: Sources { files: files.sources }, runbook, diagnostics: problems }
}

/// By place, each once (what an alias stands for is read as often as it is used).
fn sort(problems: &mut Vec<Diagnostic>) {
    problems.sort_by(|a, b| {
        (a.place, a.severity, a.code, &a.message).cmp(&(b.place, b.severity, b.code, &b.message))
    });
    problems.dedup();
    if problems.len() > MOST_PROBLEMS {
        // Errors before warnings: a document must not pass because its errors were left out.
        problems.sort_by_key(|problem| problem.severity);
        problems.truncate(MOST_PROBLEMS);
        problems.sort_by_key(|problem| problem.place);
    }
}

#[cfg(test)]
mod tests;
