//! `uses:`: what the step says beside what its action says of itself.

use super::{
    Check,
    book::{Book, Site},
};
use crate::{
    catalog::{ActionDoc, InputKind, TargetsDoc, TimeoutDoc},
    diagnostic::Diagnostic,
    document::{
        model::{Spanned, Step},
        suggestion::nearest,
    },
    outcome::Effect,
};

impl<'r> Check<'r> {
    pub(super) fn action(&mut self, book: &Book<'r>, level: usize, index: usize, action: &Spanned<String>) {
        let step = &book.levels[level].steps[index];
        // A step without `uses` and `run` was reported when it was read.
        if action.value.is_empty() {
            return;
        }
        let Some(doc) = book.levels[level].docs[index] else {
            self.unknown_action(action);
            return;
        };
        self.inputs(&step.with, step.with_place.unwrap_or(step.id.place), doc);
        self.targets_of(book, level, index, doc);
        self.statements(book, level, index, doc);
        self.timeout(step, doc);
        if doc.is_gate() {
            self.gate(book, level, index, doc);
        }
        if doc.restores
            && let Some(from) = step.with.iter().find(|input| input.key.value == "from")
            && let Some(reference) = from.value.value.as_str()
            && from.expressions.is_empty()
        {
            self.backup_reference(book, level, reference, from.value.place);
        }
        for input in step.with.iter().filter(|_| !doc.restores) {
            let kind = doc.input(&input.key.value).map(|input| &input.kind);
            if kind == Some(&InputKind::StepRef)
                && let Some(reference) = input.value.value.as_str()
                && input.expressions.is_empty()
            {
                let reference = Spanned::new(reference.to_owned(), input.value.place);
                if book.resolved(level, &reference).is_none() {
                    self.unknown_step(book, level, &reference);
                }
            }
        }
    }

    fn unknown_action(&mut self, action: &Spanned<String>) {
        let problem = Diagnostic::error(
            "unknown-action",
            format!("there is no action `{}`", action.value),
            action.place,
        );
        let names = self.catalog.names();
        let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        let near = nearest(&action.value, names.iter().copied())
            .or_else(|| names.iter().copied().find(|name| last(name) == last(&action.value)));
        let blocks = self.entry.blocks.iter().map(|block| block.name.value.as_str());
        let hint = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if blocks.clone().any(|block| block == action.value) => {
                format!("it is a block: write `run: {}`", action.value)
            }
            None => format!("the actions are {}", names.join(", ")),
        };
        self.report(problem.hint(hint));
    }

    fn targets_of(&mut self, book: &Book<'r>, level: usize, index: usize, doc: &ActionDoc) {
        let at = &book.levels[level];
        let step = &at.steps[index];
        match doc.targets {
            TargetsDoc::Never => {
                if let Some(targets) = &step.targets {
                    let message = format!("`{}` never has targets", doc.name);
                    self.report(
                        Diagnostic::error("needless-targets", message, targets.place)
                            .hint("take `targets` out"),
                    );
                }
            }
            TargetsDoc::Required => {
                let outside = matches!(at.site, Site::Root | Site::Finally) && !book.outer.file;
                let composite = at.namers[index].iter().any(|namer| at.docs[*namer].is_none());
                if outside && !book.has_targets(level, index) && !composite {
                    let message = format!("`{}` works on machines, but the step has no `targets`", doc.name);
                    let problem = Diagnostic::error("missing-targets", message, step.id.place);
                    self.report(problem.hint(self.some_group()));
                }
            }
            TargetsDoc::Optional => {}
        }
    }

    /// How to give a step targets, in this runbook.
    pub(super) fn some_group(&self) -> String {
        match self.entry.targets.first() {
            Some(group) => format!("add a group: `targets: {}`", group.name.value),
            None => "add a group to `targets:` of the runbook and name it: `targets: GROUP`".into(),
        }
    }

    /// `effect`, `backs_up`, `restores` and `way_back` beside an action that says these itself.
    fn statements(&mut self, book: &Book<'r>, level: usize, index: usize, doc: &ActionDoc) {
        let step = &book.levels[level].steps[index];
        let itself = |key: &str, place| {
            Diagnostic::error(
                "says-itself",
                format!("`{}` says itself what `{key}` would say", doc.name),
                place,
            )
            .hint(format!("take `{key}` out"))
        };
        let said = self.effect_said(step, doc);
        if let Some(effect) = step.effect.as_ref().filter(|_| said != Effect::Unknown) {
            self.report(itself("effect", effect.place));
        }
        let settled = doc.backs_up || doc.restores || doc.is_check() || doc.is_gate();
        if let Some(flag) = step.backs_up.as_ref().filter(|_| settled) {
            self.report(itself("backs_up", flag.place));
        }
        if let Some(restores) = step.restores.as_ref().filter(|_| settled) {
            self.report(itself("restores", restores.place));
        }
        if let Some(because) = &step.no_way_back
            && said == Effect::Reads
        {
            let message = format!("`{}` changes nothing here, so it wants no way back", doc.name);
            self.report(
                Diagnostic::warning("needless-way-back", message, because.place).hint("take `way_back` out"),
            );
        }
        let stated = step.effect.is_some()
            || step.no_way_back.is_some()
            || step.restores.is_some()
            || step.backs_up.as_ref().is_some_and(|flag| flag.value);
        if said == Effect::Unknown && !stated && book.has_targets(level, index) {
            let message = format!("nobody knows what `{}` does to its machines", step.id.value);
            self.report(Diagnostic::warning("unknown-effect", message, step.id.place).hint(
                "say it: `effect: reads`, or `effect: changes` with a backup and a branch that restores",
            ));
        }
    }

    fn timeout(&mut self, step: &Step, doc: &ActionDoc) {
        if step.timeout.is_some() {
            return;
        }
        let late = |key: &str| {
            let input = step.with.iter().find(|input| input.key.value == key)?;
            let late = ["steps", "run", "secret"];
            input
                .expressions
                .iter()
                .any(|text| late.iter().any(|name| text.value.contains(name)))
                .then_some(input)
        };
        let why = match doc.timeout {
            TimeoutDoc::Required => format!("`{}` has no `timeout` of its own", doc.name),
            TimeoutDoc::WithinForPlus(_) => match late("within").or_else(|| late("for")) {
                Some(input) => format!("`{}` is known at run time only", input.key.value),
                None => return,
            },
            _ => return,
        };
        self.report(
            Diagnostic::error("missing-timeout", format!("{why}, so the step must say it"), step.id.place)
                .hint("add `timeout: 1h`"),
        );
    }
}
