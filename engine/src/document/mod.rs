//! The runbook as its author wrote it: reading, checking, describing.

pub mod model;
pub mod params;
mod suggestion;

use std::collections::BTreeMap;

/// The texts that a document was read from: the runbook first, then the files that it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// Name as given, and text.
    pub files: Vec<(String, String)>,
}

impl Sources {
    /// By name, as the plan keeps them.
    pub fn by_name(&self) -> BTreeMap<String, String> {
        self.files.iter().cloned().collect()
    }
}
