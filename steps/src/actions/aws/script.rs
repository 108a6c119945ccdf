//! How a script that ran is judged.

use runbook_engine::{
    outcome::{ErrorClass, Outcome},
    run::event::Report,
};

use crate::{
    guard::{self, Verdict},
    ports::ssm::{Invocation, InvocationStatus},
};

/// As much of a script's last words as a cause can hold.
const LAST_WORDS: usize = 200;

/// What is reported of a machine on which a command ran.
pub(super) fn report(part: &Invocation) -> Report {
    let code = part.exit_code.unwrap_or(-1);
    let stderr = part.stderr.as_deref().unwrap_or_default();
    let report = match (part.status, guard::verdict(code, stderr)) {
        (InvocationStatus::Succeeded, _) => Report::succeeded(),
        (InvocationStatus::ExecutionTimedOut, _) => {
            let cause = "it ran into its execution time-out and was killed";
            Report::failed(Outcome::TimedOut, ErrorClass::TimedOut, cause)
        }
        (_, Some(Verdict::Interrupted)) => {
            let cause = "the script was started, and nobody saw its end: it may have been applied in part";
            Report::failed(Outcome::Unknown, ErrorClass::Failed, cause)
        }
        // Nothing was applied.
        (_, Some(Verdict::NotStarted)) => {
            Report::failed(Outcome::Failed, ErrorClass::Undeliverable, last_words(stderr))
        }
        (_, None) => {
            let words = last_words(stderr);
            let cause = if words.is_empty() {
                format!("exited with {code}")
            } else {
                format!("exited with {code}: {words}")
            };
            Report::failed(Outcome::Failed, ErrorClass::Failed, cause)
        }
    };
    match part.ended_at {
        Some(at) => report.at(at),
        None => report,
    }
}

/// The last line that says something.
fn last_words(stderr: &str) -> String {
    let line = stderr.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().take(LAST_WORDS).collect()
}
