//! `aws/restore`: brings a machine back to its backup.

use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
    outcome::Effect,
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::required(
                "from",
                InputKind::StepRef,
                "The step that made the backup; each machine finds its own.",
            ),
            InputDoc::defaulting(
                "strategy",
                InputKind::Enum(vec!["auto", "replace-root-volume", "swap-volumes"]),
                "auto",
                "How: `auto` replaces the root volume where only that was backed up, and swaps volumes otherwise.",
            ),
        ],
        effect: EffectDoc::Always(Effect::Changes),
        restores: true,
        rights: vec![
            "ec2:AttachVolume",
            "ec2:CreateReplaceRootVolumeTask",
            "ec2:CreateTags",
            "ec2:CreateVolume",
            "ec2:DescribeInstances",
            "ec2:DescribeReplaceRootVolumeTasks",
            "ec2:DescribeSnapshots",
            "ec2:DescribeVolumes",
            "ec2:DetachVolume",
            "ec2:StartInstances",
            "ec2:StopInstances",
        ],
        outputs: vec![("restore", "the id of the restore")],
        ..ActionDoc::new(
            "aws/restore",
            "Brings a machine's volumes back to the backup that a step of this run made.",
            TimeoutDoc::Fixed(Span::from_hours(2)),
        )
    }
}
