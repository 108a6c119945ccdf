//! `linux/compliance`: whether a host has what it should have.

use async_trait::async_trait;
use runbook_engine::{
    catalog::{ActionDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
};
use serde_json::{Value, json};

use super::{
    host::{Host, each},
    policy::{self, Policy},
    stages::LOCK_WAIT,
};
use crate::{
    action::{Action, Failure, Work},
    context::Context,
    fanout::Done,
    ports::linux::Update,
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    let own = vec![
        InputDoc::defaulting(
            "max_missing_security",
            InputKind::Integer,
            0,
            "How many security updates may be pending.",
        ),
        InputDoc::optional("max_missing", InputKind::Integer, "How many updates may be; absent: any number."),
        InputDoc::defaulting(
            "max_pending_reboot",
            InputKind::Integer,
            0,
            "How many reasons to reboot there may be.",
        ),
        InputDoc::defaulting(
            "max_drift",
            InputKind::Integer,
            0,
            "How many packages may differ from the policy, where one is stated: approved updates that are pending and not \
             held on the host, and rejected packages that are installed.",
        ),
    ];
    ActionDoc {
        inputs: own.into_iter().chain(policy::inputs()).collect(),
        outputs: vec![
            ("platform", "what its packages are made for: `debian-12-amd64`"),
            ("missing", "how many updates are pending"),
            ("security", "how many of them are security updates"),
            ("pending_reboot", "why it should be rebooted, in the host's words"),
            ("drift", "the packages that differ from the policy: `name=version`"),
            ("held", "the pending updates that the host itself holds back: `name=version`"),
            ("last_patched", "when its packages were changed last"),
        ],
        ..ActionDoc::new(
            "linux/compliance",
            "Asks a host for what is pending, and fails where that is more than may be.",
            TimeoutDoc::Fixed(Span::from_mins(30)),
        )
    }
}

/// The action.
#[derive(Clone, Debug)]
pub struct Compliance {
    doc: ActionDoc,
}

impl Default for Compliance {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Compliance {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        each(ctx, work, |host| async move { course(&host).await }).await
    }
}

async fn course(host: &Host) -> Result<Done, Failure> {
    let policy = Policy::of(&host.inputs);
    let facts = host.first(|| host.port().facts(&host.target)).await?;
    host.refresh(false, LOCK_WAIT).await?;
    let pending = host.first(|| host.port().pending(&host.target)).await?;
    let security = pending.iter().filter(|update| update.security).count();
    let named = |update: &Update| format!("{}={}", update.name, update.to);
    let held: Vec<_> = pending.iter().filter(|update| update.held).map(named).collect();
    let mut drift = Vec::new();
    if policy.is_stated() {
        let now = host.ctx.now();
        // What the host holds back is left out of an installation, too.
        let due = pending.iter().filter(|update| !update.held && policy.holds_back(update, now).is_none());
        drift.extend(due.map(named));
        let installed = host.first(|| host.port().packages(&host.target)).await?;
        let wrong = installed.iter().filter(|package| policy.forbids(&package.name, &package.version));
        drift.extend(wrong.map(|package| format!("{}={}", package.name, package.version)));
    }
    let seen = [
        ("max_missing_security", security, "security updates are pending"),
        ("max_missing", pending.len(), "updates are pending"),
        ("max_pending_reboot", facts.reboot_needed.len(), "reasons to reboot"),
        ("max_drift", drift.len(), "packages differ from the policy"),
    ];
    let too_many = seen.iter().find_map(|(limit, seen, what)| {
        let most = host.inputs.integer(limit)?;
        (*seen as u64 > most).then(|| format!("{seen} {what}, {most} may be"))
    });
    let report = match too_many {
        None => Report::succeeded(),
        Some(cause) => Report::failed(Outcome::Failed, ErrorClass::Failed, cause),
    };
    let outputs = json!({
        "platform": facts.platform(),
        "missing": pending.len(),
        "security": security,
        "pending_reboot": facts.reboot_needed,
        "drift": drift,
        "held": held,
        "last_patched": facts.last_patched,
    });
    Ok(Done { report, outputs: Some(outputs) })
}
