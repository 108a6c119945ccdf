//! `linux/patch`: looks for pending updates, or installs them.
//!
//! What is installed is decided before, by the package manager's own dry run, and asked for in exactly those versions:
//! what a mirror has in the meantime does not come along (`course`).

use async_trait::async_trait;
use runbook_engine::{
    catalog::{ActionDoc, EffectDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
    outcome::Effect,
};
use serde_json::Value;

use super::{course, host::each, policy};
use crate::{
    action::{Action, Failure, Work},
    context::Context,
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    let own = vec![
        InputDoc::defaulting(
            "operation",
            InputKind::Enum(vec!["Scan", "Install"]),
            "Install",
            "Whether to look for pending updates or to install them.",
        ),
        InputDoc::defaulting(
            "select",
            InputKind::Enum(vec!["security", "all"]),
            "security",
            "Which of them: those that the distribution calls security updates, or all.",
        ),
        InputDoc::optional(
            "packages",
            InputKind::Strings,
            "Nothing but these, whatever `select` says: `name`, or `name=version` for that very version.",
        ),
        InputDoc::optional(
            "exclude",
            InputKind::Strings,
            "Never these: `name` or `name=version`, with `*` and `?`. What would bring one along is refused.",
        ),
        InputDoc::defaulting(
            "held",
            InputKind::Enum(vec!["keep", "change"]),
            "keep",
            "What to do with packages that the host itself holds back.",
        ),
        InputDoc::defaulting(
            "config_files",
            InputKind::Enum(vec!["keep", "replace"]),
            "keep",
            "Which configuration file stays where one was changed on the host; rpm decides by itself.",
        ),
        InputDoc::defaulting(
            "reboot",
            InputKind::Enum(vec!["RebootIfNeeded", "NoReboot"]),
            "RebootIfNeeded",
            "What to do when the host says that it must be rebooted.",
        ),
        InputDoc::defaulting(
            "lock_wait",
            InputKind::Duration,
            "10m",
            "How long to wait for the locks of package managers.",
        ),
    ];
    ActionDoc {
        inputs: own.into_iter().chain(policy::inputs()).collect(),
        effect: EffectDoc::ByInput {
            input: "operation",
            value: "Scan",
            then: Effect::Reads,
            otherwise: Effect::Changes,
        },
        repeatable: false,
        takes_patchset: true,
        outputs: vec![
            ("platform", "what its packages are made for: `debian-12-amd64`"),
            ("changed", "what was changed: `name`, `arch`, `from`, `to`"),
            ("available", "what a scan would install: `name=version`"),
            ("kept_back", "pending updates that were left out: `name`, `version` and `why`"),
            ("missing", "how many updates are pending afterwards"),
            ("security", "how many of them are security updates"),
            ("pending_reboot", "why it should be rebooted, in the host's words"),
            ("rebooted", "whether its boot id changed"),
            ("boot_id", "its boot id afterwards"),
            ("failed_units", "the units that have failed afterwards"),
            ("automatic", "what else installs packages on it by itself, and may get in the way"),
        ],
        ..ActionDoc::new(
            "linux/patch",
            "Installs pending updates on a host with its own package manager (apt, dnf, yum, zypper).",
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
        each(ctx, work, |host| async move {
            match host.inputs.text("operation") {
                Some("Scan") => course::scan(&host).await,
                _ => course::install(&host).await,
            }
        })
        .await
    }
}
