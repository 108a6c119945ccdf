//! `linux/policy`: which of the pending updates a policy lets through, and why not the others.
//!
//! The same four inputs are a part of `linux/patch` and `linux/compliance`, so that `runbook check` reads them wherever
//! they stand. Runbooks that use one policy in several steps have it in `params:`.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::{
    catalog::{ActionDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
};
use serde_json::{Value, json};

use super::{
    choice::KeptBack,
    glob,
    host::{Host, each},
};
use crate::{
    action::{Action, Failure, Inputs, Work},
    context::Context,
    fanout::Done,
    ports::linux::{Severity, Update},
};

/// The inputs that state a policy.
pub(super) fn inputs() -> Vec<InputDoc> {
    vec![
        InputDoc::optional(
            "approved",
            InputKind::Strings,
            "Packages that may be changed, as `name` or `name=version` with `*` and `?`; absent: all.",
        ),
        InputDoc::optional(
            "rejected",
            InputKind::Strings,
            "Packages that may not, in the same notation; they are rejected also where they are approved.",
        ),
        InputDoc::optional(
            "min_severity",
            InputKind::Enum(vec!["low", "moderate", "important", "critical"]),
            "The least severity; where the distribution states none (apt), every security update passes.",
        ),
        InputDoc::optional(
            "age",
            InputKind::Duration,
            "How long an update must have been out; one whose date is not stated (apt) is held back.",
        ),
    ]
}

/// What may be changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    approved: Option<Vec<String>>,
    rejected: Vec<String>,
    min_severity: Option<Severity>,
    age: Option<Duration>,
}

impl Policy {
    /// What the inputs say.
    pub fn of(inputs: &Inputs) -> Self {
        let severity = inputs.values.get("min_severity");
        Self {
            approved: inputs
                .values
                .get("approved")
                .filter(|value| !value.is_null())
                .map(|_| inputs.texts("approved")),
            rejected: inputs.texts("rejected"),
            min_severity: severity.and_then(|word| serde_json::from_value(word.clone()).ok()),
            age: inputs.span("age").map(Span::get),
        }
    }

    /// Whether it says anything.
    pub fn is_stated(&self) -> bool {
        *self != Self::default()
    }

    /// Why a version may not be installed by its name; none where it may.
    pub fn objects_to(&self, name: &str, version: &str) -> Option<&'static str> {
        if glob::any(&self.rejected, name, version) {
            return Some("rejected");
        }
        let approved = self.approved.as_ref().is_none_or(|approved| glob::any(approved, name, version));
        (!approved).then_some("not approved")
    }

    /// Why an update is not installed; none where it may be.
    pub fn holds_back(&self, update: &Update, now: Timestamp) -> Option<String> {
        if let Some(why) = self.objects_to(&update.name, &update.to) {
            return Some(why.to_owned());
        }
        if let Some(least) = self.min_severity {
            match update.severity {
                Some(severity) if severity < least => {
                    return Some(format!("its severity is {}", word(severity)));
                }
                None if !update.security => return Some("it is no security update".to_owned()),
                _ => {}
            }
        }
        let age = self.age?;
        let Some(issued) = update.issued else { return Some("its age is not known".to_owned()) };
        let old = Duration::try_from(now.duration_since(issued)).unwrap_or_default();
        (old < age).then(|| format!("it is out since {}", issued.strftime("%Y-%m-%d")))
    }

    /// Whether what is installed should not be.
    pub fn forbids(&self, name: &str, version: &str) -> bool {
        glob::any(&self.rejected, name, version)
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "low",
        Severity::Moderate => "moderate",
        Severity::Important => "important",
        Severity::Critical => "critical",
    }
}

/// Its documentation.
pub fn doc() -> ActionDoc {
    ActionDoc {
        inputs: inputs(),
        outputs: vec![
            ("platform", "what its packages are made for: `debian-12-amd64`"),
            ("approved", "the pending updates that the policy lets through: `name=version`"),
            ("kept_back", "the others: `name`, `version` and `why`"),
        ],
        ..ActionDoc::new(
            "linux/policy",
            "Says which pending updates of a host a policy lets through, and why not the others.",
            TimeoutDoc::Fixed(Span::from_mins(30)),
        )
    }
}

/// The action.
#[derive(Clone, Debug)]
pub struct Evaluate {
    doc: ActionDoc,
}

impl Default for Evaluate {
    fn default() -> Self {
        Self { doc: doc() }
    }
}

#[async_trait]
impl Action for Evaluate {
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
    host.refresh(false, super::stages::LOCK_WAIT).await?;
    let pending = host.first(|| host.port().pending(&host.target)).await?;
    let (mut approved, mut kept_back) = (Vec::new(), Vec::new());
    for update in &pending {
        match policy.holds_back(update, host.ctx.now()) {
            None => approved.push(format!("{}={}", update.name, update.to)),
            Some(why) => kept_back.push(KeptBack::of(update, why)),
        }
    }
    let outputs = json!({ "platform": facts.platform(), "approved": approved, "kept_back": kept_back });
    Ok(Done { outputs: Some(outputs), ..Done::succeeded() })
}
