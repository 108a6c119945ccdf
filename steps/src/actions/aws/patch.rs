//! `aws/patch`: scans for missing patches, or installs them.
//!
//! An installation is one `AWS-RunPatchBaseline` with `Install`, its reboot included, and then a `Scan`: the report of
//! an installation describes the machine before its reboot (facts: AWS-RunPatchBaseline). Both name the patch
//! snapshot of the stage (`patch_list`), so that all its machines get the same patches. Whether a machine
//! rebooted is told by its boot id. Machines that somebody else patches or scans are waited for first.

use async_trait::async_trait;
use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
    outcome::Effect,
};
use serde_json::Value;

use super::{
    patch_list::PatchList,
    patching::{Patching, Purpose},
    relay::{self, instances},
};
use crate::{
    action::{Action, Failure, Work},
    context::Context,
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
            "ec2:DescribeInstanceStatus",
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
            ("patch_snapshot", "the id of the list of patches: one for all machines of the stage"),
            (
                "renewed",
                "`true` where the stage lasted longer than such a list is kept, and this is a later one",
            ),
            ("rebooted", "whether its boot id changed"),
            ("boot_id", "its boot id after the installation"),
        ],
        ..ActionDoc::new(
            "aws/patch",
            "Runs AWS-RunPatchBaseline on a machine.",
            TimeoutDoc::Fixed(Span::from_hours(3)),
        )
    }
}

/// The action.
#[derive(Clone, Debug)]
pub struct Patch {
    doc: ActionDoc,
}

impl Default for Patch {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Patch {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        let machines = instances(ctx, work).await?;
        let ids: Vec<_> = machines.keys().cloned().collect();
        let course = Patching::new(ctx, machines, PatchList::choose(ctx).await?, Purpose::Patch);
        relay::run(ctx, &ids, course).await?;
        Ok(Value::Null)
    }
}
