//! `linux/reboot`: reboots a host, and proves it by its boot id.

use async_trait::async_trait;
use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
    outcome::Effect,
};
use serde_json::{Value, json};

use super::host::{Host, each};
use crate::{
    action::{Action, Failure, Work},
    context::Context,
    fanout::Done,
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![InputDoc::defaulting(
            "only",
            InputKind::Enum(vec!["always", "needed"]),
            "always",
            "Whether to reboot in any case, or only where the host says that it is needed.",
        )],
        effect: EffectDoc::Always(Effect::Changes),
        outputs: vec![
            ("rebooted", "whether it was rebooted"),
            ("boot_id", "its boot id afterwards"),
            ("needed", "why it had to be rebooted, in the host's words"),
            ("failed_units", "the units that had failed when it was back"),
        ],
        ..ActionDoc::new(
            "linux/reboot",
            "Reboots a host, once, and waits until it answers with another boot id.",
            TimeoutDoc::Fixed(Span::from_mins(30)),
        )
    }
}

/// The action.
#[derive(Clone, Debug)]
pub struct Reboot {
    doc: ActionDoc,
}

impl Default for Reboot {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Reboot {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        each(ctx, work, |host| async move { course(&host).await }).await
    }
}

async fn course(host: &Host) -> Result<Done, Failure> {
    let key = host.key("needed");
    let needed = match host.ctx.recall(&key) {
        Some(needed) => needed.clone(),
        None => {
            let facts = host.first(|| host.port().facts(&host.target)).await?;
            let needed = json!(facts.reboot_needed);
            host.ctx.ledger.checkpoint(&key, needed.clone()).await?;
            needed
        }
    };
    let is_needed = needed.as_array().is_some_and(|reasons| !reasons.is_empty());
    let before = host.boot_before().await?;
    if host.inputs.text("only") == Some("needed") && !is_needed {
        let outputs = json!({ "rebooted": false, "boot_id": before, "needed": needed, "failed_units": [] });
        return Ok(Done { outputs: Some(outputs), ..Done::succeeded() });
    }
    let boot = host.reboot().await?;
    let facts = host.then(|| host.port().facts(&host.target)).await?;
    let outputs =
        json!({ "rebooted": true, "boot_id": boot, "needed": needed, "failed_units": facts.failed_units });
    Ok(Done { outputs: Some(outputs), ..Done::succeeded() })
}
