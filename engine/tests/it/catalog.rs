//! A catalog with the actions that these tests use: the same names and effects as the real ones, few inputs.

use runbook_engine::{
    catalog::{ActionDoc, Catalog, EffectDoc, InputDoc, InputKind, TargetsDoc, TimeoutDoc, gates},
    duration::Span,
    outcome::Effect,
};
use serde_json::Value;

/// The test catalog.
pub struct TestCatalog(Vec<ActionDoc>);

fn input(name: &'static str, kind: InputKind) -> InputDoc {
    InputDoc { name, kind, required: false, default: Value::Null, secret: false, doc: "" }
}

fn action(name: &'static str, effect: Effect, timeout: Span) -> ActionDoc {
    ActionDoc {
        effect: EffectDoc::Always(effect),
        targets: TargetsDoc::Optional,
        repeatable: false,
        ..ActionDoc::new(name, "for tests", TimeoutDoc::Fixed(timeout))
    }
}

impl Default for TestCatalog {
    fn default() -> Self {
        let mut all = vec![
            ActionDoc { backs_up: true, ..action("aws/snapshot", Effect::Reads, Span::from_hours(6)) },
            action("aws/patch", Effect::Changes, Span::from_hours(3)),
            ActionDoc { takes_patchset: true, ..action("linux/patch", Effect::Changes, Span::from_hours(3)) },
            ActionDoc {
                restores: true,
                inputs: vec![InputDoc { required: true, ..input("from", InputKind::StepRef) }],
                ..action("aws/restore", Effect::Changes, Span::from_hours(2))
            },
            action("check/http", Effect::Reads, Span::from_hours(1)),
            action("check/tcp", Effect::Reads, Span::from_hours(1)),
            action("aws/command", Effect::Unknown, Span::from_hours(1)),
            ActionDoc {
                targets: TargetsDoc::Never,
                inputs: vec![input("url", InputKind::Url)],
                ..action("notify/webhook", Effect::Reads, Span::from_mins(1))
            },
            ActionDoc {
                inputs: vec![input("script", InputKind::Script)],
                ..action("local/command", Effect::Unknown, Span::from_hours(1))
            },
        ];
        all.extend(gates());
        all.sort_by_key(|doc| doc.name);
        Self(all)
    }
}

impl Catalog for TestCatalog {
    fn action(&self, name: &str) -> Option<&ActionDoc> {
        self.0.iter().find(|doc| doc.name == name)
    }

    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|doc| doc.name).collect()
    }
}
