//! What hosts answer of jobs and of logs, read. The adapter reads the same; here it is for whoever has such an answer
//! without a host: the fuzzer.

use jiff::Timestamp;
use runbook_steps::ports::{fault::Fault, linux::Progress};

use crate::{jobs, log, ssh::Answer};

/// How a job stands: standard output and standard error of `progress.sh`, just now.
///
/// # Errors
/// The host does not tell.
pub fn job(stdout: &str, stderr: &str, now: Timestamp) -> Result<Progress, Fault> {
    let answer = Answer { code: Some(0), stdout: stdout.to_owned(), stderr: stderr.to_owned(), cut: false };
    jobs::told::progress(&answer, "the host", now)
}

/// The lines of a log that may have been written since this moment of ours, out of what `log.sh` printed between `sent` and
/// `received`; none: it cannot be understood.
pub fn log(stdout: &str, since: Timestamp, sent: Timestamp, received: Timestamp) -> Option<Vec<&str>> {
    let told = log::told::Told::read(stdout)?;
    Some(told.since(told.clock(since, sent, received)).collect())
}
