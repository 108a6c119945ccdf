//! `aws/reboot`: reboots a machine and waits until it is back.

use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, TimeoutDoc},
    duration::Span,
    outcome::Effect,
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        effect: EffectDoc::Always(Effect::Changes),
        rights: vec![
            "ec2:DescribeInstances",
            "ec2:RebootInstances",
            "ssm:DescribeInstanceInformation",
            "ssm:GetCommandInvocation",
            "ssm:SendCommand",
        ],
        outputs: vec![("boot_id", "the boot id after the reboot")],
        ..ActionDoc::new(
            "aws/reboot",
            "Reboots a machine, once, and waits until its boot id has changed and its agent is heard.",
            TimeoutDoc::Fixed(Span::from_mins(30)),
        )
    }
}
