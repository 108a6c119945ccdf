//! Systems Manager, in AWS JSON 1.1.

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
            other => {
                drop(asked);
                return Err(self.unknown_operation(Some(other)).into());
            }
        };
        Ok(Answer::new(200, JSON, body.to_string()))
    }

    fn refuse(&self, _request: &Request, refusal: &Refusal, _request_id: &str) -> Answer {
        let body = json!({ "__type": refusal.code, "message": refusal.message });
        Answer::new(refusal.status, JSON, body.to_string())
    }
}
