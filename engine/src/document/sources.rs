//! The texts that a document was read from.

use std::collections::BTreeMap;

use crate::loader::Loader;

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

    /// The name and text of one of them; empty for an index that there is none for.
    pub(crate) fn get(&self, source: usize) -> (&str, &str) {
        self.files.get(source).map_or(("", ""), |(name, text)| (name, text))
    }
}

/// Reads the document again from what was kept of it.
impl Loader for Sources {
    fn load(&self, path: &str) -> Result<Vec<u8>, String> {
        let entry = self.files.first().map_or("", |(name, _)| name);
        let folder = entry.rfind('/').map_or("", |slash| &entry[..=slash]);
        let found = self.files.iter().find(|(name, _)| name.strip_prefix(folder) == Some(path));
        found
            .map(|(_, text)| text.clone().into_bytes())
            .ok_or_else(|| "it is not among the sources".to_owned())
    }
}
