//! Mappings with known keys.

use super::Decoder;
use crate::{
    diagnostic::{Diagnostic, Place},
    document::{
        suggestion::nearest,
        tree::{Data, Entry, Node},
    },
    target::host_name_defect,
};

/// The entries of a mapping whose keys were checked.
pub(super) struct Fields<'n> {
    /// Where its key stands: what it lacks is missing there.
    pub(super) place: Place,
    /// What it is, as a sentence names it: "a step".
    pub(super) what: &'static str,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    pub(super) fn get(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &'n Entry> {
        self.entries.iter()
    }
}

impl Decoder<'_, '_> {
    /// The entries of a mapping that stands under the key at `place`; unknown keys are reported.
    pub(super) fn fields<'n>(
        &mut self,
        node: &'n Node,
        place: Place,
        what: &'static str,
        known: &[&str],
    ) -> Option<Fields<'n>> {
        let Data::Map(entries) = &node.data else {
            let problem = Diagnostic::error(
                "wrong-type",
                format!("{what} must be a mapping, not {}", node.described()),
                node.place,
            );
            self.report(problem.hint(format!("its keys are {}", known.join(", "))));
            return None;
        };
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            let problem =
                Diagnostic::error("unknown-key", format!("{what} has no key `{}`", entry.key), entry.place);
            self.report(problem.hint(match nearest(&entry.key, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its keys are {}", known.join(", ")),
            }));
        }
        Some(Fields { place, what, entries })
    }

    /// The value of a key that must be there.
    pub(super) fn required<'n>(&mut self, fields: &Fields<'n>, key: &str) -> Option<&'n Node> {
        let found = fields.get(key).map(|entry| &entry.value);
        if found.is_none() {
            let message = format!("{} must have `{key}`", fields.what);
            self.report(Diagnostic::error("missing-key", message, fields.place));
        }
        found
    }

    /// The entries of a mapping whose keys are names that the author chose; bad names are reported.
    pub(super) fn named<'n>(&mut self, entry: &'n Entry, what: &'static str) -> &'n [Entry] {
        let Data::Map(entries) = &entry.value.data else {
            let message = format!(
                "`{}` must be a mapping of {what}s by name, not {}",
                entry.key,
                entry.value.described()
            );
            self.report(Diagnostic::error("wrong-type", message, entry.value.place));
            return &[];
        };
        if entries.is_empty() {
            let message = format!("`{}` holds no {what}", entry.key);
            self.report(Diagnostic::error("empty", message, entry.place));
        }
        for named in entries {
            self.check_name(&named.key, named.place, what);
        }
        entries
    }

    /// Names appear in paths (`production/wave-2/patch`), in commands and in expressions.
    pub(super) fn check_name(&mut self, name: &str, place: Place, what: &str) {
        if what == "host" {
            if let Some(defect) = host_name_defect(name) {
                let problem = Diagnostic::error("invalid-name", defect, place);
                self.report(
                    problem.hint("a letter or digit, then letters, digits, `.`, `-` and `_`, at most 255"),
                );
            }
            return;
        }
        let parameter = what == "parameter";
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || (c == '-' && !parameter);
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || (c == '_' && parameter));
        if !begins || !name.chars().all(allowed) || name.len() > 64 {
            let problem = Diagnostic::error(
                "invalid-name",
                format!("`{}` cannot name a {what}", name.escape_debug()),
                place,
            );
            self.report(problem.hint(if parameter {
                "a letter, then letters, digits and `_`, at most 64"
            } else {
                "a letter, then letters, digits, `-` and `_`, at most 64"
            }));
        } else if what == "step" && is_reserved(name) {
            let problem = Diagnostic::error("reserved-name", format!("no step can be named `{name}`"), place);
            self.report(problem.hint("tasks of the plan carry this name: `production/wave-2/soak`"));
        }
    }
}

/// Names that the plan gives to its own parts.
fn is_reserved(name: &str) -> bool {
    let numbered = |prefix: &str| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    matches!(name, "soak" | "verify" | "finally" | "rollback") || numbered("wave-") || numbered("part-")
}
