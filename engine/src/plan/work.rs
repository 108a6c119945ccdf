//! One task: its inputs, effect, deadline and everything else that does not depend on other tasks.

use super::{
    Gate, Inputs, RetryPolicy, Role, Task, Work,
    draft::Draft,
    expand::Expander,
    reading::Reading,
    render::{TargetWords, When, unrendered},
    share::Share,
};
use crate::{
    catalog::{ActionDoc, EffectDoc, TimeoutDoc, is_written},
    diagnostic::Diagnostic,
    document::model::{Spanned, Step},
    duration::Span,
    expression::{Expressions, condition},
    ids::TargetId,
    outcome::Effect,
    patchset::Part,
};

/// Before the second attempt.
const RETRY_DELAY: Span = Span::from_secs(30);
/// How long an unknown machine waits for a person.
pub(super) const RESOLVE_WITHIN: Span = Span::from_hours(24);
/// The longest duration that can be written.
const LONGEST: u64 = 3650 * 86_400;

impl<'a> Expander<'a> {
    /// A task of a step, and its index.
    pub(super) fn task(
        &mut self,
        at: usize,
        step: &'a Step,
        doc: &ActionDoc,
        name: String,
        share: Share,
    ) -> usize {
        let (inputs, deferred) = match &share.skip {
            Some(_) => (raw(step), raw(step)),
            None => self.inputs(at, step, doc, &share),
        };
        let mut work = Work::Action(inputs.clone());
        if doc.is_gate() && share.skip.is_none() {
            match self.gate(step, doc, &inputs) {
                Ok(gate) => work = Work::Gate(gate),
                Err(problem) => self.problems.add(problem),
            }
        }
        let timeout = timeout(step, doc, &inputs, &work);
        let timeout = timeout.unwrap_or_else(|problem| {
            if share.skip.is_none() {
                self.problems.add(problem);
            }
            Span::ZERO
        });
        let from = match &step.restores {
            Some(from) => Some(from.clone()),
            None if doc.restores => from(step, &inputs),
            None => None,
        };
        let instance = &self.instances[at];
        let late = !deferred.late.is_empty() || share.when.is_some();
        let params = if late && *instance.params != self.params {
            (*instance.params).clone()
        } else {
            Default::default()
        };
        let step_path = super::draft::join(&instance.path, &step.id.value);
        let effect = effect(step, doc, &inputs);
        let source = self.runbook.patchset.as_ref().map(|patchset| patchset.from.value.as_str());
        let patchset = source.filter(|_| doc.takes_patchset && effect.may_change()).map(|from| {
            let tests = !instance.finally && step_path.split('/').next() == Some(from);
            if tests { Part::Tests } else { Part::Takes }
        });
        let task = Task {
            name: name.into(),
            step: step_path.into(),
            scope: instance.scope.clone(),
            action: doc.name.into(),
            role: if instance.finally { Role::Finally } else { Role::Step },
            needs: Vec::new(),
            on_failure: Vec::new(),
            targets: share.list.as_ref().map(|list| list.to_vec()),
            only: None,
            effect,
            work,
            timeout,
            retry: retry(step),
            when: share.when,
            skip: share.skip,
            backs_up: doc.backs_up || step.backs_up.as_ref().is_some_and(|flag| flag.value),
            restores: None,
            ways: Vec::new(),
            patchset,
            no_way_back: step.no_way_back.as_ref().map(|reason| reason.value.clone()),
            restorable: false,
            params,
            resolve_within: step.resolve_within.as_ref().map_or(RESOLVE_WITHIN, |span| span.value),
        };
        let narrow = share.narrow || instance.continues;
        let rank = (self.drafts.len(), 0);
        self.drafts.push(Draft {
            task,
            instance: at,
            step,
            deferred,
            check: doc.is_check(),
            narrow,
            from,
            rank,
        });
        self.drafts.len() - 1
    }

    fn inputs(&mut self, at: usize, step: &Step, doc: &ActionDoc, share: &Share) -> (Inputs, Inputs) {
        let instance = &self.instances[at];
        let (machines, wave) = (self.machines, instance.wave);
        let scope = self.rendering.scope(&instance.params);
        let sorted = self.rendering.inputs(&step.with, doc, &scope, &mut self.problems);
        let words = |id: &TargetId| machines.target(id).map(|target| TargetWords::new(target, wave));
        let list = share.list.as_ref();
        let inputs = self.rendering.for_machines(&sorted, doc, list, words, &scope, &mut self.problems);
        (inputs, sorted.deferred())
    }

    fn gate(&self, step: &Step, doc: &ActionDoc, inputs: &Inputs) -> Result<Gate, Diagnostic> {
        if let Some(key) = inputs.late.first() {
            let given = step.with.iter().find(|input| input.key.value == *key);
            let place = given.map_or(step.id.place, |input| input.value.place);
            let message = format!("`{key}` of a gate must be known when the plan is made");
            return Err(Diagnostic::error("late-input", message, place).hint("use `params` and `env` only"));
        }
        Reading { step, inputs: &inputs.shared }.gate(doc.name)
    }

    /// Decides `when:` as far as it can be decided now.
    pub(super) fn decide(&mut self, at: usize, step: &Step, share: &mut Share) {
        let Some(when) = &step.when else { return };
        let text = condition(&when.value);
        let instance = &self.instances[at];
        let scope = self.rendering.scope(&instance.params);
        let decided = self.rendering.when_of_condition(text).and_then(|time| match time {
            When::AtRunTime => {
                share.when = Some(match share.when.take() {
                    Some(outer) => format!("({outer}) and ({text})"),
                    None => text.to_owned(),
                });
                Ok(())
            }
            When::Now => {
                if !self.rendering.test(text, &scope)? {
                    share.skip = Some(format!("`when: {text}` is false"));
                }
                Ok(())
            }
            When::PerMachine => {
                let Some(list) = share.list.take() else {
                    let message = "the condition reads `target`, but the step has no targets";
                    self.problems.add(Diagnostic::error("no-target", message, when.place));
                    return Ok(());
                };
                let mut left = Vec::with_capacity(list.len());
                for id in list.iter() {
                    let Some(target) = self.machines.target(id) else { continue };
                    let scope = scope.clone().target(TargetWords::new(target, instance.wave));
                    if self.rendering.test(text, &scope)? {
                        left.push(id.clone());
                    }
                }
                if left.is_empty() {
                    share.skip = Some(format!("`when: {text}` is false for every machine"));
                }
                share.narrow |= left.len() < list.len();
                share.list = Some(left.into());
                Ok(())
            }
        });
        if let Err(error) = decided {
            self.problems.add(unrendered(&error, when.place));
        }
    }
}

/// The inputs of a step that is skipped: nothing in them is looked at.
fn raw(step: &Step) -> Inputs {
    let mut inputs = Inputs { shared: Default::default(), per_target: Default::default(), late: Vec::new() };
    for input in &step.with {
        let text = input.value.value.to_string();
        if Expressions::is_used_in(&text) {
            inputs.late.push(input.key.value.clone());
        }
        inputs.shared.insert(input.key.value.clone(), input.value.value.clone());
    }
    inputs
}

/// The backup step that a restoring step names.
fn from(step: &Step, inputs: &Inputs) -> Option<Spanned<String>> {
    let given = step.with.iter().find(|input| input.key.value == "from")?;
    let text = inputs.shared.get("from")?.as_str()?;
    Some(Spanned::new(text.to_owned(), given.value.place))
}

fn retry(step: &Step) -> RetryPolicy {
    match &step.retry {
        Some(retry) => RetryPolicy {
            attempts: retry.attempts.value.max(1),
            errors: retry.errors.clone(),
            delay: retry.delay.unwrap_or(RETRY_DELAY),
        },
        None => without_retry(),
    }
}

/// One attempt.
pub(super) fn without_retry() -> RetryPolicy {
    RetryPolicy { attempts: 1, errors: Vec::new(), delay: RETRY_DELAY }
}

/// What a step does to machines. An input that is not the same everywhere, or not known yet, is taken for the worse.
fn effect(step: &Step, doc: &ActionDoc, inputs: &Inputs) -> Effect {
    let said = match &doc.effect {
        EffectDoc::Always(effect) => *effect,
        EffectDoc::ByInput { input, value, then, otherwise } => {
            let is = |map: &std::collections::BTreeMap<String, serde_json::Value>| {
                map.get(*input).is_some_and(|given| is_written(given, value))
            };
            let worse = worse(*then, *otherwise);
            if inputs.late.iter().any(|key| key == input) {
                worse
            } else if inputs.per_target.is_empty() {
                if is(&inputs.shared) { *then } else { *otherwise }
            } else if inputs.per_target.values().all(is) {
                *then
            } else if inputs.per_target.values().any(is) {
                worse
            } else {
                *otherwise
            }
        }
    };
    match (&step.effect, said) {
        (Some(stated), Effect::Unknown) => stated.value,
        // What makes a backup, and says no more, changes nothing.
        (None, Effect::Unknown) if step.backs_up.as_ref().is_some_and(|flag| flag.value) => Effect::Reads,
        _ => said,
    }
}

/// What must be assumed of a step that may do either.
fn worse(one: Effect, other: Effect) -> Effect {
    match (one, other) {
        (Effect::Changes, _) | (_, Effect::Changes) => Effect::Changes,
        (Effect::Unknown, _) | (_, Effect::Unknown) => Effect::Unknown,
        (Effect::Reads, Effect::Reads) => Effect::Reads,
    }
}

/// How long one attempt may take.
fn timeout(step: &Step, doc: &ActionDoc, inputs: &Inputs, work: &Work) -> Result<Span, Diagnostic> {
    if let Some(timeout) = &step.timeout {
        return Ok(timeout.value);
    }
    match (&doc.timeout, work) {
        (TimeoutDoc::Fixed(span), _) => Ok(*span),
        (TimeoutDoc::WithinForPlus(more), _) => {
            if let Some(key) = inputs.late.iter().find(|key| matches!(key.as_str(), "within" | "for")) {
                let message =
                    format!("`{key}` is known at run time only, so the step must say its `timeout`");
                return Err(
                    Diagnostic::error("missing-timeout", message, step.id.place).hint("add `timeout: 30m`")
                );
            }
            let all = inputs.per_target.values();
            let mut longest = Span::ZERO;
            for inputs in std::iter::once(&inputs.shared).filter(|_| inputs.per_target.is_empty()).chain(all)
            {
                let reading = Reading { step, inputs };
                longest = longest.max(sum(reading.span("within")?, reading.span("for")?));
            }
            Ok(sum(longest, *more))
        }
        (TimeoutDoc::Expires, Work::Gate(Gate::Approval { expires, .. })) => Ok(*expires),
        (TimeoutDoc::OwnEnd, Work::Gate(Gate::WaitFor { span })) => Ok(*span),
        (TimeoutDoc::LongestGapPlus(more), Work::Gate(Gate::Window(window))) => {
            Ok(sum(window.longest_gap(), *more))
        }
        (TimeoutDoc::Required, _) => {
            let message = format!("`{}` has no timeout of its own, so the step must say one", doc.name);
            Err(Diagnostic::error("missing-timeout", message, step.id.place).hint("add `timeout: 1h`"))
        }
        // A gate until a moment ends at that moment; a gate that could not be read has a problem of its own.
        _ => Ok(Span::ZERO),
    }
}

fn sum(a: Span, b: Span) -> Span {
    Span::from_secs((a.as_secs() + b.as_secs()).min(LONGEST))
}
