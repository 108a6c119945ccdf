//! The filters of `ListCommands` and `ListCommandInvocations`.

use jiff::Timestamp;
use runbook_steps::world::SentCommand;

use crate::{fault::Refusal, members::Members};

const KEYS: [&str; 5] = ["InvokedAfter", "InvokedBefore", "Status", "ExecutionStage", "DocumentName"];

/// What a command must be.
#[derive(Debug)]
enum Condition {
    InvokedAfter(Timestamp),
    InvokedBefore(Timestamp),
    Status(String),
    Executing(bool),
    DocumentName(String),
}

/// Conditions that must hold together.
#[derive(Debug, Default)]
pub(super) struct CommandFilter {
    conditions: Vec<Condition>,
}

impl CommandFilter {
    /// Reads `Filters`.
    pub fn read(asked: &mut Members) -> Result<Self, Refusal> {
        let mut conditions = Vec::new();
        for mut filter in asked.structures("Filters", 1, 5)? {
            let key = filter.required("key", 128)?;
            let value = filter.required("value", 128)?;
            filter.finish()?;
            conditions.push(match key.as_str() {
                "InvokedAfter" => Condition::InvokedAfter(time(&value)?),
                "InvokedBefore" => Condition::InvokedBefore(time(&value)?),
                "Status" => Condition::Status(value),
                "ExecutionStage" => match value.as_str() {
                    "Executing" => Condition::Executing(true),
                    "Complete" => Condition::Executing(false),
                    _ => return Err(wrong(&value, "ExecutionStage is Executing or Complete")),
                },
                "DocumentName" => Condition::DocumentName(value),
                _ => {
                    let message = format!("the filter key is one of {}, not {key}", KEYS.join(", "));
                    return Err(Refusal::new("InvalidFilterKey", message));
                }
            });
        }
        Ok(Self { conditions })
    }

    /// Whether a command has this status and all the rest.
    pub fn fits(&self, command: &SentCommand, status: &str, details: &str) -> bool {
        self.conditions.iter().all(|condition| match condition {
            Condition::InvokedAfter(from) => command.requested_at >= *from,
            Condition::InvokedBefore(to) => command.requested_at < *to,
            Condition::Status(wanted) => wanted == status || wanted == details,
            Condition::Executing(executing) => {
                *executing == matches!(status, "Pending" | "InProgress" | "Delayed" | "Cancelling")
            }
            Condition::DocumentName(name) => command.request.document == *name,
        })
    }
}

fn time(value: &str) -> Result<Timestamp, Refusal> {
    // `2021-07-07T00:00:00Z`; a date alone is not taken.
    value.parse().map_err(|_| wrong(value, "a time is written as 2026-01-05T08:00:00Z"))
}

fn wrong(value: &str, rule: &str) -> Refusal {
    Refusal::new("ValidationException", format!("`{value}` is not valid: {rule}"))
}
