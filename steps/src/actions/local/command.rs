//! `local/command`: a program on this machine.

use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, InputDoc, InputKind, TargetsDoc, TimeoutDoc},
    duration::Span,
    outcome::Effect,
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::optional("script", InputKind::Script, "What `sh` runs."),
            InputDoc::optional(
                "command",
                InputKind::Strings,
                "A program and its arguments, run without a shell.",
            ),
            InputDoc::optional("env", InputKind::StringMap, "What is added to the environment.")
                .may_hold_secrets(),
        ],
        exactly_one_of: vec!["script", "command"],
        effect: EffectDoc::Always(Effect::Unknown),
        targets: TargetsDoc::Optional,
        repeatable: false,
        outputs: vec![
            ("stdout", "the first 24,000 characters of the output, without white space around them"),
            ("exit_code", "the exit code"),
        ],
        ..ActionDoc::new(
            "local/command",
            "Runs a program on this machine, once per target, or once where its step has none.",
            TimeoutDoc::Fixed(Span::from_hours(1)),
        )
    }
}
