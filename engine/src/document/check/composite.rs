//! `run:`: blocks and files.

use super::{
    Check,
    book::{Book, Outer},
    usage::Used,
};
use crate::{
    catalog::TargetsDoc,
    diagnostic::Diagnostic,
    document::{
        model::{Runbook, Spanned, Step, What},
        params::accept,
        suggestion::nearest,
    },
};

impl<'r> Check<'r> {
    pub(super) fn block(
        &mut self,
        book: &Book<'r>,
        level: usize,
        index: usize,
        name: &'r Spanned<String>,
        used: &mut Used<'r>,
    ) {
        let step = &book.levels[level].steps[index];
        let Some(block) = book.block(&name.value) else {
            let problem =
                Diagnostic::error("unknown-block", format!("there is no block `{}`", name.value), name.place);
            let blocks: Vec<&str> =
                book.runbook.blocks.iter().map(|block| block.name.value.as_str()).collect();
            self.report(match nearest(&name.value, blocks.iter().copied()) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None if self.catalog.action(&name.value).is_some() => {
                    problem.hint(format!("it is an action: write `uses: {}`", name.value))
                }
                None if blocks.is_empty() => {
                    problem.hint("the document has no `blocks`; a file begins with `./`")
                }
                None => problem.hint(format!("its blocks are {}", blocks.join(", "))),
            });
            return;
        };
        used.blocks.insert(name.value.as_str());
        if let Some(place) = step.with_place {
            self.report(
                Diagnostic::error("composite-key", "a block takes no `with`", place)
                    .hint("only actions and files do; a block sees the parameters of its document"),
            );
        }
        self.composite(step);
        if !book.recursive
            && !book.has_targets(level, index)
            && !self.in_composite(book, level)
            && let Some(wanting) = self.wanting(book, block)
        {
            self.without_targets(step, wanting);
        }
    }

    pub(super) fn file(&mut self, book: &Book<'r>, level: usize, index: usize, file: Option<&'r Runbook>) {
        let step = &book.levels[level].steps[index];
        self.composite(step);
        // A file that could not be read was reported.
        let Some(file) = file else { return };
        self.arguments(step, file);
        if !book.has_targets(level, index)
            && !self.in_composite(book, level)
            && let Some(wanting) = self.wanting_in(file, &file.steps)
        {
            self.without_targets(step, wanting);
        }
    }

    /// Looks at the files that a book runs, once it is known to end.
    pub(super) fn files(&mut self, book: &Book<'r>) {
        for level in 0..book.levels.len() {
            for (index, step) in book.levels[level].steps.iter().enumerate() {
                if let What::File { runbook: Some(file), .. } = &step.what {
                    let targets = book.has_targets(level, index);
                    self.book(file, Outer { file: true, targets }, Used::default());
                }
            }
        }
    }

    /// Keys that only a step with an action can have.
    fn composite(&mut self, step: &Step) {
        let keys = [
            ("timeout", step.timeout.as_ref().map(|timeout| timeout.place)),
            ("retry", step.retry.as_ref().map(|retry| retry.attempts.place)),
            ("effect", step.effect.as_ref().map(|effect| effect.place)),
            ("backs_up", step.backs_up.as_ref().map(|flag| flag.place)),
            ("restores", step.restores.as_ref().map(|restores| restores.place)),
            ("way_back", step.no_way_back.as_ref().map(|because| because.place)),
            ("resolve_within", step.resolve_within.as_ref().map(|within| within.place)),
        ];
        for (key, place) in keys {
            if let Some(place) = place {
                self.report(
                    Diagnostic::error("composite-key", format!("a step with `run` takes no `{key}`"), place)
                        .hint("say it at the steps inside"),
                );
            }
        }
    }

    fn without_targets(&mut self, step: &Step, wanting: &Step) {
        let message = format!(
            "`{}` runs `{}`, which works on machines, but has no `targets`",
            step.id.value, wanting.id.value
        );
        let hint = self.some_group();
        self.report(Diagnostic::error("missing-targets", message, step.id.place).hint(hint));
    }

    /// Steps of blocks and files get their targets from outside: the outermost composite answers for them.
    fn in_composite(&self, book: &Book<'r>, level: usize) -> bool {
        book.outer.file || matches!(book.levels[level].site, super::book::Site::Block(_))
    }

    /// The first step of a level that must get targets from outside.
    fn wanting(&self, book: &Book<'r>, level: usize) -> Option<&'r Step> {
        self.wanting_in(book.runbook, book.levels[level].steps)
    }

    fn wanting_in(&self, runbook: &'r Runbook, steps: &'r [Step]) -> Option<&'r Step> {
        let mut seen = std::collections::BTreeSet::new();
        let mut open = vec![(runbook, steps)];
        while let Some((runbook, steps)) = open.pop() {
            for step in steps.iter().filter(|step| step.targets.is_none()) {
                match &step.what {
                    What::Uses(action) => {
                        let doc = self.catalog.action(&action.value);
                        if doc.is_some_and(|doc| doc.targets == TargetsDoc::Required) {
                            return Some(step);
                        }
                    }
                    What::Block(name) => {
                        let block = runbook.blocks.iter().find(|block| block.name.value == name.value);
                        if let Some(block) = block
                            && seen.insert((block.name.place.source, block.name.value.as_str()))
                        {
                            open.push((runbook, &block.steps));
                        }
                    }
                    What::File { runbook: Some(file), .. } => open.push((file, &file.steps)),
                    What::File { runbook: None, .. } => {}
                }
            }
        }
        None
    }

    /// `with:` of a file: its parameters.
    fn arguments(&mut self, step: &Step, file: &Runbook) {
        let place = step.with_place.unwrap_or(step.id.place);
        for input in &step.with {
            let Some(param) = file.params.iter().find(|param| param.name.value == input.key.value) else {
                let message = format!("the file has no parameter `{}`", input.key.value);
                let problem = Diagnostic::error("unknown-param", message, input.key.place);
                let known: Vec<&str> = file.params.iter().map(|param| param.name.value.as_str()).collect();
                self.report(match nearest(&input.key.value, known.iter().copied()) {
                    Some(near) => problem.hint(format!("did you mean `{near}`?")),
                    None if known.is_empty() => problem.hint("it has no `params`"),
                    None => problem.hint(format!("its parameters are {}", known.join(", "))),
                });
                continue;
            };
            if input.expressions.is_empty()
                && let Err(reason) = accept(param, &input.value.value)
            {
                let message = format!("the parameter `{}` {reason}", param.name.value);
                self.report(Diagnostic::error("wrong-param", message, input.value.place));
            }
        }
        for param in file.params.iter().filter(|param| param.default.is_none()) {
            if step.with.iter().all(|input| input.key.value != param.name.value) {
                let message = format!(
                    "the parameter `{}` of the file has no default and is not given",
                    param.name.value
                );
                self.report(Diagnostic::error("missing-param", message, place).hint(format!(
                    "add it to `with`: {}: {}",
                    param.name.value,
                    param.kind.as_str().to_uppercase()
                )));
            }
        }
    }
}
