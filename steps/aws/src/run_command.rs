//! Systems Manager: Run Command, agents and patch states.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::atomic::Ordering,
};

use async_trait::async_trait;
use aws_sdk_ssm::types::{
    CommandFilter, CommandFilterKey, CommandPlugin, InstanceInformationStringFilter, PingStatus,
};
use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use runbook_steps::ports::{
    fault::{Fault, FaultKind},
    ssm::{AgentInfo, CommandRow, Invocation, PatchState, Progress, SendCommand, Ssm},
};

use crate::{
    call::{Call, next},
    connection::Connection,
    fault::{incomplete, invalid},
    invocation, patch_state,
    rate::Family,
};

/// `SendCommand`, `CancelCommand` and the filters of `DescribeInstanceInformation` take so many ids; more come back
/// as a misleading rate error.
const IDS_PER_CALL: usize = 50;

/// The largest page of the listing calls.
const PAGE: i32 = 50;

#[async_trait]
impl Ssm for Connection {
    async fn send_command(&self, command: SendCommand) -> Result<String, Fault> {
        const CALL: Call = Call::new("ssm:SendCommand", Family::RunCommand);
        let count = command.instances.len();
        if !(1..=IDS_PER_CALL).contains(&count) {
            let message = format!("{count} machines in one command; 1 to {IDS_PER_CALL} are possible");
            return Err(invalid(CALL.name, message));
        }
        if command.comment.chars().count() > 100 {
            return Err(invalid(CALL.name, "the comment is longer than 100 characters"));
        }
        let timeout = command.delivery_timeout.as_secs().clamp(30, 2_592_000);
        let parameters: HashMap<String, Vec<String>> = command.parameters.into_iter().collect();
        let call = self.write(CALL, count, |clients| {
            clients
                .ssm
                .send_command()
                .document_name(&command.document)
                .set_instance_ids(Some(names(&command.instances)))
                .set_parameters(Some(parameters.clone()))
                .comment(&command.comment)
                .timeout_seconds(i32::try_from(timeout).unwrap_or(i32::MAX))
                // Waves and budgets are ours: all machines at once, and no machine left out because another one
                // failed (by default the service stops handing out after the first error).
                .max_concurrency(count.to_string())
                .max_errors(count.to_string())
                .send()
        });
        let id = call.await?.command.and_then(|command| command.command_id).unwrap_or_default();
        if id.is_empty() {
            return Err(incomplete(CALL.name, "command"));
        }
        tracing::debug!(command = id, machines = count, "command sent");
        Ok(id)
    }

    async fn list_commands(&self, document: &str, since: Timestamp) -> Result<Vec<CommandRow>, Fault> {
        let since = (CommandFilterKey::InvokedAfter, whole_seconds(since));
        commands(self, [since, (CommandFilterKey::DocumentName, document.to_owned())]).await
    }

    async fn executing(&self, since: Option<Timestamp>) -> Result<Vec<CommandRow>, Fault> {
        let stage = (CommandFilterKey::ExecutionStage, "Executing".to_owned());
        let since = since.map(|since| (CommandFilterKey::InvokedAfter, whole_seconds(since)));
        commands(self, [Some(stage), since].into_iter().flatten()).await
    }

    async fn invocations(&self, command_id: &str, instances: &[TargetId]) -> Result<Vec<Invocation>, Fault> {
        if !self.lacks_batched_reading.load(Ordering::Relaxed) {
            match listed(self, command_id, instances).await {
                Err(fault) if fault.kind == FaultKind::Unsupported => {
                    tracing::warn!("the server lacks ListCommandInvocations: machines are asked one by one");
                    self.lacks_batched_reading.store(true, Ordering::Relaxed);
                }
                answer => return answer,
            }
        }
        asked_one_by_one(self, command_id, instances).await
    }

    async fn invocation(&self, command_id: &str, instance: &TargetId) -> Result<Invocation, Fault> {
        match asked(self, command_id, instance, None).await {
            // A document with several steps wants to hear which one.
            Err(fault) if fault.code.as_deref() == Some("InvalidPluginName") => {
                let plugins = plugins(self, command_id, instance).await?;
                let name = invocation::telling(&plugins).and_then(|plugin| plugin.name().map(str::to_owned));
                asked(self, command_id, instance, Some(name.ok_or(fault)?)).await
            }
            answer => answer,
        }
    }

    async fn cancel_command(&self, command_id: &str, instances: &[TargetId]) -> Result<(), Fault> {
        // Harmless when repeated.
        const CALL: Call = Call::new("ssm:CancelCommand", Family::RunCommand);
        for chunk in instances.chunks(IDS_PER_CALL) {
            let call = self.read(CALL, |clients| {
                let call = clients.ssm.cancel_command().command_id(command_id);
                call.set_instance_ids(Some(names(chunk))).send()
            });
            call.await?;
        }
        Ok(())
    }

    async fn agents(&self, instances: &[TargetId]) -> Result<Vec<AgentInfo>, Fault> {
        const CALL: Call = Call::new("ssm:DescribeInstanceInformation", Family::SsmReading);
        let wanted: BTreeSet<&TargetId> = instances.iter().collect();
        let mut heard = BTreeMap::new();
        for chunk in instances.chunks(IDS_PER_CALL) {
            let filter = InstanceInformationStringFilter::builder()
                .key("InstanceIds")
                .set_values(Some(names(chunk)))
                .build()
                .map_err(|error| invalid(CALL.name, error.to_string()))?;
            let mut token = None;
            loop {
                let page = self.read(CALL, |clients| {
                    let call = clients.ssm.describe_instance_information().filters(filter.clone());
                    call.max_results(PAGE).set_next_token(token.clone()).send()
                });
                let page = page.await?;
                for agent in page.instance_information_list.unwrap_or_default() {
                    let Some(instance) = agent.instance_id.map(TargetId::from) else { continue };
                    // Some servers do not filter.
                    if wanted.contains(&instance) {
                        let info = AgentInfo {
                            instance: instance.clone(),
                            online: agent.ping_status == Some(PingStatus::Online),
                            last_ping: agent.last_ping_date_time.as_ref().and_then(invocation::timestamp),
                        };
                        heard.insert(instance, info);
                    }
                }
                token = match next(token, page.next_token) {
                    Some(token) => Some(token),
                    None => break,
                };
            }
        }
        Ok(heard.into_values().collect())
    }

    async fn patch_states(&self, instances: &[TargetId]) -> Result<Vec<PatchState>, Fault> {
        const CALL: Call = Call::new("ssm:DescribeInstancePatchStates", Family::SsmReading);
        let mut states = BTreeMap::new();
        for chunk in instances.chunks(IDS_PER_CALL) {
            let mut token = None;
            loop {
                let page = self.read(CALL, |clients| {
                    let call = clients.ssm.describe_instance_patch_states();
                    let call = call.set_instance_ids(Some(names(chunk))).max_results(PAGE);
                    call.set_next_token(token.clone()).send()
                });
                let page = page.await?;
                for state in page.instance_patch_states.unwrap_or_default() {
                    states.insert(state.instance_id.clone(), patch_state::read(state));
                }
                token = match next(token, page.next_token) {
                    Some(token) => Some(token),
                    None => break,
                };
            }
        }
        Ok(states.into_values().collect())
    }
}

const LIST_COMMANDS: Call = Call::new("ssm:ListCommands", Family::RunCommand);
const LIST_INVOCATIONS: Call = Call::new("ssm:ListCommandInvocations", Family::RunCommand);

/// The commands that these filters let through, all pages.
async fn commands(
    connection: &Connection,
    filters: impl IntoIterator<Item = (CommandFilterKey, String)>,
) -> Result<Vec<CommandRow>, Fault> {
    let filters = filters
        .into_iter()
        .map(|(key, value)| CommandFilter::builder().key(key).value(value).build())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| invalid(LIST_COMMANDS.name, error.to_string()))?;
    let mut rows = BTreeMap::new();
    let mut token = None;
    loop {
        let page = connection.read(LIST_COMMANDS, |clients| {
            let call = clients.ssm.list_commands().set_filters(Some(filters.clone()));
            call.max_results(PAGE).set_next_token(token.clone()).send()
        });
        let page = page.await?;
        for command in page.commands.unwrap_or_default() {
            let Some(id) = command.command_id else { continue };
            let errors = command.error_count.saturating_add(command.delivery_timed_out_count);
            let progress = Progress {
                targets: u32::try_from(command.target_count).unwrap_or(0),
                completed: u32::try_from(command.completed_count).unwrap_or(0),
                errors: u32::try_from(errors).unwrap_or(0),
            };
            let row = CommandRow {
                // A server that does not count says nought.
                progress: (progress.targets > 0).then_some(progress),
                command_id: id.clone(),
                comment: command.comment.unwrap_or_default(),
                document: command.document_name.unwrap_or_default(),
                requested_at: command
                    .requested_date_time
                    .as_ref()
                    .and_then(invocation::timestamp)
                    .unwrap_or_default(),
                instances: command.instance_ids.unwrap_or_default().into_iter().map(TargetId::from).collect(),
            };
            rows.insert(id, row);
        }
        token = match next(token, page.next_token) {
            Some(token) => Some(token),
            None => return Ok(rows.into_values().collect()),
        };
    }
}

/// A time as the filters take it.
fn whole_seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

/// All rows of a command, of the machines asked for.
async fn listed(
    connection: &Connection,
    command_id: &str,
    instances: &[TargetId],
) -> Result<Vec<Invocation>, Fault> {
    let wanted: BTreeSet<&TargetId> = instances.iter().collect();
    let mut rows = BTreeMap::new();
    let mut token = None;
    loop {
        let page = connection.read(LIST_INVOCATIONS, |clients| {
            let call = clients.ssm.list_command_invocations().command_id(command_id).details(true);
            call.max_results(PAGE).set_next_token(token.clone()).send()
        });
        let page = page.await?;
        for row in page.command_invocations().iter().filter_map(invocation::row) {
            if wanted.is_empty() || wanted.contains(&row.instance) {
                rows.insert(row.instance.clone(), row);
            }
        }
        token = match next(token, page.next_token) {
            Some(token) => Some(token),
            None => return Ok(rows.into_values().collect()),
        };
    }
}

/// The slow way, for a server without the batched call. A machine that is not visible yet is missing.
async fn asked_one_by_one(
    connection: &Connection,
    command_id: &str,
    instances: &[TargetId],
) -> Result<Vec<Invocation>, Fault> {
    let mut rows = BTreeMap::new();
    for instance in instances {
        match asked(connection, command_id, instance, None).await {
            Ok(row) => _ = rows.insert(row.instance.clone(), row),
            Err(fault) if fault.kind == FaultKind::NotFound => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(rows.into_values().collect())
}

async fn asked(
    connection: &Connection,
    command_id: &str,
    instance: &TargetId,
    plugin: Option<String>,
) -> Result<Invocation, Fault> {
    const CALL: Call = Call::new("ssm:GetCommandInvocation", Family::RunCommand);
    let answer = connection.read(CALL, |clients| {
        let call = clients.ssm.get_command_invocation().command_id(command_id).instance_id(instance.as_str());
        call.set_plugin_name(plugin.clone()).send()
    });
    Ok(invocation::single(&answer.await?, instance))
}

async fn plugins(
    connection: &Connection,
    command_id: &str,
    instance: &TargetId,
) -> Result<Vec<CommandPlugin>, Fault> {
    let answer = connection.read(LIST_INVOCATIONS, |clients| {
        let call = clients.ssm.list_command_invocations().command_id(command_id);
        call.instance_id(instance.as_str()).details(true).send()
    });
    Ok(answer.await?.command_invocations().iter().flat_map(|row| row.command_plugins().to_vec()).collect())
}

fn names(instances: &[TargetId]) -> Vec<String> {
    instances.iter().map(ToString::to_string).collect()
}
