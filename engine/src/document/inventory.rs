//! Inventory files: hosts and groups, or where they are told.

use std::collections::BTreeMap;

use super::{
    Sources,
    decode::{Decoder, Files},
    parse, sort,
    text::{self, Lines},
};
use crate::{
    diagnostic::{Diagnostic, Place},
    inventory::{Listing, ListingDefect, Register, Source, Subject},
    loader::NoFiles,
};

/// What came of reading an inventory file.
#[derive(Clone, Debug)]
pub struct InventoryReading {
    /// Its text.
    pub sources: Sources,
    /// What it says, as far as it could be read; when there are diagnostics, it is not whole.
    pub file: Option<InventoryFile>,
    /// All problems, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
}

/// An inventory file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InventoryFile {
    /// Its name.
    pub name: String,
    /// What it says itself.
    pub listing: Listing,
    /// Whom it has more hosts from.
    pub source: Option<Source>,
    /// Where groups and hosts stand.
    pub(super) groups: BTreeMap<String, Place>,
    pub(super) hosts: BTreeMap<String, Place>,
}

impl InventoryFile {
    /// One that says nothing itself.
    pub fn told_by(source: Source) -> Self {
        Self { source: Some(source), ..Self::default() }
    }

    /// What the file comes to with what its source said.
    ///
    /// # Errors
    /// Everything that is wrong with it, each where its group or host stands in the file, or at its beginning when only
    /// the source knows them.
    pub fn register(&self, told: Option<Listing>) -> Result<Register, Vec<Diagnostic>> {
        let listing = self.listing.clone().over(told.unwrap_or_default());
        Register::of(&listing).map_err(|defects| {
            let mut problems: Vec<_> = defects.into_iter().map(|defect| self.placed(defect)).collect();
            sort(&mut problems);
            problems
        })
    }

    fn placed(&self, defect: ListingDefect) -> Diagnostic {
        let place = match &defect.subject {
            Subject::Group(name) => self.groups.get(name),
            Subject::Host(name) => self.hosts.get(name),
        };
        let place = place.copied().unwrap_or(Place::whole(0));
        let problem = Diagnostic::error("invalid-inventory", defect.message, place);
        match defect.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

/// Whether a text is an inventory file in our notation: it says `inventory: NAME` at its outermost level. Everything else
/// is left to Ansible, which has groups there.
pub fn is_inventory(text: &str) -> bool {
    let named = |line: &str| {
        let value = line.strip_prefix("inventory:")?.trim();
        Some(!value.is_empty() && !value.starts_with(['#', '{', '&']))
    };
    let json = || {
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        Some(value.get("inventory")?.is_string())
    };
    text.lines().any(|line| named(line) == Some(true))
        || (text.trim_start().starts_with('{') && json() == Some(true))
}

/// Reads an inventory file. Nobody is asked.
pub fn read_inventory(name: &str, bytes: &[u8]) -> InventoryReading {
    read_text(name, bytes, true)
}

/// Reads what a program printed or a server sent: the notation of inventory files, without name and source.
pub fn read_listing(name: &str, bytes: &[u8]) -> InventoryReading {
    read_text(name, bytes, false)
}

fn read_text(name: &str, bytes: &[u8], whole: bool) -> InventoryReading {
    let mut problems = Vec::new();
    let mut files = Files::new(&NoFiles);
    let text = text::decode(0, bytes).unwrap_or_else(|refused| {
        problems.push(refused.0);
        refused.1
    });
    files.begin(name, text.clone());
    let mut file = None;
    if problems.is_empty() {
        let lines = Lines::of(&text);
        if let Some(root) = parse::parse(0, &lines, &mut problems) {
            let decoder = &mut Decoder::new(0, &lines, &mut problems, &mut files, false);
            file = decoder.inventory(&root, whole);
        } else if let Some(problem) = problems.iter_mut().find(|problem| problem.code == "empty-document") {
            *problem = Diagnostic::error("empty-document", "the file holds no inventory", Place::whole(0));
        }
    }
    sort(&mut problems);
    InventoryReading { sources: Sources { files: files.sources }, file, diagnostics: problems }
}
