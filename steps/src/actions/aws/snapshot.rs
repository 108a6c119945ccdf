//! `aws/snapshot`: the backup that a machine can be restored from.

use runbook_engine::{
    catalog::{ActionDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::optional(
                "keep",
                InputKind::Duration,
                "How long the snapshots are needed; absent: until somebody deletes them.",
            ),
            InputDoc::defaulting(
                "volumes",
                InputKind::Enum(vec!["all", "root"]),
                "all",
                "Which volumes; `all` are taken at the same instant.",
            ),
        ],
        repeatable: false,
        backs_up: true,
        rights: vec![
            "ec2:CreateSnapshots",
            "ec2:CreateTags",
            "ec2:DescribeInstances",
            "ec2:DescribeSnapshots",
        ],
        outputs: vec![("snapshots", "the ids of the machine's snapshots")],
        ..ActionDoc::new(
            "aws/snapshot",
            "Takes snapshots of a machine's volumes and waits until they are complete.",
            TimeoutDoc::Fixed(Span::from_hours(6)),
        )
    }
}
