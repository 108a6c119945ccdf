//! Names that stand for nothing.

use super::{Check, book::Book};
use crate::{
    diagnostic::Diagnostic,
    document::{model::Spanned, suggestion::nearest},
};

impl<'r> Check<'r> {
    /// Reports a step that is not there.
    pub(super) fn unknown_step(&mut self, book: &Book<'r>, level: usize, reference: &Spanned<String>) {
        let problem = Diagnostic::error(
            "unknown-step",
            format!("there is no step `{}`", reference.value),
            reference.place,
        );
        let own = book.levels[level].ids();
        let root = book.levels[0].ids();
        let near = nearest(&reference.value, own.chain(root)).map(|near| format!("did you mean `{near}`?"));
        self.report(match near.or_else(|| self.elsewhere(book, &reference.value)) {
            Some(hint) => problem.hint(hint),
            None => problem,
        });
    }

    /// Where a step of this id stands, if it only lacks its path.
    fn elsewhere(&self, book: &Book<'r>, id: &str) -> Option<String> {
        book.levels.iter().enumerate().skip(1).find_map(|(level, steps)| {
            steps.find(id)?;
            let (caller_level, caller) = *book.callers[level].first()?;
            (caller_level == 0).then(|| {
                format!(
                    "a step of another block has its path: `{}/{id}`",
                    book.levels[0].steps[caller].id.value
                )
            })
        })
    }

    /// A step that a list of steps names (`failed_in`, `touched_by`).
    pub(super) fn known_step(&mut self, book: &Book<'r>, level: usize, reference: &Spanned<String>) {
        if book.resolved(level, reference).is_none() {
            self.unknown_step(book, level, reference);
        }
    }

    /// A target group that is not there.
    pub(super) fn known_group(&mut self, name: &str, place: crate::diagnostic::Place) -> bool {
        // One that could not be read was reported.
        if name.is_empty() {
            return true;
        }
        let groups = || self.entry.targets.iter().map(|group| group.name.value.as_str());
        if groups().any(|group| group == name) {
            return true;
        }
        let problem = Diagnostic::error("unknown-group", format!("there is no target group `{name}`"), place);
        let known: Vec<&str> = groups().collect();
        let problem = match nearest(name, known.iter().copied()) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => problem.hint("the runbook has no `targets`"),
            None => problem.hint(format!("its groups are {}", known.join(", "))),
        };
        self.report(problem);
        false
    }
}
