//! How a command that ran, followed or resumed a run comes out.

use runbook_engine::{
    ids::RunId,
    run::{Run, Status, WaitKind, event::RunEnd},
};
use serde::{Deserialize, Serialize};

/// The exit code of a run that can be gone on with.
const RESUMABLE: u8 = 12;

/// What there is to say of a run when the command that ran or followed it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitReport {
    /// The run.
    pub run: RunId,
    /// Its status, in the word of `show --json`.
    pub status: String,
    /// The process's exit code.
    pub code: u8,
    /// One cause, unless it succeeded.
    pub cause: Option<String>,
    /// The next command to type.
    pub next: Option<String>,
}

impl ExitReport {
    /// What there is to say of a run that this process lets go of; one that nobody holds then is `interrupted`.
    pub(crate) fn of(run: &Run, id: &RunId) -> Self {
        let status = match run.status() {
            Status::Running => Status::Interrupted,
            status => status,
        };
        Self {
            run: id.clone(),
            status: status.as_str().to_owned(),
            code: status.exit_code().unwrap_or(RESUMABLE),
            cause: run.cause(),
            next: next(run, id, status),
        }
    }

    /// The run goes on without the one who watched it.
    pub fn detached(run: RunId) -> Self {
        let next = Some(format!("runbook show {run}"));
        Self { run, status: Status::Running.as_str().to_owned(), code: RESUMABLE, cause: None, next }
    }
}

fn next(run: &Run, id: &RunId, status: Status) -> Option<String> {
    Some(match status {
        Status::Ended(RunEnd::Succeeded | RunEnd::Restored | RunEnd::Cancelled) => return None,
        Status::Ended(RunEnd::Failed) => format!("runbook retry {id}"),
        Status::Ended(RunEnd::Stuck) => format!("runbook show {id}"),
        _ => {
            let person = run.waiting_on().into_iter().find(|waiting| {
                matches!(waiting.kind, WaitKind::Approval | WaitKind::Manual | WaitKind::Operator)
            });
            match person {
                Some(waiting) if waiting.kind == WaitKind::Operator => {
                    format!("runbook resolve {id} --task {}", waiting.task)
                }
                Some(waiting) if status == Status::Waiting => {
                    format!("runbook approve {id} --task {}", waiting.task)
                }
                _ => format!("runbook resume {id}"),
            }
        }
    })
}
