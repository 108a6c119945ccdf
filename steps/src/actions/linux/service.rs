//! `linux/service`: brings a service into a state.

use async_trait::async_trait;
use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
    outcome::Effect,
};
use serde_json::{Value, json};

use super::{
    host::{Host, each},
    job::End,
    stages::{errand, failure},
};
use crate::{
    action::{Action, Failure, Work},
    context::Context,
    fanout::Done,
    ports::linux::{Deed, Verdict},
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: vec![
            InputDoc::required("name", InputKind::String, "The unit or init script."),
            InputDoc::required(
                "state",
                InputKind::Enum(vec!["started", "stopped", "restarted", "reloaded", "enabled", "disabled"]),
                "What it is to be. What it is already is left alone, but for `restarted` and `reloaded`.",
            ),
        ],
        effect: EffectDoc::Always(Effect::Unknown),
        outputs: vec![
            ("active", "whether it runs afterwards"),
            ("enabled", "whether it is started at boot"),
            ("words", "how it stands, in the host's words"),
        ],
        ..ActionDoc::new(
            "linux/service",
            "Starts, stops or restarts a service of a host, and looks whether it is so.",
            TimeoutDoc::Fixed(Span::from_mins(30)),
        )
    }
}

/// The action.
#[derive(Clone, Debug)]
pub struct Service {
    doc: ActionDoc,
}

impl Default for Service {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Service {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        each(ctx, work, |host| async move { course(&host).await }).await
    }
}

async fn course(host: &Host) -> Result<Done, Failure> {
    let name = host.inputs.required_text("name")?.to_owned();
    let wanted = host.inputs.required_text("state")?;
    let begun = host.ctx.memory.intents.contains_key(&host.key("service"));
    let verb = match wanted {
        "started" => "start",
        "stopped" => "stop",
        "restarted" => "restart",
        "reloaded" => "reload",
        "enabled" => "enable",
        _ => "disable",
    };
    if begun || !is_so(host, &name, wanted).await? {
        let deed = || Deed::Service { name: name.clone(), verb: verb.to_owned() };
        match host.job(errand("service", "the change of the service", true), deed).await? {
            End::Ended(ended) if ended.verdict == Verdict::Done => {}
            End::Ended(ended) => return Err(failure(&format!("{name} could not be {wanted}"), &ended)),
            // How it stands is asked below.
            End::Stopped | End::Lost { .. } => {}
        }
    }
    let after = host.then(|| host.port().service(&host.target, &name)).await?;
    let wrong = match wanted {
        "stopped" => after.active,
        "enabled" => after.enabled == Some(false),
        "disabled" => after.enabled == Some(true),
        _ => !after.active,
    };
    if wrong {
        return Err(Failure::failed(format!("{name} is not {wanted}: {}", after.words)));
    }
    let outputs = json!({ "active": after.active, "enabled": after.enabled, "words": after.words });
    Ok(Done { outputs: Some(outputs), ..Done::succeeded() })
}

/// Whether it is so already, before anything was done.
async fn is_so(host: &Host, name: &str, wanted: &str) -> Result<bool, Failure> {
    let before = host.first(|| host.port().service(&host.target, name)).await?;
    Ok(match wanted {
        "started" => before.active,
        "stopped" => !before.active,
        "enabled" => before.enabled == Some(true),
        "disabled" => before.enabled == Some(false),
        _ => false,
    })
}
