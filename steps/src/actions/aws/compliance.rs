//! `aws/compliance`: whether a machine's patch state is good enough.
//!
//! Systems Manager keeps the report of the last operation only, whoever began it and against whichever baseline it went.
//! So a state counts where it is a scan of this stage, by patch snapshot and time; a machine whose last operation was
//! another one is scanned first.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use runbook_engine::{
    catalog::{ActionDoc, InputDoc, InputKind, TimeoutDoc},
    duration::Span,
    ids::TargetId,
    outcome::{ErrorClass, Outcome},
    run::event::Report,
    target::{Home, Target},
};
use serde_json::{Value, json};

use super::{
    errand::MOST,
    patch_list::PatchList,
    patch_state::Awaited,
    patching::{Patching, Purpose},
    patience::{cancelled, read, refusal},
    relay::{self, instances},
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
        rights: vec![
            "ec2:DescribeInstanceStatus",
            "ssm:CancelCommand",
            "ssm:DescribeInstanceInformation",
            "ssm:DescribeInstancePatchStates",
            "ssm:GetCommandInvocation",
            "ssm:ListCommandInvocations",
            "ssm:ListCommands",
            "ssm:SendCommand",
        ],
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
            "Fails a machine whose patch state is over a limit. What counts is a scan of this stage: where the last patch operation was another one, the machine is scanned.",
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
        let mut machines = instances(ctx, work).await?;
        let known = self.judge_known(ctx, &machines).await?;
        machines.retain(|id, _| !known.contains(id));
        if machines.is_empty() {
            if ctx.resumed {
                ctx.ledger.looked_up().await?;
            }
            return Ok(Value::Null);
        }
        // Never reported, or somebody else's report lies over ours: it is asked for anew.
        let ids: Vec<_> = machines.keys().cloned().collect();
        let course = Patching::new(ctx, machines, PatchList::choose(ctx).await?, Purpose::Judge);
        relay::run(ctx, &ids, course).await?;
        Ok(Value::Null)
    }
}

impl Compliance {
    /// Judges the machines whose last operation was a scan of this stage; gives all that are reported.
    async fn judge_known(
        &self,
        ctx: &Context,
        machines: &BTreeMap<TargetId, (Arc<Target>, Arc<Inputs>)>,
    ) -> Result<BTreeSet<TargetId>, Failure> {
        let lists = PatchList::all(ctx).into_iter().map(|list| list.id).collect();
        let ours = Awaited { operation: "Scan", lists, ended_at: Some(ctx.stage_began) };
        let mut homes: BTreeMap<Home, Vec<TargetId>> = BTreeMap::new();
        for (id, (target, _)) in machines {
            homes.entry(target.home.clone()).or_default().push(id.clone());
        }
        let mut reported = BTreeSet::new();
        for (home, ids) in homes {
            let Some(ssm) = ctx.ports.aws.as_ref().map(|aws| aws.ssm(&home)) else {
                return Err(Failure::failed("this run has no access to AWS"));
            };
            for some in ids.chunks(MOST) {
                let token = ctx.token(some[0].as_str(), "ssm:DescribeInstancePatchStates");
                let report = match read(ctx, token, || ssm.patch_states(some)).await? {
                    Some(Ok(states)) => {
                        let judged =
                            states.into_iter().filter(|state| ours.is_told_by(state)).filter_map(|state| {
                                let inputs = &machines.get(&state.instance)?.1;
                                Some((state.instance.clone(), judge(inputs, &state)))
                            });
                        let judged: Vec<_> = judged.collect();
                        reported.extend(judged.iter().map(|(id, _)| id.clone()));
                        journal(ctx, judged).await?;
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
                reported.extend(some.iter().cloned());
                ctx.ledger.report(some.to_vec(), report).await?;
            }
        }
        Ok(reported)
    }
}

/// Holds a state against the limits.
pub(super) fn judge(inputs: &Inputs, state: &PatchState) -> Done {
    let failed = |cause| Report::failed(Outcome::Failed, ErrorClass::Failed, cause);
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
