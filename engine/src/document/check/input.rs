//! `with:` against what the action says of its inputs.

use super::Check;
use crate::{
    catalog::ActionDoc,
    diagnostic::{Diagnostic, Place},
    document::{decode::alternatives, model::Input, suggestion::nearest},
};

impl<'r> Check<'r> {
    /// The inputs of an action; `place` is where the ones that are missing are missing.
    pub(super) fn inputs(&mut self, inputs: &[Input], place: Place, doc: &ActionDoc) {
        // What was misspelt is not missing too.
        let mut meant: Vec<&str> = Vec::new();
        for input in inputs {
            match doc.input(&input.key.value) {
                Some(known) => {
                    self.value(input, known);
                    meant.push(known.name);
                }
                None => meant.extend(self.unknown_input(input, doc)),
            }
        }
        let is_given = |name: &str| meant.contains(&name);
        for missing in doc.inputs.iter().filter(|known| known.required && !is_given(known.name)) {
            let message = format!("`{}` must be given `{}`", doc.name, missing.name);
            self.report(Diagnostic::error("missing-input", message, place).hint(missing.doc));
        }
        if doc.exactly_one_of.is_empty() {
            return;
        }
        let mut given = inputs.iter().filter(|input| doc.exactly_one_of.contains(&input.key.value.as_str()));
        match (given.next(), given.next()) {
            (None, _) if doc.exactly_one_of.iter().any(|name| is_given(name)) => {}
            (None, _) => {
                let message = format!("`{}` must be given {}", doc.name, alternatives(&doc.exactly_one_of));
                self.report(Diagnostic::error("missing-input", message, place));
            }
            (Some(first), Some(second)) => {
                let message = format!("`{}` cannot stand beside `{}`", second.key.value, first.key.value);
                self.report(
                    Diagnostic::error("conflicting-inputs", message, second.key.place).hint("take one out"),
                );
            }
            (Some(_), None) => {}
        }
    }

    /// Reports an input that the action does not have; the one that was probably meant.
    fn unknown_input(&mut self, input: &Input, doc: &ActionDoc) -> Option<&'static str> {
        let message = format!("`{}` has no input `{}`", doc.name, input.key.value);
        let problem = Diagnostic::error("unknown-input", message, input.key.place);
        let known: Vec<&'static str> = doc.inputs.iter().map(|input| input.name).collect();
        let near = nearest(&input.key.value, known.iter().copied());
        self.report(match near {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None if known.is_empty() => problem.hint("it takes none"),
            None => problem.hint(format!("its inputs are {}", known.join(", "))),
        });
        near
    }
}
