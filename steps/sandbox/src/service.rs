//! What every service behind this door can do.

use async_trait::async_trait;

use crate::{
    answer::Answer,
    call::Call,
    fault::{Refusal, Trouble},
    request::Request,
};

/// A service, in its own wire format.
#[async_trait]
pub trait Service: Send + Sync {
    /// The prefix of its rights: `ssm`, `ec2`, `backup`.
    fn name(&self) -> &'static str;

    /// Which of its operations a request asks for, in AWS's words. `None`: none that it knows the name of.
    fn operation(&self, request: &Request) -> Option<String>;

    /// Whether an operation writes.
    fn writes(&self, operation: &str) -> bool {
        !["Describe", "Get", "List", "Assume"].iter().any(|reads| operation.starts_with(reads))
    }

    /// Carries the call out.
    async fn answer(&self, call: &Call<'_>) -> Result<Answer, Trouble>;

    /// An error in this service's format. `request`: some services speak more than one.
    fn refuse(&self, request: &Request, refusal: &Refusal, request_id: &str) -> Answer;

    /// What it says to an operation that is not there.
    fn unknown_operation(&self, operation: Option<&str>) -> Refusal {
        let what =
            operation.map_or_else(|| "no operation is named".into(), |name| format!("no operation {name}"));
        Refusal::new("UnknownOperationException", what)
    }
}
