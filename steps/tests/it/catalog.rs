//! The catalog: every action of the language, and what is true of all of them.

use std::collections::BTreeSet;

use runbook_engine::{
    catalog::{ActionDoc, Catalog, EffectDoc, InputKind, TimeoutDoc},
    duration::Span,
    outcome::Effect,
};
use runbook_steps::catalog::Actions;
use serde_json::Value;

const ALL: [&str; 27] = [
    "ansible/playbook",
    "aws/backup",
    "aws/command",
    "aws/compliance",
    "aws/patch",
    "aws/reboot",
    "aws/restore",
    "aws/snapshot",
    "check/command",
    "check/http",
    "check/log",
    "check/tcp",
    "gate/approval",
    "gate/manual",
    "gate/wait",
    "gate/window",
    "linux/backup",
    "linux/compliance",
    "linux/file",
    "linux/patch",
    "linux/policy",
    "linux/reboot",
    "linux/restore",
    "linux/script",
    "linux/service",
    "local/command",
    "notify/webhook",
];

fn docs(actions: &Actions) -> impl Iterator<Item = &ActionDoc> {
    ALL.into_iter().map(|name| actions.action(name).expect("a documented action"))
}

#[test]
fn every_action_is_there_and_every_one_but_gates_has_code() {
    let actions = Actions::standard();
    assert_eq!(actions.names(), ALL);
    for doc in docs(&actions) {
        assert_eq!(actions.get(doc.name).is_none(), doc.is_gate(), "{}", doc.name);
        if let Some(action) = actions.get(doc.name) {
            assert_eq!(action.doc().name, doc.name);
        }
    }
}

#[test]
fn secrets_may_stand_where_the_language_says_and_nowhere_else() {
    let actions = Actions::standard();
    let places: BTreeSet<_> = docs(&actions)
        .flat_map(|doc| doc.inputs.iter().filter(|input| input.secret).map(|input| (doc.name, input.name)))
        .collect();
    let said = [
        ("ansible/playbook", "env"),
        ("check/http", "headers"),
        ("linux/file", "content"),
        ("linux/script", "env"),
        ("local/command", "env"),
        ("notify/webhook", "body"),
        ("notify/webhook", "headers"),
        ("notify/webhook", "url"),
    ];
    assert_eq!(places, BTreeSet::from(said));
}

#[test]
fn a_default_is_of_the_kind_that_its_input_takes() {
    let actions = Actions::standard();
    for doc in docs(&actions) {
        for input in &doc.inputs {
            let fits = match (&input.kind, &input.default) {
                (_, Value::Null) => true,
                (InputKind::Duration, Value::String(text)) => Span::parse(text).is_some(),
                (InputKind::Integer, value) => value.is_u64(),
                (InputKind::Enum(words), Value::String(text)) => words.contains(&text.as_str()),
                (InputKind::String | InputKind::TimeZone, Value::String(_)) => true,
                (InputKind::Bool, value) => value.is_boolean(),
                _ => false,
            };
            let needless = input.required && !input.default.is_null();
            assert!(fits && !needless, "{} {}", doc.name, input.name);
        }
        let known = |name: &&str| doc.input(name).is_some_and(|input| !input.required);
        assert!(doc.exactly_one_of.iter().all(known), "{}", doc.name);
        if doc.timeout == TimeoutDoc::Expires {
            assert!(doc.input("expires").is_some_and(|input| input.required));
        }
    }
}

#[test]
fn effects_are_those_of_the_language() {
    let actions = Actions::standard();
    for doc in docs(&actions) {
        let expected = match doc.name {
            "aws/patch" | "linux/patch" => EffectDoc::ByInput {
                input: "operation",
                value: "Scan",
                then: Effect::Reads,
                otherwise: Effect::Changes,
            },
            "ansible/playbook" => EffectDoc::ByInput {
                input: "check",
                value: "true",
                then: Effect::Reads,
                otherwise: Effect::Unknown,
            },
            "aws/restore" | "aws/reboot" | "linux/reboot" | "linux/restore" => {
                EffectDoc::Always(Effect::Changes)
            }
            "aws/command" | "linux/file" | "linux/script" | "linux/service" | "local/command" => {
                EffectDoc::Always(Effect::Unknown)
            }
            _ => EffectDoc::Always(Effect::Reads),
        };
        assert_eq!(doc.effect, expected, "{}", doc.name);
        assert_eq!(doc.backs_up, matches!(doc.name, "aws/backup" | "aws/snapshot" | "linux/backup"));
        assert_eq!(doc.restores, matches!(doc.name, "aws/restore" | "linux/restore"));
    }
}
