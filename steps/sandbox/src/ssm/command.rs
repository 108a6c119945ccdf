//! `ListCommands`, and how a command is shown.

use runbook_steps::world::SentCommand;
use serde_json::{Value, json};

use super::{command_filter::CommandFilter, listing::Which, time::epoch};
use crate::{call::Call, fault::Trouble, members::Members};

/// `ListCommands`.
pub(super) async fn list_commands(call: &Call<'_>, mut asked: Members) -> Result<Value, Trouble> {
    let which = Which::read(call, &mut asked, "ssm:ListCommands", (1, 50, 50))?;
    let id = asked.text("CommandId", 36)?;
    let instance = asked.text("InstanceId", 64)?;
    let filter = CommandFilter::read(&mut asked)?;
    asked.finish()?;
    let list = async {
        let commands = call.home().all_commands().await?;
        let fits = |command: &&SentCommand| {
            id.as_ref().is_none_or(|id| command.id == *id)
                && instance.as_ref().is_none_or(|id| is_part(command, id))
                && filter.fits(command, &command.status, &command.details)
        };
        Ok(commands.iter().filter(fits).map(show).collect())
    };
    which.page(call, "Commands", list).await
}

fn is_part(command: &SentCommand, instance: &str) -> bool {
    command.parts.iter().any(|part| part.invocation.instance.as_str() == instance)
        || command.request.instances.iter().any(|id| id.as_str() == instance)
}

/// A command, as Systems Manager shows it.
pub(super) fn show(command: &SentCommand) -> Value {
    let request = &command.request;
    let targets: Vec<_> =
        request.targets.iter().map(|(key, values)| json!({ "Key": key, "Values": values })).collect();
    json!({
        "CommandId": command.id,
        "DocumentName": request.document,
        "DocumentVersion": "$DEFAULT",
        "Comment": request.comment,
        "ExpiresAfter": epoch(command.expires_at),
        "Parameters": request.parameters,
        "InstanceIds": request.instances,
        "Targets": targets,
        "RequestedDateTime": epoch(command.requested_at),
        "Status": command.status,
        "StatusDetails": command.details,
        "OutputS3BucketName": "",
        "OutputS3KeyPrefix": "",
        "MaxConcurrency": request.max_concurrency,
        "MaxErrors": request.max_errors,
        "TargetCount": command.target_count,
        "CompletedCount": command.completed_count,
        "ErrorCount": command.error_count,
        "DeliveryTimedOutCount": command.delivery_timed_out_count,
        "ServiceRole": "",
        "NotificationConfig": { "NotificationArn": "", "NotificationEvents": [], "NotificationType": "" },
        "CloudWatchOutputConfig": { "CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": false },
        "TimeoutSeconds": request.delivery_timeout.as_secs(),
    })
}
