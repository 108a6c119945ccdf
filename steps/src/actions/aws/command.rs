//! `aws/command`: a script, or a document of Systems Manager, on machines.

use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
    outcome::Effect,
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::optional(
                "script",
                InputKind::Script,
                "What the machine's shell runs, under a guard that makes a doubled delivery run once.",
            ),
            InputDoc::optional("document", InputKind::String, "The Systems Manager document to run instead."),
            InputDoc::optional(
                "parameters",
                InputKind::StringListMap,
                "The document's parameters: lists of texts by name.",
            ),
        ],
        exactly_one_of: vec!["script", "document"],
        effect: EffectDoc::Always(Effect::Unknown),
        repeatable: false,
        rights: vec![
            "ssm:SendCommand",
            "ssm:ListCommands",
            "ssm:ListCommandInvocations",
            "ssm:GetCommandInvocation",
            "ssm:CancelCommand",
            "ssm:DescribeInstanceInformation",
        ],
        outputs: vec![
            ("stdout", "the first 24,000 characters of the output, without white space around them"),
            ("exit_code", "the exit code"),
        ],
        ..ActionDoc::new(
            "aws/command",
            "Runs a script or a document on a machine by Run Command.",
            TimeoutDoc::Fixed(Span::from_hours(1)),
        )
    }
}
