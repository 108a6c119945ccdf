//! `aws/patch`: scans for missing patches, or installs them.

use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
    outcome::Effect,
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::defaulting(
                "operation",
                InputKind::Enum(vec!["Scan", "Install"]),
                "Scan",
                "Whether to look for missing patches or to install them.",
            ),
            InputDoc::defaulting(
                "reboot",
                InputKind::Enum(vec!["RebootIfNeeded", "NoReboot"]),
                "RebootIfNeeded",
                "What to do when an installed patch needs a reboot.",
            ),
        ],
        effect: EffectDoc::ByInput {
            input: "operation",
            value: "Scan",
            then: Effect::Reads,
            otherwise: Effect::Changes,
        },
        repeatable: false,
        rights: vec![
            "ssm:SendCommand",
            "ssm:ListCommands",
            "ssm:ListCommandInvocations",
            "ssm:GetCommandInvocation",
            "ssm:CancelCommand",
            "ssm:DescribeInstanceInformation",
            "ssm:DescribeInstancePatchStates",
        ],
        outputs: vec![
            ("missing", "how many patches are still missing"),
            ("failed", "how many patches could not be installed"),
            ("pending_reboot", "how many patches wait for a reboot"),
        ],
        ..ActionDoc::new(
            "aws/patch",
            "Runs AWS-RunPatchBaseline on a machine.",
            TimeoutDoc::Fixed(Span::from_hours(3)),
        )
    }
}
