//! The actions that these tests use: what the planner reads of the real ones.

use runbook_engine::{
    catalog::{ActionDoc, Catalog, EffectDoc, InputDoc, InputKind, TargetsDoc, TimeoutDoc, gates},
    duration::Span,
    outcome::Effect,
};

/// The test catalog.
pub struct TestCatalog(Vec<ActionDoc>);

fn check(name: &'static str, own: InputDoc) -> ActionDoc {
    ActionDoc {
        inputs: vec![
            own,
            InputDoc::defaulting("within", InputKind::Duration, "5m", ""),
            InputDoc::defaulting("for", InputKind::Duration, "0s", ""),
        ],
        targets: TargetsDoc::Optional,
        ..ActionDoc::new(name, "", TimeoutDoc::WithinForPlus(Span::from_mins(10)))
    }
}

fn action(name: &'static str, effect: EffectDoc, hours: u64) -> ActionDoc {
    ActionDoc { effect, ..ActionDoc::new(name, "", TimeoutDoc::Fixed(Span::from_hours(hours))) }
}

impl Default for TestCatalog {
    fn default() -> Self {
        let reads = EffectDoc::Always(Effect::Reads);
        let mut all = vec![
            ActionDoc {
                inputs: vec![InputDoc::optional("keep", InputKind::Duration, "")],
                backs_up: true,
                ..action("aws/snapshot", reads.clone(), 6)
            },
            ActionDoc {
                inputs: vec![
                    InputDoc::required("operation", InputKind::Enum(vec!["Scan", "Install"]), ""),
                    InputDoc::defaulting("reboot", InputKind::String, "RebootIfNeeded", ""),
                ],
                ..action(
                    "aws/patch",
                    EffectDoc::ByInput {
                        input: "operation",
                        value: "Scan",
                        then: Effect::Reads,
                        otherwise: Effect::Changes,
                    },
                    3,
                )
            },
            action("aws/compliance", reads.clone(), 1),
            ActionDoc {
                inputs: vec![InputDoc::required("from", InputKind::StepRef, "")],
                restores: true,
                ..action("aws/restore", EffectDoc::Always(Effect::Changes), 2)
            },
            action("aws/command", EffectDoc::Always(Effect::Unknown), 1),
            ActionDoc {
                targets: TargetsDoc::Optional,
                ..action("local/command", EffectDoc::Always(Effect::Unknown), 1)
            },
            ActionDoc { targets: TargetsDoc::Never, ..action("notify/webhook", reads, 1) },
            check("check/http", InputDoc::required("url", InputKind::Url, "")),
            check("check/tcp", InputDoc::required("host", InputKind::String, "")),
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
