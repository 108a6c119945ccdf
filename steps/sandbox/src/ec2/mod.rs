//! EC2.

use async_trait::async_trait;

use crate::{
    answer::Answer,
    call::Call,
    fault::{Refusal, Trouble},
    request::Request,
    service::Service,
};

/// EC2.
pub struct Ec2Service;

#[async_trait]
impl Service for Ec2Service {
    fn name(&self) -> &'static str {
        "ec2"
    }

    fn operation(&self, _request: &Request) -> Option<String> {
        None
    }

    async fn answer(&self, call: &Call<'_>) -> Result<Answer, Trouble> {
        Err(self.unknown_operation(Some(call.operation)).into())
    }

    fn refuse(&self, _request: &Request, refusal: &Refusal, _request_id: &str) -> Answer {
        Answer::new(refusal.status, "text/plain", format!("{}: {}", refusal.code, refusal.message))
    }
}
