//! `aws/restore`: brings a machine back to its backup, by one of three strategies.
//!
//! Every strategy is a sequence of single calls for each machine. What is next is derived from what was decided for the
//! machine (`record`), asked for (`past`) and seen (`sight`), so that a life that ends between any two calls costs
//! nothing: calls with a client token are found by it, all others by the state that they bring about.

pub mod choice;
mod deed;
mod drive;
mod machine;
mod new_instance;
mod next;
mod past;
mod record;
mod replace_root;
mod sight;
mod swap;

pub(super) use self::record::{facts_of, like};

use async_trait::async_trait;
pub use choice::way_back;
use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
    outcome::Effect,
};
use serde_json::Value;

use super::relay::instances;
use crate::{
    action::{Action, Failure, Work},
    context::Context,
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
                InputKind::Enum(vec!["auto", "replace-root-volume", "swap-volumes", "backup-restore"]),
                "auto",
                "How. `auto` is decided for each machine in the plan, which shows it: the root volume is replaced where \
                 only that was backed up, volumes are swapped where there are several, and a recovery point becomes a \
                 new instance.",
            ),
            InputDoc::defaulting(
                "keep",
                InputKind::Duration,
                "14d",
                "How long the volumes that were replaced are kept.",
            ),
        ],
        effect: EffectDoc::Always(Effect::Changes),
        restores: true,
        rights: choice::rights(),
        outputs: vec![
            ("restore", "the id of the replacement, of the first new volume, or of the restore job"),
            ("strategy", "the strategy"),
            ("volumes", "the new volumes"),
            ("old_volumes", "the volumes that were replaced, and are kept for a while"),
            ("differences", "what is not as it was: the new root volume, the public address"),
            ("replaced_by", "backup-restore: the new machine, `instance` and `private_ip`"),
        ],
        ..ActionDoc::new(
            "aws/restore",
            "Brings a machine back to the backup that a step of this run made.",
            TimeoutDoc::Fixed(Span::from_hours(2)),
        )
    }
}

/// The action.
#[derive(Clone, Debug)]
pub struct Restore {
    doc: ActionDoc,
}

impl Default for Restore {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Restore {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    fn begins_with_intent(&self) -> bool {
        true
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        drive::run(ctx, instances(ctx, work).await?).await?;
        Ok(Value::Null)
    }
}
