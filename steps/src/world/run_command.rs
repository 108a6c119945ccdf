//! Run Command of the simulated world.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use super::{
    account::Account,
    command::{Command, Work, decide},
    state::{Fact, State},
    time::later,
};
use crate::ports::{
    fault::{Fault, FaultKind},
    ssm::{AgentInfo, CommandRow, Invocation, PatchState, SendCommand, Ssm},
};

/// The most instances of one command (DOMAIN 1.1).
const MOST_INSTANCES: usize = 50;
/// The longest comment.
const LONGEST_COMMENT: usize = 100;
/// Bounds of the delivery time-out.
const DELIVERY: std::ops::RangeInclusive<Duration> = Duration::from_secs(30)..=Duration::from_secs(2_592_000);

/// A patch report reaches the service this much after the operation (DOMAIN 2.8: it is asynchronous).
const UPLOAD: Duration = Duration::from_secs(3);
/// The most instances of a DescribeInstancePatchStates.
const MOST_STATES: usize = 50;

#[async_trait]
impl Ssm for Account {
    async fn send_command(&self, command: SendCommand) -> Result<String, Fault> {
        const CALL: &str = "ssm:SendCommand";
        let machines = command.instances.clone();
        let label = self.label().cloned();
        let send = move |state: &mut State, now: Timestamp, struck: &mut _| {
            let invalid = |code: &str, message: String| Fault {
                call: CALL,
                kind: FaultKind::Invalid,
                code: Some(code.into()),
                message,
            };
            let SendCommand { document, instances, comment, delivery_timeout, .. } = &command;
            if !(1..=MOST_INSTANCES).contains(&instances.len()) {
                return Err(invalid(
                    "ValidationException",
                    format!("{} instances in one command", instances.len()),
                ));
            }
            if instances.iter().collect::<BTreeSet<_>>().len() < instances.len() {
                return Err(invalid("DuplicateInstanceId", "an instance is named twice".into()));
            }
            if comment.chars().count() > LONGEST_COMMENT {
                return Err(invalid(
                    "ValidationException",
                    "the comment is longer than 100 characters".into(),
                ));
            }
            if !DELIVERY.contains(delivery_timeout) {
                return Err(invalid("ValidationException", "TimeoutSeconds is not in 30 to 2592000".into()));
            }
            let work = Work::read(&command).map_err(|message| invalid("InvalidParameters", message))?;
            let mut parts = Vec::with_capacity(instances.len());
            for id in instances {
                // One instance that the service does not know fails the whole call (DOMAIN 1.1).
                let machine = present(state, id, now, CALL)?;
                state.machines[machine].now(now);
                parts.push(decide(state, machine, &work, *delivery_timeout, now, label.as_ref(), struck));
            }
            let id = format!("c0ffee00-0000-4000-8000-{:012x}", state.next_name());
            let (document, comment) = (document.clone(), comment.clone());
            let command = Command { id: id.clone(), document, comment, at: now, work, parts };
            Ok((Fact::CommandSent(command), id))
        };
        self.world.write(self.label(), CALL, &machines, send).await
    }

    async fn list_commands(&self, document: &str, since: Timestamp) -> Result<Vec<CommandRow>, Fault> {
        self.world
            .read(self.label(), "ssm:ListCommands", &[], |state, now| {
                let from = state.commands.partition_point(|command| command.at < since);
                let visible = state.commands[from..]
                    .iter()
                    .filter(|command| command.document == document && is_visible(state, command.at, now));
                Ok(visible.map(Command::row).collect())
            })
            .await
    }

    async fn executing(&self) -> Result<Vec<CommandRow>, Fault> {
        self.world
            .read(self.label(), "ssm:ListCommands", &[], |state, now| {
                let executing = state.commands.iter().filter(|command| {
                    is_visible(state, command.at, now) && command.parts.iter().any(|part| part.shown > now)
                });
                Ok(executing.map(Command::row).collect())
            })
            .await
    }

    async fn invocations(&self, command_id: &str, instances: &[TargetId]) -> Result<Vec<Invocation>, Fault> {
        self.world
            .read(self.label(), "ssm:ListCommandInvocations", instances, |state, now| {
                // A command that is not visible yet has an empty list, as one that does not exist (DOMAIN 1.4).
                let command = state.command(command_id).filter(|command| is_visible(state, command.at, now));
                let parts = command.into_iter().flat_map(|command| &command.parts);
                let wanted: BTreeSet<_> = instances.iter().collect();
                Ok(parts
                    .filter(|part| wanted.is_empty() || wanted.contains(&part.machine))
                    .map(|part| part.show(now, true))
                    .collect())
            })
            .await
    }

    async fn invocation(&self, command_id: &str, instance: &TargetId) -> Result<Invocation, Fault> {
        const CALL: &str = "ssm:GetCommandInvocation";
        self.world
            .read(self.label(), CALL, std::slice::from_ref(instance), |state, now| {
                let command = state.command(command_id).filter(|command| is_visible(state, command.at, now));
                let part =
                    command.and_then(|command| command.parts.iter().find(|part| part.machine == *instance));
                part.map(|part| part.show(now, true)).ok_or_else(|| Fault {
                    call: CALL,
                    kind: FaultKind::NotFound,
                    code: Some("InvocationDoesNotExist".into()),
                    message: format!("no command {command_id} on {instance}"),
                })
            })
            .await
    }

    async fn cancel_command(&self, command_id: &str, instances: &[TargetId]) -> Result<(), Fault> {
        const CALL: &str = "ssm:CancelCommand";
        let (id, machines) = (command_id.to_owned(), instances.to_vec());
        let cancel = move |state: &mut State, _, _: &mut _| {
            if state.command(&id).is_none() {
                return Err(Fault {
                    call: CALL,
                    kind: FaultKind::NotFound,
                    code: Some("InvalidCommandId".into()),
                    message: format!("no command {id}"),
                });
            }
            Ok((Fact::CommandCancelled { id, machines }, ()))
        };
        self.world.write(self.label(), CALL, instances, cancel).await
    }

    async fn agents(&self, instances: &[TargetId]) -> Result<Vec<AgentInfo>, Fault> {
        self.world
            .read(self.label(), "ssm:DescribeInstanceInformation", instances, |state, now| {
                let mut agents = Vec::new();
                for id in instances {
                    // Machines that are gone are left out, not an error (DOMAIN 2.10).
                    let Ok(machine) = present(state, id, now, "ssm:DescribeInstanceInformation") else {
                        continue;
                    };
                    let condition = state.machines[machine].now(now);
                    agents.push(AgentInfo {
                        instance: id.clone(),
                        online: condition.online(now),
                        last_ping: Some(condition.last_ping(now)),
                    });
                }
                Ok(agents)
            })
            .await
    }

    async fn patch_states(&self, instances: &[TargetId]) -> Result<Vec<PatchState>, Fault> {
        let mut states = Vec::new();
        for some in instances.chunks(MOST_STATES) {
            let read = |state: &mut State, now: Timestamp| {
                let reported = later(now, Duration::ZERO).checked_sub(UPLOAD).unwrap_or(now);
                let mut found = Vec::new();
                for id in some {
                    let Some(machine) = state.roster.by_id(id) else { continue };
                    // Machines that never reported are left out (DOMAIN 2.7).
                    let condition = state.machines[machine].now(now);
                    let Some(report) = condition.report.as_ref().filter(|report| report.ended_at <= reported)
                    else {
                        continue;
                    };
                    let patches = report.patches;
                    let other =
                        (patches.missing + report.failed).saturating_sub(patches.critical + patches.security);
                    found.push(PatchState {
                        instance: id.clone(),
                        patch_group: String::new(),
                        baseline: String::new(),
                        operation: report.operation.into(),
                        snapshot_id: report.snapshot_id.clone(),
                        started_at: None,
                        ended_at: Some(report.ended_at),
                        missing: patches.missing.into(),
                        failed: report.failed.into(),
                        pending_reboot: patches.pending_reboot.into(),
                        critical: patches.critical.into(),
                        security: patches.security.into(),
                        other: other.into(),
                        reboot_option: condition.reboot_option.map(str::to_owned),
                    });
                }
                Ok(found)
            };
            states
                .extend(self.world.read(self.label(), "ssm:DescribeInstancePatchStates", some, read).await?);
        }
        Ok(states)
    }
}

/// What was written a moment ago is not found by searches yet.
pub(super) fn is_visible(state: &State, at: Timestamp, now: Timestamp) -> bool {
    later(at, state.roster.file.lag.get()) <= now
}

/// The machine with this id, if it is there.
pub(super) fn present(
    state: &State,
    id: &TargetId,
    now: Timestamp,
    call: &'static str,
) -> Result<usize, Fault> {
    state.roster.by_id(id).filter(|machine| !state.is_gone(*machine, now, true)).ok_or_else(|| Fault {
        call,
        kind: FaultKind::Target,
        code: Some(
            if call.starts_with("ec2:") { "InvalidInstanceID.NotFound" } else { "InvalidInstanceId" }.into(),
        ),
        message: format!("{id} is not there, or not managed"),
    })
}
