//! Systems Manager: Run Command, agents and patch states.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, atomic::Ordering},
};

use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_sdk_ssm::{
    primitives::DateTime,
    types::{
        CommandFilter, CommandFilterKey, CommandPlugin, InstanceInformationStringFilter, InstancePatchState,
        PingStatus,
    },
};
use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use runbook_steps::ports::{
    fault::{Fault, FaultKind},
    ssm::{AgentInfo, CommandRow, Invocation, PatchState, SendCommand, Ssm},
};
use tokio::task::JoinSet;

use crate::{
    connection::{Clients, Connection},
    fault::{fault, invalid},
    invocation,
};

/// `SendCommand`, `CancelCommand` and the filters of `DescribeInstanceInformation` take so many ids; more come back
/// as a misleading rate error.
const IDS_PER_CALL: usize = 50;

/// The largest page of the listing calls.
const PAGE: i32 = 50;

/// How many machines are asked at a time where the server lacks the batched call.
const ASKED_AT_A_TIME: usize = 5;

#[async_trait]
impl Ssm for Connection {
    async fn send_command(&self, command: SendCommand) -> Result<String, Fault> {
        const CALL: &str = "ssm:SendCommand";
        let count = command.instances.len();
        if !(1..=IDS_PER_CALL).contains(&count) {
            return Err(invalid(
                CALL,
                format!("{count} machines in one command; 1 to {IDS_PER_CALL} are possible"),
            ));
        }
        if command.comment.chars().count() > 100 {
            return Err(invalid(CALL, "the comment is longer than 100 characters"));
        }
        let clients = self.clients(CALL).await?;
        let timeout = command.delivery_timeout.as_secs().clamp(30, 2_592_000);
        let answer = clients
            .ssm
            .send_command()
            .document_name(command.document)
            .set_instance_ids(Some(names(&command.instances)))
            .set_parameters(Some(command.parameters.into_iter().collect::<HashMap<_, _>>()))
            .comment(command.comment)
            .timeout_seconds(i32::try_from(timeout).unwrap_or(i32::MAX))
            // Waves and budgets are ours: all machines at once, and no machine left out because another one failed
            // (by default the service stops handing out after the first error).
            .max_concurrency(count.to_string())
            .max_errors(count.to_string())
            .customize()
            .config_override(aws_sdk_ssm::config::Builder::new().retry_config(RetryConfig::disabled()))
            .send()
            .await
            .map_err(|error| fault(CALL, &error))?;
        let id = answer.command.and_then(|command| command.command_id).unwrap_or_default();
        if id.is_empty() {
            let message = "the answer names no command".into();
            return Err(Fault { call: CALL, kind: FaultKind::Ambiguous, code: None, message });
        }
        tracing::debug!(command = id, machines = count, "command sent");
        Ok(id)
    }

    async fn list_commands(&self, document: &str, since: Timestamp) -> Result<Vec<CommandRow>, Fault> {
        const CALL: &str = "ssm:ListCommands";
        let clients = self.clients(CALL).await?;
        // The filter takes whole seconds.
        let since = Timestamp::from_second(since.as_second()).unwrap_or(since).to_string();
        let filters =
            [(CommandFilterKey::InvokedAfter, since.as_str()), (CommandFilterKey::DocumentName, document)];
        let filters = filters
            .into_iter()
            .map(|(key, value)| CommandFilter::builder().key(key).value(value).build())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| invalid(CALL, error.to_string()))?;
        commands(clients, &filters).await
    }

    async fn executing(&self) -> Result<Vec<CommandRow>, Fault> {
        const CALL: &str = "ssm:ListCommands";
        let clients = self.clients(CALL).await?;
        let stage = CommandFilter::builder().key(CommandFilterKey::ExecutionStage).value("Executing").build();
        commands(clients, &[stage.map_err(|error| invalid(CALL, error.to_string()))?]).await
    }

    async fn invocations(&self, command_id: &str, instances: &[TargetId]) -> Result<Vec<Invocation>, Fault> {
        const CALL: &str = "ssm:ListCommandInvocations";
        let clients = self.clients(CALL).await?;
        if !self.lacks_batched_reading.load(Ordering::Relaxed) {
            match listed(clients, CALL, command_id, instances).await {
                Err(fault) if fault.kind == FaultKind::Unsupported => {
                    tracing::warn!("the server lacks ListCommandInvocations: machines are asked one by one");
                    self.lacks_batched_reading.store(true, Ordering::Relaxed);
                }
                answer => return answer,
            }
        }
        asked_one_by_one(clients, command_id, instances).await
    }

    async fn invocation(&self, command_id: &str, instance: &TargetId) -> Result<Invocation, Fault> {
        const CALL: &str = "ssm:GetCommandInvocation";
        let clients = self.clients(CALL).await?;
        match asked(&clients.ssm, command_id, instance, None).await {
            // A document with several steps wants to hear which one.
            Err(fault) if fault.code.as_deref() == Some("InvalidPluginName") => {
                let plugins = plugins(clients, command_id, instance).await?;
                let name = invocation::telling(&plugins).and_then(|plugin| plugin.name().map(str::to_owned));
                asked(&clients.ssm, command_id, instance, Some(name.ok_or(fault)?)).await
            }
            answer => answer,
        }
    }

    async fn cancel_command(&self, command_id: &str, instances: &[TargetId]) -> Result<(), Fault> {
        const CALL: &str = "ssm:CancelCommand";
        let clients = self.clients(CALL).await?;
        for chunk in instances.chunks(IDS_PER_CALL) {
            let call =
                clients.ssm.cancel_command().command_id(command_id).set_instance_ids(Some(names(chunk)));
            call.send().await.map_err(|error| fault(CALL, &error))?;
        }
        Ok(())
    }

    async fn agents(&self, instances: &[TargetId]) -> Result<Vec<AgentInfo>, Fault> {
        const CALL: &str = "ssm:DescribeInstanceInformation";
        let clients = self.clients(CALL).await?;
        let wanted: BTreeSet<&TargetId> = instances.iter().collect();
        let mut heard = BTreeMap::new();
        for chunk in instances.chunks(IDS_PER_CALL) {
            let filter = InstanceInformationStringFilter::builder()
                .key("InstanceIds")
                .set_values(Some(names(chunk)))
                .build()
                .map_err(|error| invalid(CALL, error.to_string()))?;
            let mut token = None;
            loop {
                let page = clients
                    .ssm
                    .describe_instance_information()
                    .filters(filter.clone())
                    .max_results(PAGE)
                    .set_next_token(token.clone())
                    .send()
                    .await
                    .map_err(|error| fault(CALL, &error))?;
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
        const CALL: &str = "ssm:DescribeInstancePatchStates";
        let clients = self.clients(CALL).await?;
        let mut states = BTreeMap::new();
        for chunk in instances.chunks(IDS_PER_CALL) {
            let mut token = None;
            loop {
                let page = clients
                    .ssm
                    .describe_instance_patch_states()
                    .set_instance_ids(Some(names(chunk)))
                    .max_results(PAGE)
                    .set_next_token(token.clone())
                    .send()
                    .await
                    .map_err(|error| fault(CALL, &error))?;
                for state in page.instance_patch_states.unwrap_or_default() {
                    states.insert(state.instance_id.clone(), patch_state(state));
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

fn patch_state(state: InstancePatchState) -> PatchState {
    // A Windows machine whose last operation failed reports -1.
    let count = |count: Option<i32>| count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default();
    // Times that are not known are sent as the beginning of 1970.
    let time = |time: &DateTime| invocation::timestamp(time).filter(|at| at.as_second() > 0);
    PatchState {
        instance: TargetId::from(state.instance_id),
        patch_group: state.patch_group,
        baseline: state.baseline_id,
        operation: state.operation.as_str().to_owned(),
        snapshot_id: state.snapshot_id,
        started_at: time(&state.operation_start_time),
        ended_at: time(&state.operation_end_time),
        missing: count(Some(state.missing_count)),
        failed: count(Some(state.failed_count)),
        pending_reboot: count(state.installed_pending_reboot_count),
        critical: count(state.critical_non_compliant_count),
        security: count(state.security_non_compliant_count),
        other: count(state.other_non_compliant_count),
        reboot_option: state.reboot_option.map(|option| option.as_str().to_owned()),
    }
}

/// The commands that these filters let through, all pages.
async fn commands(clients: &Clients, filters: &[CommandFilter]) -> Result<Vec<CommandRow>, Fault> {
    let mut rows = BTreeMap::new();
    let mut token = None;
    loop {
        let page = clients
            .ssm
            .list_commands()
            .set_filters(Some(filters.to_vec()))
            .max_results(PAGE)
            .set_next_token(token.clone())
            .send()
            .await
            .map_err(|error| fault("ssm:ListCommands", &error))?;
        for command in page.commands.unwrap_or_default() {
            let Some(id) = command.command_id else { continue };
            let row = CommandRow {
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

/// All rows of a command, of the machines asked for.
async fn listed(
    clients: &Clients,
    call: &'static str,
    command_id: &str,
    instances: &[TargetId],
) -> Result<Vec<Invocation>, Fault> {
    let wanted: BTreeSet<&TargetId> = instances.iter().collect();
    let mut rows = BTreeMap::new();
    let mut token = None;
    loop {
        let page = clients
            .ssm
            .list_command_invocations()
            .command_id(command_id)
            .details(true)
            .max_results(PAGE)
            .set_next_token(token.clone())
            .send()
            .await
            .map_err(|error| fault(call, &error))?;
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
    clients: &Clients,
    command_id: &str,
    instances: &[TargetId],
) -> Result<Vec<Invocation>, Fault> {
    let command_id: Arc<str> = command_id.into();
    let mut rows = BTreeMap::new();
    for chunk in instances.chunks(ASKED_AT_A_TIME) {
        let mut calls = JoinSet::new();
        for instance in chunk {
            let (ssm, command_id, instance) =
                (clients.ssm.clone(), Arc::clone(&command_id), instance.clone());
            calls.spawn(async move { asked(&ssm, &command_id, &instance, None).await });
        }
        for answer in calls.join_all().await {
            match answer {
                Ok(row) => _ = rows.insert(row.instance.clone(), row),
                Err(fault) if fault.kind == FaultKind::NotFound => {}
                Err(fault) => return Err(fault),
            }
        }
    }
    Ok(rows.into_values().collect())
}

async fn asked(
    ssm: &aws_sdk_ssm::Client,
    command_id: &str,
    instance: &TargetId,
    plugin: Option<String>,
) -> Result<Invocation, Fault> {
    let call = ssm.get_command_invocation().command_id(command_id).instance_id(instance.as_str());
    let answer = call.set_plugin_name(plugin).send().await;
    let answer = answer.map_err(|error| fault("ssm:GetCommandInvocation", &error))?;
    Ok(invocation::single(&answer, instance))
}

async fn plugins(
    clients: &Clients,
    command_id: &str,
    instance: &TargetId,
) -> Result<Vec<CommandPlugin>, Fault> {
    let call = clients.ssm.list_command_invocations().command_id(command_id).instance_id(instance.as_str());
    let answer = call.details(true).send().await;
    let answer = answer.map_err(|error| fault("ssm:ListCommandInvocations", &error))?;
    Ok(answer.command_invocations().iter().flat_map(|row| row.command_plugins().to_vec()).collect())
}

/// The token of the next page. An empty page may carry one; an empty token, or the same one again, ends the listing.
pub(crate) fn next(last: Option<String>, next: Option<String>) -> Option<String> {
    next.filter(|token| !token.is_empty() && Some(token) != last.as_ref())
}

fn names(instances: &[TargetId]) -> Vec<String> {
    instances.iter().map(ToString::to_string).collect()
}
