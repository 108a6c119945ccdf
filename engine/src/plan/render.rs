//! Rendering at plan time: what needs only `params`, `env` and `target`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{Inputs, fitting::fit, making::List, problems::Problems};
use crate::{
    catalog::ActionDoc,
    diagnostic::{Diagnostic, Place},
    document::{
        described,
        model::{Input, Spanned},
    },
    expression::{ExpressionError, Expressions, Scope},
    ids::{GroupName, TargetId},
    target::Target,
};

/// The names that only a run knows.
const LATE: [&str; 3] = ["steps", "run", "secret"];

/// A machine, as expressions see it: `target`.
#[derive(Clone, Debug, Serialize)]
pub struct TargetWords<'a> {
    id: &'a TargetId,
    name: &'a str,
    private_ip: Option<&'a str>,
    tags: &'a BTreeMap<String, String>,
    vars: &'a BTreeMap<String, Value>,
    environment: Option<&'a str>,
    owner: Option<&'a str>,
    platform: &'a str,
    group: &'a GroupName,
    #[serde(skip_serializing_if = "Option::is_none")]
    wave: Option<u32>,
}

impl<'a> TargetWords<'a> {
    /// A machine in a wave of the outermost rollout around; outside of waves there is no `target.wave`.
    pub fn new(target: &'a Target, wave: Option<u32>) -> Self {
        Self {
            id: &target.id,
            name: &target.name,
            private_ip: target.private_ip.as_deref(),
            tags: &target.tags,
            vars: &target.vars,
            environment: target.environment.as_deref(),
            owner: target.owner.as_deref(),
            platform: &target.platform,
            group: &target.group,
            wave,
        }
    }
}

/// Renders texts against parameters and environment.
#[derive(Debug)]
pub(super) struct Rendering {
    expressions: Expressions,
    env: BTreeMap<String, String>,
}

/// When a value can be rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Now,
    PerMachine,
    AtRunTime,
}

impl Rendering {
    pub(super) fn new(env: BTreeMap<String, String>) -> Self {
        Self { expressions: Expressions::new(), env }
    }

    /// What stands for `params` and `env`.
    pub(super) fn scope<'s>(&self, params: &BTreeMap<String, Value>) -> Scope<'s> {
        Scope::new().params(params).env(&self.env)
    }

    /// A value without `target`, `steps`, `run` and secrets; what is wrong with it goes to `problems`.
    pub(super) fn value(&self, value: &Spanned<Value>, scope: &Scope<'_>, problems: &mut Problems) -> Value {
        self.expressions.render(&value.value, scope).unwrap_or_else(|error| {
            problems.add(unrendered(&error, value.place));
            Value::Null
        })
    }

    /// The same for a text.
    pub(super) fn text(&self, text: &Spanned<String>, scope: &Scope<'_>, problems: &mut Problems) -> String {
        if !Expressions::is_used_in(&text.value) {
            return text.value.clone();
        }
        let value = Spanned::new(Value::String(text.value.clone()), text.place);
        super::selection::plain(&self.value(&value, scope, problems))
    }

    pub(super) fn when(&self, value: &Value) -> Result<When, ExpressionError> {
        Ok(time(&self.expressions.names_used_in(value)?))
    }

    pub(super) fn when_of_condition(&self, condition: &str) -> Result<When, ExpressionError> {
        Ok(time(&self.expressions.names_in_condition(condition)?))
    }

    pub(super) fn test(&self, condition: &str, scope: &Scope<'_>) -> Result<bool, ExpressionError> {
        self.expressions.test(condition, scope)
    }

    /// The inputs of a step, sorted by when they can be rendered, with the defaults of the action.
    pub(super) fn inputs(
        &self,
        with: &[Input],
        doc: &ActionDoc,
        scope: &Scope<'_>,
        problems: &mut Problems,
    ) -> Sorted {
        let mut sorted = Sorted::default();
        for input in with {
            let key = input.key.value.clone();
            let value = &input.value;
            match self.when(&value.value) {
                Err(error) => problems.add(unrendered(&error, value.place)),
                Ok(When::Now) => match self.expressions.render(&value.value, scope) {
                    Ok(rendered) => {
                        let rendered = fitted(input, doc, rendered).unwrap_or_else(|problem| {
                            problems.add(problem);
                            Value::Null
                        });
                        sorted.shared.insert(key, rendered);
                    }
                    Err(error) => problems.add(unrendered(&error, value.place)),
                },
                Ok(When::PerMachine) => {
                    sorted.per_machine.push(input.clone());
                    sorted.raw.insert(key, value.value.clone());
                }
                Ok(When::AtRunTime) => {
                    sorted.late.push(key.clone());
                    sorted.raw.insert(key, value.value.clone());
                }
            }
        }
        for input in &doc.inputs {
            if !input.default.is_null() && with.iter().all(|given| given.key.value != input.name) {
                sorted.shared.insert(input.name.to_owned(), input.default.clone());
            }
        }
        sorted
    }

    /// The inputs for these machines, whose `target` is what `words` says.
    pub(super) fn for_machines<'m>(
        &self,
        sorted: &Sorted,
        doc: &ActionDoc,
        machines: Option<&List>,
        words: impl Fn(&TargetId) -> Option<TargetWords<'m>>,
        scope: &Scope<'_>,
        problems: &mut Problems,
    ) -> Inputs {
        let Some(machines) = machines.filter(|_| !sorted.per_machine.is_empty()) else {
            return sorted.clone().without_machines(problems);
        };
        let mut per_target = BTreeMap::new();
        for id in machines.iter() {
            let Some(words) = words(id) else { continue };
            let scope = scope.clone().target(words);
            let mut map = sorted.shared.clone();
            for key in &sorted.late {
                map.insert(key.clone(), sorted.raw[key].clone());
            }
            for input in &sorted.per_machine {
                let rendered = self.expressions.render(&input.value.value, &scope);
                let rendered = rendered.map_err(|error| unrendered(&error, input.value.place));
                match rendered.and_then(|value| fitted(input, doc, value)) {
                    Ok(value) => {
                        map.insert(input.key.value.clone(), value);
                    }
                    Err(problem) => {
                        let message = format!("{} for {id}", problem.message);
                        problems.add(Diagnostic { message, ..problem });
                        return sorted.deferred();
                    }
                }
            }
            per_target.insert(id.clone(), map);
        }
        let mut values = per_target.values();
        let first = values.next().cloned().unwrap_or_default();
        let same = values.all(|map| *map == first);
        let late = sorted.late.clone();
        if same {
            Inputs { shared: first, per_target: BTreeMap::new(), late }
        } else {
            let shared = sorted.deferred().shared;
            Inputs { shared, per_target, late }
        }
    }
}

/// Inputs, sorted by when they can be rendered.
#[derive(Clone, Debug, Default)]
pub(super) struct Sorted {
    /// Rendered.
    pub(super) shared: BTreeMap<String, Value>,
    /// Keys that read `target`.
    pub(super) per_machine: Vec<Input>,
    /// Keys that only a run can render.
    pub(super) late: Vec<String>,
    /// The texts of both.
    pub(super) raw: BTreeMap<String, Value>,
}

impl Sorted {
    /// With everything that reads `target` left to the run: for copies of a step over many waves, which would otherwise
    /// repeat a map per machine in every one.
    pub(super) fn deferred(&self) -> Inputs {
        let mut shared = self.shared.clone();
        shared.extend(self.raw.clone());
        let mut late = self.late.clone();
        late.extend(self.per_machine.iter().map(|input| input.key.value.clone()));
        late.sort();
        Inputs { shared, per_target: BTreeMap::new(), late }
    }

    /// For a step without machines.
    pub(super) fn without_machines(self, problems: &mut Problems) -> Inputs {
        for input in &self.per_machine {
            let message = format!("`{}` reads `target`, but the step has no targets", input.key.value);
            problems.add(Diagnostic::error("no-target", message, input.value.place));
        }
        self.deferred()
    }
}

fn time(names: &std::collections::BTreeSet<String>) -> When {
    if LATE.iter().any(|late| names.contains(*late)) {
        When::AtRunTime
    } else if names.contains("target") {
        When::PerMachine
    } else {
        When::Now
    }
}

/// What an expression came to, as what the input may hold.
fn fitted(input: &Input, doc: &ActionDoc, value: Value) -> Result<Value, Diagnostic> {
    let Some(known) = doc.input(&input.key.value).filter(|_| value != input.value.value) else {
        return Ok(value);
    };
    let shown = super::selection::plain(&value);
    fit(&known.kind, value).ok_or_else(|| {
        let message =
            format!("`{}` must be {}, but it comes to `{shown}`", known.name, described(&known.kind));
        Diagnostic::error("wrong-value", message, input.value.place)
    })
}

/// What is wrong with an expression.
pub(super) fn unrendered(error: &ExpressionError, place: Place) -> Diagnostic {
    let code = match error {
        ExpressionError::Syntax { .. } => "expression-syntax",
        ExpressionError::Undefined { .. } => "undefined-name",
        ExpressionError::MissingSecret { .. } => "missing-secret",
        ExpressionError::NoText { .. } | ExpressionError::Evaluation { .. } => "expression-value",
    };
    Diagnostic::error(code, error.to_string(), place)
}
