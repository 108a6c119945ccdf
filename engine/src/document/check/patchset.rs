//! `patchset:` names where patches are tested; everything else that installs them comes after that.

use super::{
    Check,
    book::{Book, Site},
};
use crate::{
    diagnostic::Diagnostic,
    document::{
        model::{Runbook, Step, What},
        suggestion::nearest,
    },
    outcome::Effect,
};

/// How deep composites are followed; the planner refuses deeper ones.
const DEEPEST: usize = 32;

/// Whether a step installs what a patchset says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Yes,
    No,
    /// It uses an action, a block or a file that is not there: that was reported.
    Perhaps,
}

impl<'r> Check<'r> {
    /// Where the patchset comes from, and who takes it.
    pub(super) fn patchset(&mut self, book: &Book<'r>) {
        let Some(from) = book.runbook.patchset.as_ref().map(|patchset| &patchset.from) else { return };
        // One that could not be read was reported.
        if from.value.is_empty() || book.recursive {
            return;
        }
        let root = &book.levels[0];
        let Some(source) = root.find(&from.value) else {
            let message = format!("there is no step `{}` at the top level", from.value);
            let near = nearest(&from.value, root.ids()).map(|near| format!("did you mean `{near}`?"));
            return self.report(
                Diagnostic::error("unknown-step", message, from.place)
                    .hint(near.unwrap_or_else(|| "name the step that installs patches first".to_owned())),
            );
        };
        let id = from.value.as_str();
        match self.takes(book.runbook, &root.steps[source], DEEPEST) {
            Takes::Yes if !book.has_targets(0, source) => {
                let message =
                    format!("`{id}` has no targets, so there are no machines that test the patches");
                self.report(
                    Diagnostic::error("patchset-without-targets", message, from.place)
                        .hint("name a step with `targets`"),
                );
            }
            Takes::No => {
                let message = format!("nothing in `{id}` installs patches that a patchset could be made of");
                let problem = Diagnostic::error("patchset-from-nothing", message, from.place);
                let takers = self.takers();
                self.report(match takers.is_empty() {
                    true => problem,
                    false => problem.hint(format!("a patchset is made by {}", takers.join(", "))),
                });
            }
            _ => {}
        }
        let mut taken = false;
        for (level, at) in book.levels.iter().enumerate() {
            if matches!(at.site, Site::Block(_)) {
                continue;
            }
            for (index, step) in at.steps.iter().enumerate().filter(|at| level != 0 || at.0 != source) {
                let takes = self.takes(book.runbook, step, DEEPEST);
                taken |= takes != Takes::No;
                if takes == Takes::Yes && level == 0 {
                    self.comes_after(book, source, index);
                }
            }
        }
        if !taken {
            let message = format!("no step but `{id}` installs patches: nothing takes the patchset");
            self.report(
                Diagnostic::warning("unused-patchset", message, from.place)
                    .hint("take `patchset` out, or add the stages that come after it"),
            );
        }
    }

    /// A step that takes the patchset starts only when it has been tested.
    fn comes_after(&mut self, book: &Book<'r>, source: usize, index: usize) {
        let root = &book.levels[0];
        let (from, id) = (&root.steps[source].id.value, &root.steps[index].id);
        // A step that is skipped waits for nothing.
        if root.before(index, |step| step.when.is_none()).contains(&source) {
            return;
        }
        // What it needs and is not there may be the way: it was reported.
        let unknown = |step: &Step| step.needs.iter().any(|need| book.resolved(0, need).is_none());
        if unknown(&root.steps[index])
            || root.before(index, |_| true).into_iter().any(|earlier| unknown(&root.steps[earlier]))
        {
            return;
        }
        let message = if root.is_before(source, index) {
            format!("`{}` waits for `{from}` only through steps under `when:`", id.value)
        } else {
            format!("`{}` installs patches and does not wait until `{from}` has tested them", id.value)
        };
        self.report(
            Diagnostic::error("untested-patches", message, id.place)
                .hint(format!("add `{from}` to its `needs`")),
        );
    }

    fn takes(&self, runbook: &Runbook, step: &Step, depth: usize) -> Takes {
        let any = |steps: &[Step]| {
            let mut found = Takes::No;
            for step in steps {
                match self.takes(runbook, step, depth - 1) {
                    Takes::Yes => return Takes::Yes,
                    Takes::Perhaps => found = Takes::Perhaps,
                    Takes::No => {}
                }
            }
            found
        };
        match &step.what {
            _ if depth == 0 => Takes::Perhaps,
            What::Uses(action) => match self.catalog.action(&action.value) {
                Some(doc) if doc.takes_patchset && self.effect_said(step, doc) != Effect::Reads => Takes::Yes,
                Some(_) => Takes::No,
                None => Takes::Perhaps,
            },
            What::Block(name) => {
                let block = runbook.blocks.iter().find(|block| block.name.value == name.value);
                block.map_or(Takes::Perhaps, |block| any(&block.steps))
            }
            What::File { runbook: None, .. } => Takes::Perhaps,
            What::File { runbook: Some(file), .. } => {
                let steps = file.steps.iter();
                let mut found = steps.map(|step| self.takes(file, step, depth - 1));
                found.find(|takes| *takes != Takes::No).unwrap_or(Takes::No)
            }
        }
    }

    /// The actions that take a patchset.
    fn takers(&self) -> Vec<String> {
        let takes = |name: &&str| self.catalog.action(name).is_some_and(|doc| doc.takes_patchset);
        self.catalog.names().into_iter().filter(takes).map(|name| format!("`{name}`")).collect()
    }
}
