//! How a command that ran, followed or resumed a run comes out.

use runbook_engine::ids::RunId;

/// What there is to say of a run when the command that ran or followed it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExitReport {
    /// The run.
    pub run: RunId,
    /// Its status, in the word of `show --json`.
    pub status: &'static str,
    /// The process's exit code.
    pub code: u8,
    /// One cause, unless it succeeded.
    pub cause: Option<String>,
    /// The next command to type.
    pub next: Option<String>,
}
