//! Gates: where they may stand, and what makes no sense in them.

use serde_json::Value;

use super::{
    Check,
    book::{Book, Site},
    kind::is_expression,
};
use crate::{
    catalog::ActionDoc,
    diagnostic::Diagnostic,
    document::model::{Input, Step},
    duration::Span,
    expression::Expressions,
};

impl<'r> Check<'r> {
    pub(super) fn gate(&mut self, book: &Book<'r>, level: usize, index: usize, doc: &ActionDoc) {
        let at = &book.levels[level];
        let step = &at.steps[index];
        let manual_branch = doc.name == "gate/manual" && at.is_branch(index);
        let misplaced = match at.site {
            Site::Block(_) if !manual_branch => Some(("gate-in-block", "a gate cannot stand in a block")),
            Site::Root if book.outer.targets && !manual_branch => {
                Some(("gate-in-block", "a gate cannot stand in a file that is run with targets"))
            }
            Site::Finally => Some(("gate-in-finally", "a gate cannot stand in `finally`")),
            _ => None,
        };
        if let Some((code, message)) = misplaced {
            let problem = Diagnostic::error(code, message, step.id.place);
            self.report(match at.site {
                Site::Finally => problem.hint("`finally` runs at every end and waits for nobody"),
                _ => problem.hint("put it between the steps that run blocks; in a block only a `gate/manual` as a branch step may wait"),
            });
        }
        if let Some(retry) = &step.retry {
            self.report(
                Diagnostic::error("gate-retry", "a gate is not tried again", retry.attempts.place)
                    .hint("take `retry` out"),
            );
        }
        match doc.name {
            "gate/approval" => self.approval(step),
            "gate/window" => self.window(step),
            _ => {}
        }
    }

    fn approval(&mut self, step: &Step) {
        if let Some(expires) = input(step, "expires").filter(|input| span(input) == Some(Span::ZERO)) {
            let message = "`expires` must be longer than nothing";
            self.report(Diagnostic::error("zero-duration", message, expires.value.place));
        }
        let approvers = input(step, "approvers");
        let listed = approvers.and_then(|input| input.value.value.as_array());
        if let (Some(input), Some(names)) = (approvers, listed) {
            for name in names.iter().filter_map(Value::as_str) {
                if name.is_empty()
                    || name == "group:"
                    || name.contains(char::is_whitespace) && !Expressions::is_used_in(name)
                {
                    let message = format!("`{name}` is neither a user nor `group:NAME`");
                    self.report(Diagnostic::error("wrong-approver", message, input.value.place));
                }
            }
        }
        let Some(quorum) = input(step, "quorum") else { return };
        let Some(wanted) = quorum.value.value.as_u64() else { return };
        if wanted == 0 {
            self.report(Diagnostic::error("zero-quorum", "`quorum` must be at least 1", quorum.value.place));
        }
        let Some(names) = listed else { return };
        let is_user = |name: &Value| {
            name.as_str().is_some_and(|name| !name.starts_with("group:") && !Expressions::is_used_in(name))
        };
        if names.iter().all(is_user) {
            let users: std::collections::BTreeSet<&str> = names.iter().filter_map(Value::as_str).collect();
            if wanted > users.len() as u64 {
                let people = if users.len() == 1 { "person is" } else { "people are" };
                let message =
                    format!("`quorum` asks for {wanted} approvals, but only {} {people} named", users.len());
                self.report(
                    Diagnostic::error("quorum-too-large", message, quorum.value.place)
                        .hint("name more people, or a group: \"group:NAME\""),
                );
            }
        }
    }

    fn window(&mut self, step: &Step) {
        let duration = input(step, "duration").and_then(|input| Some((input, span(input)?)));
        let Some((input_of_duration, duration)) = duration else { return };
        if duration == Span::ZERO {
            let message = "`duration` must be longer than nothing";
            self.report(Diagnostic::error("zero-duration", message, input_of_duration.value.place));
            return;
        }
        if let Some((cutoff, length)) = input(step, "cutoff").and_then(|input| Some((input, span(input)?)))
            && length >= duration
        {
            let message = format!("a `cutoff` of {length} leaves nothing of a window of {duration}");
            self.report(
                Diagnostic::error("cutoff-too-long", message, cutoff.value.place)
                    .hint("it counts back from the end: nothing starts in the last part of the window"),
            );
        }
    }
}

fn input<'s>(step: &'s Step, key: &str) -> Option<&'s Input> {
    step.with.iter().find(|input| input.key.value == key).filter(|input| !is_expression(&input.value.value))
}

fn span(input: &Input) -> Option<Span> {
    input.value.value.as_str().and_then(Span::parse)
}
