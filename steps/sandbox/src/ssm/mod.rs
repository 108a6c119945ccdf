//! Systems Manager, in AWS JSON 1.1 (API version 2014-11-06).

mod agent;
mod baseline;
mod cancel;
mod command;
mod command_filter;
mod document;
mod documents;
mod invocation;
mod listing;
mod patch;
mod send;
mod time;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::{
    answer::Answer,
    call::Call,
    fault::{Refusal, Trouble},
    members::Members,
    request::Request,
    service::Service,
};

/// Systems Manager.
pub struct SsmService;

/// The prefix of `X-Amz-Target`.
const TARGET: &str = "AmazonSSM.";
const JSON: &str = "application/x-amz-json-1.1";

#[async_trait]
impl Service for SsmService {
    fn name(&self) -> &'static str {
        "ssm"
    }

    fn operation(&self, request: &Request) -> Option<String> {
        request.header("x-amz-target")?.strip_prefix(TARGET).map(str::to_owned)
    }

    async fn answer(&self, call: &Call<'_>) -> Result<Answer, Trouble> {
        let asked = Members::read(&call.request.body)?;
        let body: Value = match call.operation {
            "SendCommand" => send::send_command(call, asked).await?,
            "CancelCommand" => cancel::cancel_command(call, asked).await?,
            "ListCommands" => command::list_commands(call, asked).await?,
            "ListCommandInvocations" => invocation::list_command_invocations(call, asked).await?,
            "GetCommandInvocation" => invocation::get_command_invocation(call, asked).await?,
            "DescribeInstanceInformation" => agent::describe_instance_information(call, asked).await?,
            "DescribeInstancePatchStates" => patch::describe_instance_patch_states(call, asked).await?,
            "DescribeInstancePatchStatesForPatchGroup" => {
                patch::describe_instance_patch_states_for_patch_group(call, asked).await?
            }
            "DescribeInstancePatches" => patch::describe_instance_patches(call, asked).await?,
            "DescribePatchGroupState" => patch::describe_patch_group_state(call, asked).await?,
            "DescribePatchBaselines" => baseline::describe_patch_baselines(call, asked).await?,
            "DescribePatchGroups" => baseline::describe_patch_groups(call, asked).await?,
            "GetPatchBaselineForPatchGroup" => {
                baseline::get_patch_baseline_for_patch_group(call, asked).await?
            }
            "GetDefaultPatchBaseline" => baseline::get_default_patch_baseline(call, asked).await?,
            "ListDocuments" => documents::list_documents(call, asked).await?,
            "DescribeDocument" => documents::describe_document(call, asked).await?,
            "GetDocument" => documents::get_document(call, asked).await?,
            other => return Err(self.unknown_operation(Some(other)).into()),
        };
        Ok(Answer::new(200, JSON, body.to_string()))
    }

    fn refuse(&self, _request: &Request, refusal: &Refusal, _request_id: &str) -> Answer {
        let body = json!({ "__type": refusal.code, "message": refusal.message });
        Answer::new(refusal.status, JSON, body.to_string())
    }
}
