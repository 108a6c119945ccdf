//! From the tree to the typed document: every problem is collected, none ends the reading.

mod claim;
mod composite;
mod expression;
mod fields;
mod header;
mod host;
mod inventory;
mod rollout;
mod scalar;
mod step;
mod target;
mod test_file;

use std::collections::BTreeMap;

pub(super) use composite::Files;
pub(super) use scalar::alternatives;

use super::{
    model::{Block, Runbook, Spanned},
    text::Lines,
    tree::Node,
};
use crate::diagnostic::{Diagnostic, Place};

/// Reads one file's tree.
pub(super) struct Decoder<'d, 'l> {
    source: usize,
    lines: &'d Lines<'d>,
    problems: &'d mut Vec<Diagnostic>,
    files: &'d mut Files<'l>,
    /// Read because `run:` names it: it brings no targets, `finally`, `notify` or `env`.
    part: bool,
}

const KEYS: &[&str] = &[
    "runbook",
    "description",
    "env",
    "params",
    "targets",
    "patchset",
    "blocks",
    "steps",
    "finally",
    "notify",
];
const NOT_IN_A_PART: &[&str] = &["env", "targets", "patchset", "finally", "notify"];

impl<'d, 'l> Decoder<'d, 'l> {
    pub(super) fn new(
        source: usize,
        lines: &'d Lines<'d>,
        problems: &'d mut Vec<Diagnostic>,
        files: &'d mut Files<'l>,
        part: bool,
    ) -> Self {
        Self { source, lines, problems, files, part }
    }

    /// The document; `None` when not even its outline is there.
    pub(super) fn runbook(&mut self, root: &Node) -> Option<Runbook> {
        let whole = Place::whole(self.source);
        let fields = self.fields(root, whole, "a runbook", KEYS)?;
        if self.part {
            for entry in fields.entries().filter(|entry| NOT_IN_A_PART.contains(&entry.key.as_str())) {
                let message = format!("a file that `run:` names cannot have `{}`", entry.key);
                self.report(
                    Diagnostic::error("not-in-a-file", message, entry.place)
                        .hint("it stands in the runbook that runs the file"),
                );
            }
        }
        let name = match self.required(&fields, "runbook") {
            Some(node) => {
                self.name(node, "runbook").unwrap_or_else(|| Spanned::new(String::new(), node.place))
            }
            None => Spanned::new(String::new(), whole),
        };
        let description = fields.get("description").and_then(|entry| self.text(entry)).map(|text| text.value);
        let params = fields.get("params").map(|entry| self.params(entry)).unwrap_or_default();
        let mut runbook = Runbook {
            name,
            description,
            env: Vec::new(),
            params,
            targets: Vec::new(),
            patchset: None,
            blocks: Vec::new(),
            steps: Vec::new(),
            finally: Vec::new(),
            notify: Vec::new(),
        };
        if let Some(entry) = fields.get("blocks") {
            for block in self.named(entry, "block") {
                let steps = self.steps(block);
                let name = Spanned::new(block.key.clone(), block.place);
                runbook.blocks.push(Block { name, steps });
            }
        }
        if self.required(&fields, "steps").is_some() {
            runbook.steps = fields.get("steps").map(|entry| self.steps(entry)).unwrap_or_default();
        }
        if self.part {
            return Some(runbook);
        }
        if let Some(entry) = fields.get("env") {
            runbook.env = self.env(entry);
        }
        if let Some(entry) = fields.get("targets") {
            runbook.targets = self.targets(entry);
        }
        if let Some(entry) = fields.get("patchset") {
            runbook.patchset = self.patchset(entry);
        }
        if let Some(entry) = fields.get("finally") {
            runbook.finally = self.steps(entry);
        }
        if let Some(entry) = fields.get("notify") {
            runbook.notify = self.notify(entry);
        }
        Some(runbook)
    }

    fn report(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }
}

/// Finds which of these names stands twice, for lists that are sets.
fn repeated<'v>(values: impl IntoIterator<Item = &'v Spanned<String>>) -> Vec<&'v Spanned<String>> {
    let mut seen = BTreeMap::new();
    values.into_iter().filter(|value| seen.insert(value.value.as_str(), ()).is_some()).collect()
}
