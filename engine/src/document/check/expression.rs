//! Expressions: every name must stand for something that is known where the expression stands.

use serde_json::Value;

use super::{Check, book::Book, usage::Used};
use crate::{
    catalog::{InputDoc, InputKind},
    diagnostic::{Diagnostic, Place},
    document::{
        model::{Input, Runbook, Spanned, What},
        suggestion::nearest,
    },
    expression::{Call, ExpressionError, Expressions, Path, Segment, Uses, segments},
};

const NAMES: &[&str] = &["params", "target", "env", "steps", "run"];
const TARGET: &[&str] =
    &["id", "name", "private_ip", "tags", "vars", "environment", "owner", "platform", "group", "wave"];
const RUN: &[&str] = &["id", "runbook", "started_at", "started_by", "status", "cause"];

/// What surrounds an expression.
pub(super) struct Around<'b, 'r> {
    /// The document whose `params` it sees.
    runbook: &'r Runbook,
    /// The names that it may use.
    names: &'static [&'static str],
    /// What it stands in, as a sentence names it.
    what: &'static str,
    /// The step that it stands in.
    step: Option<(&'b Book<'r>, usize, usize)>,
    /// Whether `secret()` may stand here.
    pub(super) secret: bool,
}

impl<'b, 'r> Around<'b, 'r> {
    /// Something that must be known when the plan is made.
    pub(super) fn plan_time(runbook: &'r Runbook, what: &'static str) -> Self {
        Self { runbook, names: &["params", "env"], what, step: None, secret: false }
    }

    /// A notification: it is about the run.
    pub(super) fn notification(runbook: &'r Runbook) -> Self {
        Self { runbook, names: &["params", "env", "run"], what: "a notification", step: None, secret: true }
    }

    fn step(book: &'b Book<'r>, level: usize, index: usize) -> Self {
        Self {
            runbook: book.runbook,
            names: NAMES,
            what: "this step",
            step: Some((book, level, index)),
            secret: false,
        }
    }
}

impl<'r> Check<'r> {
    /// `with:` and `when:` of a step.
    pub(super) fn step_expressions(
        &mut self,
        book: &Book<'r>,
        level: usize,
        index: usize,
        used: &mut Used<'r>,
    ) {
        let step = &book.levels[level].steps[index];
        let doc = book.levels[level].docs[index];
        for input in &step.with {
            let known = doc.and_then(|doc| doc.input(&input.key.value));
            let mut around = match (&step.what, doc) {
                (What::Uses(_), Some(doc)) if doc.is_gate() => Around::plan_time(book.runbook, "a gate"),
                (What::File { .. }, _) => Around::plan_time(book.runbook, "a parameter of a file"),
                _ => Around::step(book, level, index),
            };
            around.secret = known.is_some_and(|known| known.secret);
            self.input_expressions(input, known, &around, used);
        }
        if let Some(when) = &step.when {
            let place = written_place(when);
            self.one(&Spanned::new(when.value.clone(), place), &Around::step(book, level, index), used);
        }
    }

    /// The expressions of one input.
    pub(super) fn input_expressions(
        &mut self,
        input: &Input,
        doc: Option<&InputDoc>,
        around: &Around<'_, 'r>,
        used: &mut Used<'r>,
    ) {
        for expression in &input.expressions {
            self.one(expression, around, used);
        }
        let mut placed = input.expressions.iter();
        let mut texts = Vec::new();
        collect(&input.value.value, doc.is_some_and(|doc| doc.kind == InputKind::Script), &mut texts);
        for (text, script) in texts {
            if text.contains("{%") && text.contains("%}") {
                let message = "`{% … %}` is not understood here and stays as it is";
                self.report(
                    Diagnostic::warning("template-statement", message, input.value.place)
                        .hint("only {{ … }} is an expression; a condition is {{ a if b else c }}"),
                );
            }
            match segments(text) {
                Err(error) => self.syntax(&error, text, input.value.place),
                Ok(segments) => {
                    let mut before = String::new();
                    for segment in segments {
                        match segment {
                            Segment::Text(text) => before.push_str(text),
                            Segment::Expression { text, .. } => {
                                let place = placed.next().map_or(input.value.place, trimmed_place);
                                if script {
                                    self.in_script(text, &before, place);
                                }
                                before.push('x');
                            }
                        }
                    }
                }
            }
        }
    }

    /// A text that is not an input.
    pub(super) fn text(&mut self, text: &Spanned<String>, around: &Around<'_, 'r>, used: &mut Used<'r>) {
        match segments(&text.value) {
            Err(error) => self.syntax(&error, &text.value, text.place),
            Ok(segments) => {
                for segment in segments {
                    if let Segment::Expression { text: inner, offset } = segment {
                        let place = inside(text, offset, offset + inner.len());
                        self.one(&Spanned::new(inner.to_owned(), place), around, used);
                    }
                }
            }
        }
    }

    fn syntax(&mut self, error: &ExpressionError, text: &str, place: Place) {
        let problem = Diagnostic::error("expression-syntax", error.to_string(), place);
        // Braces of another language, like Go's `{{.Names}}`.
        let foreign = text.trim_start().starts_with(['.', '#', '/', '$', '-']) || text.contains("{{");
        self.report(if foreign { problem.hint("a literal `{{` is written {{ '{{' }}") } else { problem });
    }

    fn one(&mut self, expression: &Spanned<String>, around: &Around<'_, 'r>, used: &mut Used<'r>) {
        let uses = match Uses::of(&expression.value) {
            Ok(uses) => uses,
            Err(error) => {
                let offset = match &error {
                    ExpressionError::Syntax { offset, .. } => *offset,
                    _ => 0,
                };
                let rest = expression.value.get(offset..).unwrap_or_default();
                let width = rest.trim_end().len();
                return self.syntax(&error, &expression.value, inside(expression, offset, offset + width));
            }
        };
        for path in &uses.paths {
            self.path(expression, path, around, used);
        }
        for filter in &uses.filters {
            if Expressions::filters().contains(&filter.name.as_str()) {
                continue;
            }
            let place = inside(expression, filter.start, filter.end);
            let problem =
                Diagnostic::error("unknown-filter", format!("there is no filter `{}`", filter.name), place);
            self.report(match nearest(&filter.name, Expressions::filters().iter().copied()) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem,
            });
        }
        for call in &uses.calls {
            self.call(expression, call, around);
        }
    }

    fn path(
        &mut self,
        expression: &Spanned<String>,
        path: &Path,
        around: &Around<'_, 'r>,
        used: &mut Used<'r>,
    ) {
        let place = inside(expression, path.start, path.end);
        let name = path.parts[0].as_str();
        if !NAMES.contains(&name) {
            return self.unknown_name(expression, path, place);
        }
        if !around.names.contains(&name) {
            let message = format!("`{name}` is not known in {}", around.what);
            self.report(
                Diagnostic::error("late-expression", message, place)
                    .hint(format!("it may use {}", around.names.join(", "))),
            );
            return;
        }
        let Some(part) = path.parts.get(1) else { return };
        match name {
            "params" => {
                used.params.insert(part.clone());
                let known = around.runbook.params.iter().map(|param| param.name.value.as_str());
                self.attribute("unknown-param", "there is no parameter", part, known, place);
            }
            "env" => {
                self.used_env.insert(part.clone());
                if self.entry.env.iter().all(|known| known.value != *part) {
                    let message = format!("the environment variable `{part}` is not in the allow-list");
                    self.report(
                        Diagnostic::error("env-not-listed", message, place)
                            .hint(format!("add it at the top of the runbook: `env: [{part}]`")),
                    );
                }
            }
            "run" => self.attribute("undefined-name", "a run has no", part, RUN.iter().copied(), place),
            "target" => {
                if let Some((book, level, index)) = around.step
                    && !book.has_targets(level, index)
                {
                    let message = "the step has no targets, so there is no `target`";
                    self.report(Diagnostic::error("no-target", message, place));
                } else {
                    self.attribute("undefined-name", "a target has no", part, TARGET.iter().copied(), place);
                }
            }
            _ => self.step_name(path, around, place),
        }
    }

    fn attribute<'a>(
        &mut self,
        code: &'static str,
        said: &str,
        part: &str,
        known: impl Iterator<Item = &'a str> + Clone,
        place: Place,
    ) {
        if known.clone().any(|known| known == part) {
            return;
        }
        let problem = Diagnostic::error(code, format!("{said} `{part}`"), place);
        let all: Vec<&str> = known.clone().collect();
        self.report(match nearest(part, known) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None if all.is_empty() => problem.hint("the document has no `params`"),
            None => problem.hint(format!("known are {}", all.join(", "))),
        });
    }

    fn unknown_name(&mut self, expression: &Spanned<String>, path: &Path, place: Place) {
        let name = &path.parts[0];
        let problem = Diagnostic::error("undefined-name", format!("there is no `{name}`"), place);
        let before = expression.value.get(..path.start).unwrap_or_default().trim_end();
        let param = self.entry.params.iter().any(|param| param.name.value == *name);
        self.report(if before.ends_with('-') {
            problem.hint("a name with `-` in it is written in brackets: steps['my-step'].outputs")
        } else if param {
            problem.hint(format!("a parameter is written `params.{name}`"))
        } else if let Some(near) = nearest(name, NAMES.iter().copied()) {
            problem.hint(format!("did you mean `{near}`?"))
        } else {
            problem.hint("an expression knows params, target, env, steps, run and secret('NAME')")
        });
    }

    /// `steps.<id>.outputs.<name>`: a step that has ended when this one starts.
    fn step_name(&mut self, path: &Path, around: &Around<'_, 'r>, place: Place) {
        let Some((book, level, index)) = around.step else { return };
        let id = &path.parts[1];
        let found = match book.levels[level].find(id) {
            Some(found) => Some((level, found)),
            None => book.levels[0].find(id).map(|found| (0, found)),
        };
        let Some((found_level, found)) = found else {
            let reference = Spanned::new(id.clone(), place);
            return self.unknown_step(book, level, &reference);
        };
        let own = &book.levels[level].steps[index].id.value;
        if !book.recursive && !self.is_before(book, (level, index), (found_level, found)) {
            let message = format!("`{id}` need not have ended when `{own}` starts");
            self.report(
                Diagnostic::error("step-not-before", message, place)
                    .hint(format!("add `needs: [{id}]` to `{own}`")),
            );
            return;
        }
        let said = path.parts.get(2).map(String::as_str);
        if let Some(attribute) = said.filter(|attribute| !matches!(*attribute, "outputs" | "status")) {
            let message = format!("a step has no `{attribute}`");
            self.report(
                Diagnostic::error("undefined-name", message, place)
                    .hint(format!("its outputs are `steps.{id}.outputs`")),
            );
        } else if let (Some("outputs"), Some(output)) = (said, path.parts.get(3))
            && let Some(doc) = book.levels[found_level].docs[found]
        {
            let known = doc.outputs.iter().map(|(name, _)| *name);
            if known.clone().next().is_none() {
                let message = format!("`{}` has no outputs", doc.name);
                self.report(Diagnostic::error("unknown-output", message, place));
            } else {
                self.attribute(
                    "unknown-output",
                    &format!("`{}` has no output", doc.name),
                    output,
                    known,
                    place,
                );
            }
        }
    }

    /// Whether a step has ended whenever another one starts.
    fn is_before(&self, book: &Book<'r>, step: (usize, usize), earlier: (usize, usize)) -> bool {
        let (level, index) = step;
        if level == earlier.0 {
            return book.levels[level].is_before(earlier.1, index);
        }
        // What stands in `finally` runs after everything else.
        matches!(book.levels[level].site, super::book::Site::Finally)
            || book.callers[level].iter().all(|caller| self.is_before(book, *caller, earlier))
    }

    fn call(&mut self, expression: &Spanned<String>, call: &Call, around: &Around<'_, 'r>) {
        let place = inside(expression, call.start, call.end);
        if call.name != "secret" {
            let message = match call.name.strip_prefix('.') {
                Some(method) => format!("`.{method}()` cannot be called"),
                None => format!("there is no function `{}`", call.name),
            };
            let problem = Diagnostic::error("unknown-function", message, place);
            let name = call.name.trim_start_matches('.');
            self.report(if Expressions::filters().contains(&name) {
                problem.hint(format!("it is a filter: {{{{ … | {name} }}}}"))
            } else {
                problem.hint("the only function is secret('NAME')")
            });
        } else if call.argument.is_none() {
            let message = "secret() wants the name of a secret in quotes";
            self.report(
                Diagnostic::error("secret-name", message, place).hint("like secret('CHANGE_WEBHOOK')"),
            );
        } else if !around.secret {
            self.report(
                Diagnostic::error("secret-not-allowed", "a secret cannot stand here", place).hint(
                    "secrets go only where they are masked: `url`, `headers` and `body` of notifications, `env` of `local/command`, `linux/script` and `ansible/playbook`, `content` of `linux/file`, `headers` of `check/http`; let a script fetch its secret itself",
                ),
            );
        }
    }
}

/// The texts of a value in the order in which its expressions were met, and whether a shell runs them.
fn collect<'v>(value: &'v Value, script: bool, texts: &mut Vec<(&'v str, bool)>) {
    match value {
        Value::String(text) => texts.push((text, script)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, script, texts)),
        Value::Object(entries) => {
            let mut keys: Vec<&String> = entries.keys().collect();
            keys.sort();
            // `commands` is what the documents AWS-RunShellScript and AWS-RunPowerShellScript call their script.
            keys.into_iter().for_each(|key| collect(&entries[key], script || key == "commands", texts));
        }
        _ => {}
    }
}

/// The place of a part of a text, if the text stands in the file as it reads; else the text's own place.
fn inside(text: &Spanned<String>, start: usize, end: usize) -> Place {
    let line = text.value.lines().next().unwrap_or_default();
    let width = line.chars().count();
    let quotes = match text.place.width {
        written if written == width.max(1) => 0,
        // One mark on each side.
        written if written == width + 2 => 1,
        _ => return text.place,
    };
    match (text.value.get(..start), text.value.get(start..end)) {
        (Some(before), Some(part)) if start <= line.len() && !before.contains('\n') => Place {
            column: text.place.column + quotes + before.chars().count(),
            width: part.lines().next().unwrap_or_default().chars().count().max(1),
            ..text.place
        },
        _ => text.place,
    }
}

/// The place of an expression without the blanks around it.
fn trimmed_place(text: &Spanned<String>) -> Place {
    let start = text.value.len() - text.value.trim_start().len();
    inside(text, start, start + text.value.trim().len())
}

/// The place of the text itself, without quotes around it.
fn written_place(text: &Spanned<String>) -> Place {
    inside(text, 0, text.value.len())
}
