//! AWS Backup.

use async_trait::async_trait;

use crate::{
    answer::Answer,
    call::Call,
    fault::{Refusal, Trouble},
    request::Request,
    service::Service,
};

/// AWS Backup.
pub struct BackupService;

#[async_trait]
impl Service for BackupService {
    fn name(&self) -> &'static str {
        "backup"
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
