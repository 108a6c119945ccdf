//! `aws/compliance`: whether a machine's patch state is good enough.

use std::collections::BTreeMap;

use async_trait::async_trait;
use runbook_engine::{
    catalog::{ActionDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
    target::Home,
};
use serde_json::{Value, json};

use super::{
    errand::MOST,
    patience::{cancelled, read, refusal},
    relay::instances,
};
use crate::{
    action::{Action, Failure, Inputs, Work},
    context::{Context, StopReason},
    fanout::{Done, journal},
    ports::ssm::PatchState,
};

/// Its documentation.
pub fn doc() -> ActionDoc {
    let limit = |name, doc| InputDoc::defaulting(name, InputKind::Integer, 0, doc);
    ActionDoc {
        inputs: vec![
            limit("max_missing", "How many patches may be missing."),
            limit("max_failed", "How many patches may have failed."),
            InputDoc::optional(
                "max_pending_reboot",
                InputKind::Integer,
                "How many patches may wait for a reboot; absent: none, and any number after `reboot: NoReboot`.",
            ),
            limit("max_critical", "How many critical patches may be missing."),
            limit("max_security", "How many security patches may be missing."),
            limit("max_other", "How many other patches may be missing."),
        ],
        rights: vec!["ssm:DescribeInstancePatchStates"],
        outputs: vec![
            ("missing", "MissingCount"),
            ("failed", "FailedCount"),
            ("pending_reboot", "InstalledPendingRebootCount"),
            ("critical", "CriticalNonCompliantCount"),
            ("security", "SecurityNonCompliantCount"),
            ("other", "OtherNonCompliantCount"),
        ],
        ..ActionDoc::new(
            "aws/compliance",
            "Fails a machine whose patch state, as Systems Manager last saw it, is over a limit.",
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
        if ctx.resumed {
            // It only reads, and reads anew.
            ctx.ledger.looked_up().await?;
        }
        let machines = instances(ctx, work).await?;
        let mut homes: BTreeMap<Home, Vec<TargetId>> = BTreeMap::new();
        for (id, (target, _)) in &machines {
            homes.entry(target.home.clone()).or_default().push(id.clone());
        }
        for (home, ids) in homes {
            let Some(ssm) = ctx.ports.aws.as_ref().map(|aws| aws.ssm(&home)) else {
                return Err(Failure::failed("this run has no access to AWS"));
            };
            for some in ids.chunks(MOST) {
                let token = ctx.token(some[0].as_str(), "ssm:DescribeInstancePatchStates");
                let report = match read(ctx, token, || ssm.patch_states(some)).await? {
                    Some(Ok(states)) => {
                        let mut states: BTreeMap<_, _> =
                            states.into_iter().map(|state| (state.instance.clone(), state)).collect();
                        let judged = some.iter().filter_map(|id| {
                            let inputs = &machines.get(id)?.1;
                            Some((id.clone(), judge(inputs, states.remove(id))))
                        });
                        journal(ctx, judged.collect()).await?;
                        continue;
                    }
                    Some(Err(fault)) => refusal(&fault),
                    None if ctx.stopping() == StopReason::Cancelled => cancelled(),
                    None => Report::failed(
                        Outcome::TimedOut,
                        ErrorClass::TimedOut,
                        "the patch state could not be read in time",
                    ),
                };
                ctx.ledger.report(some.to_vec(), report).await?;
            }
        }
        Ok(Value::Null)
    }
}

fn judge(inputs: &Inputs, state: Option<PatchState>) -> Done {
    let failed = |cause| Report::failed(Outcome::Failed, ErrorClass::Failed, cause);
    let Some(state) = state else {
        return Done::of(failed(
            "Systems Manager has no patch state of the machine: it was never scanned".to_owned(),
        ));
    };
    let limit = |name| Some(inputs.integer(name).unwrap_or(0));
    let pending_reboot = match inputs.integer("max_pending_reboot") {
        Some(stated) => Some(stated),
        // Whoever asked for no reboot knows that reboots are pending.
        None if state.reboot_option.as_deref() == Some("NoReboot") => None,
        None => Some(0),
    };
    let counts = [
        ("missing", state.missing, limit("max_missing")),
        ("failed", state.failed, limit("max_failed")),
        ("pending a reboot", state.pending_reboot, pending_reboot),
        ("critical", state.critical, limit("max_critical")),
        ("security", state.security, limit("max_security")),
        ("other", state.other, limit("max_other")),
    ];
    let over: Vec<_> = counts
        .into_iter()
        .filter(|(_, count, limit)| limit.is_some_and(|limit| *count > limit))
        .map(|(what, count, limit)| format!("{count} {what} (at most {})", limit.unwrap_or_default()))
        .collect();
    let report =
        if over.is_empty() { Report::succeeded() } else { failed(format!("patches: {}", over.join(", "))) };
    let outputs = json!({
        "missing": state.missing, "failed": state.failed, "pending_reboot": state.pending_reboot,
        "critical": state.critical, "security": state.security, "other": state.other,
    });
    Done { report, outputs: Some(outputs) }
}
