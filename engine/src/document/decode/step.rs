//! Steps.

use serde_json::Value;

use super::Decoder;
use crate::{
    diagnostic::Diagnostic,
    document::{
        model::{Input, Spanned, Step, StepTargets, What},
        tree::{Data, Entry},
    },
    expression::{Segment, segments},
    outcome::Effect,
};

const KEYS: &[&str] = &[
    "description",
    "uses",
    "run",
    "with",
    "needs",
    "on_failure",
    "targets",
    "timeout",
    "retry",
    "when",
    "rollout",
    "effect",
    "backs_up",
    "restores",
    "way_back",
    "because",
    "resolve_within",
];

impl Decoder<'_, '_> {
    pub(super) fn steps(&mut self, entry: &Entry) -> Vec<Step> {
        self.named(entry, "step").iter().filter_map(|entry| self.step(entry)).collect()
    }

    fn step(&mut self, entry: &Entry) -> Option<Step> {
        let fields = self.fields(&entry.value, entry.place, "a step", KEYS)?;
        let what = match (fields.get("uses"), fields.get("run")) {
            (Some(uses), run) => {
                if let Some(run) = run {
                    self.report(Diagnostic::error(
                        "conflicting-keys",
                        "`run` cannot stand beside `uses`",
                        uses.place.max(run.place),
                    ));
                    None
                } else {
                    self.text(uses).map(What::Uses)
                }
            }
            (None, Some(run)) => self.text(run).map(|path| self.composite(path)),
            (None, None) => {
                let message = "a step must have `uses` or `run`";
                self.report(Diagnostic::error("missing-key", message, entry.place));
                None
            }
        };
        let mut step = Step {
            id: Spanned::new(entry.key.clone(), entry.place),
            description: fields.get("description").and_then(|entry| self.text(entry)).map(|text| text.value),
            // A step that does not say what it does is still one that others may name.
            what: what.unwrap_or_else(|| What::Uses(Spanned::new(String::new(), entry.place))),
            with: Vec::new(),
            with_place: None,
            needs: fields.get("needs").map(|entry| self.set(entry)).unwrap_or_default(),
            on_failure: fields.get("on_failure").map(|entry| self.set(entry)).unwrap_or_default(),
            targets: fields.get("targets").map(|entry| {
                // A step whose targets cannot be read is not one without targets.
                let unread = || Spanned::new(StepTargets::Group(String::new()), entry.value.place);
                self.step_targets(entry).unwrap_or_else(unread)
            }),
            timeout: fields.get("timeout").and_then(|entry| self.span(entry)),
            retry: fields.get("retry").and_then(|entry| self.retry(entry)),
            when: fields.get("when").and_then(|entry| self.when(entry)),
            rollout: fields.get("rollout").and_then(|entry| self.rollout(entry)),
            effect: None,
            backs_up: fields.get("backs_up").and_then(|entry| self.flag(entry)),
            restores: fields.get("restores").and_then(|entry| self.text(entry)),
            no_way_back: None,
            resolve_within: fields.get("resolve_within").and_then(|entry| self.span(entry)),
        };
        if let Some(entry) = fields.get("with") {
            step.with = self.inputs(entry);
            step.with_place = Some(entry.place);
        }
        if let Some(entry) = fields.get("effect") {
            let effects =
                [Effect::Reads, Effect::Changes, Effect::Unknown].map(|effect| (effect.as_str(), effect));
            let unread = || Spanned::new(Effect::Unknown, entry.value.place);
            step.effect = Some(self.word("effect", &entry.value, &effects).unwrap_or_else(unread));
        }
        let because = fields.get("because").and_then(|entry| self.text(entry));
        match (fields.get("way_back"), because) {
            (None, None) => {}
            (None, Some(because)) => self.report(
                Diagnostic::error(
                    "missing-key",
                    "`because` explains `way_back: none`, which is not there",
                    because.place,
                )
                .hint("add `way_back: none`, or take `because` out"),
            ),
            (Some(entry), because) => {
                let said = because.filter(|because| !because.value.trim().is_empty());
                if self.word("way_back", &entry.value, &[("none", ())]).is_some() && said.is_none() {
                    let message = "`way_back: none` must say why";
                    self.report(
                        Diagnostic::error("missing-because", message, entry.place)
                            .hint("add `because: …`; plan and report show it"),
                    );
                }
                // The step did say something of it: one problem is enough.
                step.no_way_back = Some(said.unwrap_or_else(|| Spanned::new(String::new(), entry.place)));
            }
        }
        Some(step)
    }

    /// `with:`, and `webhook:` of a notification.
    pub(super) fn inputs(&mut self, entry: &Entry) -> Vec<Input> {
        let Data::Map(entries) = &entry.value.data else {
            self.wrong(&entry.key, "a mapping", &entry.value);
            return Vec::new();
        };
        entries
            .iter()
            .map(|entry| Input {
                key: Spanned::new(entry.key.clone(), entry.place),
                value: Spanned::new(entry.value.value(), entry.value.place),
                expressions: self.expressions(&entry.value),
            })
            .collect()
    }

    fn step_targets(&mut self, entry: &Entry) -> Option<Spanned<StepTargets>> {
        let place = entry.value.place;
        let Data::Map(_) = &entry.value.data else {
            let Value::String(group) = entry.value.value() else {
                self.wrong(
                    "targets",
                    "a target group, or `failed_in` or `touched_by` with steps",
                    &entry.value,
                );
                return None;
            };
            return Some(Spanned::new(StepTargets::Group(group), place));
        };
        let fields = self.fields(&entry.value, entry.place, "`targets`", &["failed_in", "touched_by"])?;
        let targets = match (fields.get("failed_in"), fields.get("touched_by")) {
            (Some(failed), None) => StepTargets::FailedIn(self.set(failed)),
            (None, Some(touched)) => StepTargets::TouchedBy(self.set(touched)),
            (Some(failed), Some(touched)) => {
                self.report(Diagnostic::error(
                    "conflicting-keys",
                    "`touched_by` cannot stand beside `failed_in`",
                    failed.place.max(touched.place),
                ));
                return None;
            }
            (None, None) => {
                self.report(Diagnostic::error(
                    "missing-key",
                    "`targets` must have `failed_in` or `touched_by`",
                    entry.place,
                ));
                return None;
            }
        };
        if let StepTargets::FailedIn(steps) | StepTargets::TouchedBy(steps) = &targets
            && steps.is_empty()
        {
            self.report(Diagnostic::error("empty", "`targets` names no step", place));
            return None;
        }
        Some(Spanned::new(targets, place))
    }

    /// A condition: an expression, with or without braces, or a truth value.
    fn when(&mut self, entry: &Entry) -> Option<Spanned<String>> {
        let text = match entry.value.value() {
            Value::String(text) => text,
            Value::Bool(flag) => return Some(Spanned::new(flag.to_string(), entry.value.place)),
            _ => {
                self.wrong("when", "an expression", &entry.value);
                return None;
            }
        };
        if let Ok([Segment::Expression { text, .. }]) = segments(text.trim()).as_deref() {
            let place = self.expressions(&entry.value).first().map_or(entry.value.place, |first| first.place);
            return Some(Spanned::new((*text).to_owned(), place));
        }
        Some(Spanned::new(text, entry.value.place))
    }
}
