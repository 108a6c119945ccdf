//! `aws/compliance`: whether a machine's patch state is good enough.

use runbook_engine::{
    catalog::{ActionDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    let limit = |name, doc| InputDoc::defaulting(name, InputKind::Integer, 0, doc);
    ActionDoc {
        inputs: vec![
            limit("max_missing", "How many patches may be missing."),
            limit("max_failed", "How many patches may have failed."),
            InputDoc::optional(
                "max_pending_reboot",
                InputKind::Integer,
                "How many patches may wait for a reboot; absent: none, and any number after `reboot: NoReboot`.",
            ),
            limit("max_critical", "How many critical patches may be missing."),
            limit("max_security", "How many security patches may be missing."),
            limit("max_other", "How many other patches may be missing."),
        ],
        rights: vec!["ssm:DescribeInstancePatchStates"],
        outputs: vec![
            ("missing", "MissingCount"),
            ("failed", "FailedCount"),
            ("pending_reboot", "InstalledPendingRebootCount"),
            ("critical", "CriticalNonCompliantCount"),
            ("security", "SecurityNonCompliantCount"),
            ("other", "OtherNonCompliantCount"),
        ],
        ..ActionDoc::new(
            "aws/compliance",
            "Fails a machine whose patch state, as Systems Manager last saw it, is over a limit.",
            TimeoutDoc::Fixed(Span::from_mins(30)),
        )
    }
}
