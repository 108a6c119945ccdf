//! Run Command of the simulated world.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use super::{
    account::{Account, SendRequest, SentCommand},
    command::Command,
    machine::Power,
    place::Place,
    refusal::refused,
    sending::{self, registered},
    state::{Fact, State},
};
use crate::ports::{
    fault::Fault,
    ssm::{AgentInfo, CommandRow, Invocation, PatchState, SendCommand, Ssm},
};

/// The most instances of a DescribeInstancePatchStates.
const MOST_STATES: usize = 50;

impl Account {
    /// Sends a command (`SendCommand`). What is answered is visible to the caller at once.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn send(&self, request: SendRequest) -> Result<SentCommand, Fault> {
        let (label, here) = (self.label().cloned(), self.place.clone());
        let machines = request.instances.clone();
        let send = move |state: &mut State, now: Timestamp, struck: &mut _| {
            let (fact, command) = sending::send(state, now, &here, request, label.as_ref(), struck)?;
            Ok((fact, command.show(now)))
        };
        self.world.write(self.label(), sending::CALL, &machines, send).await
    }
}

#[async_trait]
impl Ssm for Account {
    async fn send_command(&self, command: SendCommand) -> Result<String, Fault> {
        let SendCommand { document, instances, parameters, comment, delivery_timeout } = command;
        // All at once, and no failure keeps the others from it.
        let all = instances.len().max(1).to_string();
        let request = SendRequest {
            document,
            instances,
            targets: Vec::new(),
            parameters,
            comment,
            delivery_timeout,
            max_concurrency: all.clone(),
            max_errors: all,
        };
        Ok(self.send(request).await?.id)
    }

    async fn list_commands(&self, document: &str, since: Timestamp) -> Result<Vec<CommandRow>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ssm:ListCommands", &[], |state, now| {
                let commands = seen(state, &here, since, now);
                let commands = commands.filter(|command| command.document == document);
                Ok(commands.map(|command| command.row(now)).collect())
            })
            .await
    }

    async fn executing(&self, since: Option<Timestamp>) -> Result<Vec<CommandRow>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ssm:ListCommands", &[], |state, now| {
                let commands = seen(state, &here, since.unwrap_or(Timestamp::MIN), now);
                let executing = commands.filter(|command| command.is_executing(now));
                Ok(executing.map(|command| command.row(now)).collect())
            })
            .await
    }

    async fn invocations(&self, command_id: &str, instances: &[TargetId]) -> Result<Vec<Invocation>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ssm:ListCommandInvocations", instances, |state, now| {
                // A command that is not visible yet has an empty list, as one that does not exist
                // (facts: Results of a command).
                let parts = one(state, &here, command_id, now).into_iter().flat_map(|command| &command.parts);
                let wanted: BTreeSet<_> = instances.iter().collect();
                Ok(parts
                    .filter(|part| part.is_seen(now))
                    .filter(|part| wanted.is_empty() || wanted.contains(&part.machine))
                    .map(|part| part.show(now, true))
                    .collect())
            })
            .await
    }

    async fn invocation(&self, command_id: &str, instance: &TargetId) -> Result<Invocation, Fault> {
        const CALL: &str = "ssm:GetCommandInvocation";
        let here = self.place.clone();
        self.world
            .read(self.label(), CALL, std::slice::from_ref(instance), |state, now| {
                let command = one(state, &here, command_id, now);
                let part = command.and_then(|command| {
                    command.parts.iter().find(|part| part.machine == *instance && part.is_seen(now))
                });
                part.map(|part| part.show(now, true)).ok_or_else(|| {
                    let message = format!("no command {command_id} on {instance}");
                    refused(CALL, "InvocationDoesNotExist", message)
                })
            })
            .await
    }

    async fn cancel_command(&self, command_id: &str, instances: &[TargetId]) -> Result<(), Fault> {
        const CALL: &str = "ssm:CancelCommand";
        let (id, machines, here) = (command_id.to_owned(), instances.to_vec(), self.place.clone());
        let cancel = move |state: &mut State, _, _: &mut _| {
            let Some(command) = state.command(&id).filter(|command| here.sees(&command.place)) else {
                return Err(refused(CALL, "InvalidCommandId", format!("no command {id}")));
            };
            if let Some(stranger) =
                machines.iter().find(|id| !command.parts.iter().any(|part| part.machine == **id))
            {
                return Err(refused(CALL, "InvalidInstanceId", format!("{stranger} has no part of {id}")));
            }
            Ok((Fact::CommandCancelled { id, machines }, ()))
        };
        self.world.write(self.label(), CALL, instances, cancel).await
    }

    async fn agents(&self, instances: &[TargetId]) -> Result<Vec<AgentInfo>, Fault> {
        let here = self.place.clone();
        self.world
            .read(self.label(), "ssm:DescribeInstanceInformation", instances, |state, now| {
                // Machines that are gone or stopped are left out, not an error (facts: Is it back).
                let known = instances.iter().filter_map(|id| listed(state, &here, id, now));
                Ok(known
                    .map(|machine| {
                        let condition = state.machines[machine].condition();
                        AgentInfo {
                            instance: state.roster.machines[machine].id.clone(),
                            online: condition.online(now),
                            last_ping: Some(condition.last_ping(now)),
                        }
                    })
                    .collect())
            })
            .await
    }

    async fn patch_states(&self, instances: &[TargetId]) -> Result<Vec<PatchState>, Fault> {
        let mut states = Vec::new();
        for some in instances.chunks(MOST_STATES) {
            let here = self.place.clone();
            let read = |state: &mut State, now: Timestamp| {
                let machines = some.iter().filter_map(|id| state.roster.by_id(id));
                Ok(machines
                    .filter(|machine| here.sees(state.roster.place(*machine)))
                    .filter_map(|machine| patch_state(state, machine, now))
                    .collect::<Vec<_>>())
            };
            states
                .extend(self.world.read(self.label(), "ssm:DescribeInstancePatchStates", some, read).await?);
        }
        Ok(states)
    }
}

/// The patch state of a machine; machines that never reported have none (facts: Patch states).
pub(super) fn patch_state(state: &State, machine: usize, now: Timestamp) -> Option<PatchState> {
    let condition = state.machines[machine].condition();
    let report = condition.report_at(now)?;
    let card = &state.roster.machines[machine];
    let patches = report.patches;
    let other = (patches.missing + report.failed).saturating_sub(patches.critical + patches.security);
    let group = ["Patch Group", "PatchGroup"].iter().find_map(|key| card.tags.get(*key));
    Some(PatchState {
        instance: card.id.clone(),
        patch_group: group.cloned().unwrap_or_default(),
        baseline: "pb-00000000000000001".into(),
        operation: report.operation.into(),
        snapshot_id: report.snapshot_id.clone(),
        started_at: Some(report.started_at),
        ended_at: Some(report.ended_at),
        missing: patches.missing.into(),
        failed: report.failed.into(),
        pending_reboot: patches.pending_reboot.into(),
        critical: patches.critical.into(),
        security: patches.security.into(),
        other: other.into(),
        reboot_option: condition.reboot_option.map(str::to_owned),
    })
}

/// A node that lists have: one that is stopped is left out.
pub(super) fn listed(state: &State, here: &Place, id: &TargetId, now: Timestamp) -> Option<usize> {
    let machine = registered(state, here, id, now)?;
    (state.machines[machine].condition().power != Power::Stopped).then_some(machine)
}

/// The commands that a read from here finds, sent since then.
pub(super) fn seen<'a>(
    state: &'a State,
    here: &'a Place,
    since: Timestamp,
    now: Timestamp,
) -> impl Iterator<Item = &'a Command> {
    let from = |commands: &'a [Command]| &commands[commands.partition_point(|command| command.at < since)..];
    let all = from(&state.foreign).iter().chain(from(&state.commands));
    all.filter(move |command| command.seen_from <= now && here.sees(&command.place))
}

/// The command with this id, if a read from here finds it.
pub(super) fn one<'a>(state: &'a State, here: &Place, id: &str, now: Timestamp) -> Option<&'a Command> {
    let ours = state.command(id);
    let command = ours.or_else(|| state.foreign.iter().find(|command| command.id == id))?;
    (command.seen_from <= now && here.sees(&command.place)).then_some(command)
}
