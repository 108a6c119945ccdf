//! CloudWatch's alarms (API version 2010-08-01), in the three protocols that clients speak to it.

mod alarm;
mod protocol;

use async_trait::async_trait;

use self::protocol::Protocol;
use crate::{
    answer::Answer,
    call::Call,
    fault::{Refusal, Trouble},
    request::Request,
    service::Service,
};

/// CloudWatch.
pub struct MonitoringService;

#[async_trait]
impl Service for MonitoringService {
    fn name(&self) -> &'static str {
        "cloudwatch"
    }

    fn operation(&self, request: &Request) -> Option<String> {
        Protocol::of(request).operation(request)
    }

    async fn answer(&self, call: &Call<'_>) -> Result<Answer, Trouble> {
        let protocol = Protocol::of(call.request);
        let asked = protocol.read(call.request)?;
        let result = match call.operation {
            "DescribeAlarms" => Some(alarm::describe_alarms(call, asked).await?),
            "SetAlarmState" => {
                alarm::set_alarm_state(call, asked).await?;
                None
            }
            other => return Err(self.unknown_operation(Some(other)).into()),
        };
        Ok(protocol.answer(call, result))
    }

    fn refuse(&self, request: &Request, refusal: &Refusal, request_id: &str) -> Answer {
        Protocol::of(request).refuse(refusal, request_id)
    }

    fn unknown_operation(&self, operation: Option<&str>) -> Refusal {
        Refusal::new(
            "InvalidAction",
            format!("there is no operation {}", operation.unwrap_or("without a name")),
        )
    }
}
