//! What is written down and used nowhere.

use std::collections::BTreeSet;

use super::{Check, book::Book};
use crate::diagnostic::Diagnostic;

/// What the steps of one file use.
#[derive(Debug, Default)]
pub(super) struct Used<'r> {
    pub(super) params: BTreeSet<String>,
    pub(super) blocks: BTreeSet<&'r str>,
}

impl<'r> Check<'r> {
    /// Parameters and blocks of one file.
    pub(super) fn usage(&mut self, book: &Book<'r>, used: &Used<'r>) {
        for param in &book.runbook.params {
            if !used.params.contains(&param.name.value) {
                let message = format!("the parameter `{}` is used nowhere", param.name.value);
                self.report(Diagnostic::warning("unused-param", message, param.name.place));
            }
        }
        for block in &book.runbook.blocks {
            if !used.blocks.contains(block.name.value.as_str()) {
                let message = format!("the block `{}` is run nowhere", block.name.value);
                self.report(Diagnostic::warning("unused-block", message, block.name.place));
            }
        }
    }

    /// Groups and environment variables of the runbook.
    pub(super) fn document_usage(&mut self) {
        for group in &self.entry.targets {
            if !self.used_groups.contains(group.name.value.as_str()) {
                let message = format!("the target group `{}` is used nowhere", group.name.value);
                self.problems.push(Diagnostic::warning("unused-group", message, group.name.place));
            }
        }
        for name in &self.entry.env {
            if !self.used_env.contains(&name.value) {
                let message = format!("the environment variable `{}` is used nowhere", name.value);
                self.problems.push(Diagnostic::warning("unused-env", message, name.place));
            }
        }
    }
}
