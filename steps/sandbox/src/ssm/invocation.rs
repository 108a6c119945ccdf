//! `ListCommandInvocations` and `GetCommandInvocation`.

use runbook_steps::world::{SentCommand, SentPart};
use serde_json::{Value, json};

use super::{
    command_filter::CommandFilter,
    document::{Document, Step},
    listing::Which,
    time::{elapsed, epoch, iso},
};
use crate::{
    call::Call,
    fault::{Refusal, Trouble},
    members::Members,
};

/// How much of a step's output `ListCommandInvocations` has (facts: Results of a command).
const PLUGIN_OUTPUT: usize = 2_500;
/// How much `GetCommandInvocation` has.
const STDOUT: usize = 24_000;
const STDERR: usize = 8_000;

/// `ListCommandInvocations`.
pub(super) async fn list_command_invocations(call: &Call<'_>, mut asked: Members) -> Result<Value, Trouble> {
    let which = Which::read(call, &mut asked, "ssm:ListCommandInvocations", (1, 50, 50))?;
    let id = asked.text("CommandId", 36)?;
    let instance = asked.text("InstanceId", 64)?;
    let details = asked.flag("Details")?;
    let filter = CommandFilter::read(&mut asked)?;
    asked.finish()?;
    let list = async {
        let commands = match &id {
            Some(id) => call.home().command(id).await?.into_iter().collect(),
            None => call.home().all_commands().await?,
        };
        let mut rows = Vec::new();
        for command in &commands {
            let parts = command.parts.iter().filter(|part| {
                instance.as_ref().is_none_or(|id| part.invocation.instance.as_str() == id)
                    && filter.fits(command, &part.status, &part.invocation.details)
            });
            rows.extend(parts.map(|part| row(call, command, part, details)));
        }
        Ok(rows)
    };
    which.page(call, "CommandInvocations", list).await
}

fn row(call: &Call<'_>, command: &SentCommand, part: &SentPart, details: bool) -> Value {
    let instance = part.invocation.instance.as_str();
    let (name, platform) = call.world().about_machine(instance).unwrap_or_default();
    let plugins = match Document::find(&command.request.document) {
        Some(document) if details => {
            document.steps.iter().map(|step| plugin(document, step, &platform, part)).collect()
        }
        Some(_) | None => Vec::new(),
    };
    json!({
        "CommandId": command.id,
        "InstanceId": instance,
        "InstanceName": name,
        "Comment": command.request.comment,
        "DocumentName": command.request.document,
        "DocumentVersion": "$DEFAULT",
        "RequestedDateTime": epoch(command.requested_at),
        "Status": part.status,
        "StatusDetails": part.invocation.details,
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
        "CommandPlugins": plugins,
        "ServiceRole": "",
        "NotificationConfig": { "NotificationArn": "", "NotificationEvents": [], "NotificationType": "" },
        "CloudWatchOutputConfig": { "CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": false },
    })
}

/// How one step of a part stands.
struct Standing<'a> {
    status: &'a str,
    details: &'a str,
    code: i32,
    stdout: String,
    stderr: String,
}

impl<'a> Standing<'a> {
    /// A step for another platform is skipped when the part begins, and shown as a success
    /// (facts: AWS-RunPatchBaseline).
    fn of(document: &Document, step: &Step, platform: &str, part: &'a SentPart) -> Self {
        let invocation = &part.invocation;
        let over = !matches!(part.status.as_str(), "Pending" | "InProgress" | "Delayed" | "Cancelling");
        let ran = over && part.started_at.is_some();
        if document.step_on(platform).name != step.name && ran {
            let stdout = format!("Step execution skipped due to unsupported platform: {}.", spoken(step));
            return Self { status: "Success", details: "Success", code: 0, stdout, stderr: String::new() };
        }
        // A plugin knows fewer words than an invocation.
        let status = match part.status.as_str() {
            "Delayed" => "Pending",
            "Cancelling" => "InProgress",
            status => status,
        };
        let text = |text: &Option<String>, most| cut(text.as_deref().unwrap_or_default(), most);
        Self {
            status,
            details: &invocation.details,
            code: invocation.exit_code.unwrap_or(-1),
            stdout: if over { text(&invocation.stdout, STDOUT) } else { String::new() },
            stderr: if over { text(&invocation.stderr, STDERR) } else { String::new() },
        }
    }
}

fn spoken(step: &Step) -> String {
    format!("{} is for {}", step.name, step.platform.unwrap_or("other platforms"))
}

fn plugin(document: &Document, step: &Step, platform: &str, part: &SentPart) -> Value {
    let standing = Standing::of(document, step, platform, part);
    let mut output = standing.stdout;
    if !standing.stderr.is_empty() {
        output.push_str("\n----------ERROR-------\n");
        output.push_str(&standing.stderr);
    }
    let mut value = json!({
        "Name": step.name,
        "Status": standing.status,
        "StatusDetails": standing.details,
        "ResponseCode": standing.code,
        "Output": cut(&output, PLUGIN_OUTPUT),
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
        "OutputS3Region": "",
        "OutputS3BucketName": "",
        "OutputS3KeyPrefix": "",
    });
    if let Some(at) = part.started_at {
        value["ResponseStartDateTime"] = epoch(at);
    }
    if let Some(at) = part.invocation.ended_at {
        value["ResponseFinishDateTime"] = epoch(at);
    }
    value
}

/// `GetCommandInvocation`.
pub(super) async fn get_command_invocation(call: &Call<'_>, mut asked: Members) -> Result<Value, Trouble> {
    let id = asked.required("CommandId", 36)?;
    let instance = asked.required("InstanceId", 64)?;
    let plugin = asked.text("PluginName", 500)?;
    asked.finish()?;
    let nowhere = || Refusal::new("InvocationDoesNotExist", format!("no invocation of {id} on {instance}"));
    let command = call.home().command(&id).await?.ok_or_else(nowhere)?;
    let is_it = |part: &&SentPart| part.invocation.instance.as_str() == instance;
    let part = command.parts.iter().find(is_it).ok_or_else(nowhere)?;
    let document = Document::find(&command.request.document);
    let (_, platform) = call.world().about_machine(&instance).unwrap_or_default();
    let mut body = json!({
        "CommandId": command.id,
        "InstanceId": instance,
        "Comment": command.request.comment,
        "DocumentName": command.request.document,
        "DocumentVersion": "$DEFAULT",
        "ExecutionStartDateTime": part.started_at.map(iso).unwrap_or_default(),
        "ExecutionElapsedTime": "",
        "ExecutionEndDateTime": part.invocation.ended_at.map(iso).unwrap_or_default(),
        "StandardOutputUrl": "",
        "StandardErrorUrl": "",
        "CloudWatchOutputConfig": { "CloudWatchLogGroupName": "", "CloudWatchOutputEnabled": false },
    });
    if let (Some(from), Some(to)) = (part.started_at, part.invocation.ended_at) {
        body["ExecutionElapsedTime"] = json!(elapsed(from, to));
    }
    if let Some(document) = document {
        let step = step(document, plugin.as_deref()).map_err(|unknown| match unknown {
            Unnamed::Missing => Refusal::new(
                "InvalidPluginName",
                format!("{} has several steps: PluginName must say which", document.name),
            ),
            Unnamed::Unknown => nowhere(),
        })?;
        let standing = Standing::of(document, step, &platform, part);
        body["PluginName"] = json!(step.name);
        body["Status"] = json!(standing.status);
        body["StatusDetails"] = json!(standing.details);
        body["ResponseCode"] = json!(standing.code);
        body["StandardOutputContent"] = json!(standing.stdout);
        body["StandardErrorContent"] = json!(standing.stderr);
    }
    Ok(body)
}

enum Unnamed {
    Missing,
    Unknown,
}

/// The step that is asked for: the only one may be left out (facts: Results of a command).
fn step(document: &'static Document, name: Option<&str>) -> Result<&'static Step, Unnamed> {
    match (name, document.steps) {
        (None, [only]) => Ok(only),
        (None, _) => Err(Unnamed::Missing),
        (Some(name), steps) => steps.iter().find(|step| step.name == name).ok_or(Unnamed::Unknown),
    }
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
