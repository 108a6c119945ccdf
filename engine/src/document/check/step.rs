//! One step: what it does, on which machines, for how long.

use super::{
    Check,
    book::{Book, Site},
    usage::Used,
};
use crate::{
    diagnostic::{Diagnostic, Place},
    document::model::{Step, StepTargets, What},
    duration::Span,
};

impl<'r> Check<'r> {
    pub(super) fn step(&mut self, book: &Book<'r>, level: usize, index: usize, used: &mut Used<'r>) {
        let step = &book.levels[level].steps[index];
        self.step_targets(book, level, step);
        match &step.what {
            What::Uses(action) => self.action(book, level, index, action),
            What::Block(name) => self.block(book, level, index, name, used),
            What::File { runbook, .. } => self.file(book, level, index, runbook.as_deref()),
        }
        self.deadlines(step);
        self.rollout(book, level, index);
        self.step_expressions(book, level, index, used);
        if matches!(book.levels[level].site, Site::Finally)
            && let Some(rollout) = &step.rollout
        {
            self.report(
                Diagnostic::error(
                    "finally-rollout",
                    "a step of `finally` cannot have a `rollout`",
                    rollout.place,
                )
                .hint("it runs once, at the end"),
            );
        }
        if let Some(restores) = &step.restores {
            self.backup_reference(book, level, &restores.value, restores.place);
        }
    }

    fn step_targets(&mut self, book: &Book<'r>, level: usize, step: &'r Step) {
        let Some(targets) = &step.targets else { return };
        match &targets.value {
            StepTargets::Group(group) => {
                if self.known_group(group, targets.place) {
                    self.used_groups.insert(group);
                }
            }
            StepTargets::FailedIn(steps) | StepTargets::TouchedBy(steps) => {
                for reference in steps {
                    if reference.value == step.id.value {
                        let message = format!("`{}` cannot name itself", step.id.value);
                        self.report(Diagnostic::error("names-itself", message, reference.place));
                    } else {
                        self.known_step(book, level, reference);
                    }
                }
            }
        }
    }

    fn deadlines(&mut self, step: &Step) {
        let zero = |place: Place, key: &str| {
            Diagnostic::error("zero-duration", format!("`{key}` must be longer than nothing"), place)
        };
        if let Some(timeout) = step.timeout.as_ref().filter(|timeout| timeout.value == Span::ZERO) {
            self.report(zero(timeout.place, "timeout"));
        }
        if let Some(within) = step.resolve_within.as_ref().filter(|within| within.value == Span::ZERO) {
            self.report(zero(within.place, "resolve_within"));
        }
        if let Some(retry) = step.retry.as_ref().filter(|retry| retry.attempts.value == 0) {
            self.report(
                Diagnostic::error("zero-attempts", "`attempts` must be at least 1", retry.attempts.place)
                    .hint("it counts all attempts, the first one too"),
            );
        }
    }

    /// `from:` or `restores:`: a step that makes a backup.
    pub(super) fn backup_reference(&mut self, book: &Book<'r>, level: usize, reference: &str, place: Place) {
        let reference = crate::document::model::Spanned::new(reference.to_owned(), place);
        match book.resolved(level, &reference) {
            None => self.unknown_step(book, level, &reference),
            Some(found) if !self.backs_up(found.step) => {
                let message = format!("`{}` makes no backup", reference.value);
                self.report(
                    Diagnostic::error("not-a-backup", message, place)
                        .hint("name a step that uses `aws/snapshot`, or one that says `backs_up: true`"),
                );
            }
            Some(_) => {}
        }
    }

    /// Whether a completed step is a backup of its machines.
    pub(super) fn backs_up(&self, step: &Step) -> bool {
        match &step.what {
            What::Uses(action) => {
                step.backs_up.as_ref().is_some_and(|flag| flag.value)
                    || self.catalog.action(&action.value).is_none_or(|doc| doc.backs_up)
            }
            What::Block(_) | What::File { .. } => false,
        }
    }
}
