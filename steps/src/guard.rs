//! The guard: what makes a script run once on a machine, however often its command is delivered.
//!
//! Run Command has no client token, so a command whose answer was lost may be sent twice, and an agent that dies may
//! run what it had in hand again. [`wrap`] puts a POSIX `sh` text around the script that claims the script's token on
//! the machine itself. The first delivery runs the script in the folder, environment and umask that it would have had
//! without the guard; every other one waits for the first one's result, prints it and exits with its code.
//!
//! The folder is `/var/lib/runbook/guard/<instance>/<token>`; the instance is `$AWS_SSM_INSTANCE_ID`, else
//! `$INSTANCE_ID`, else the machine id, so that boxes that share a file system do not share a claim. Tests move the
//! root with `RUNBOOK_GUARD_ROOT` in the machine's environment; nothing else sets it.

use uuid::Uuid;

#[cfg(test)]
mod tests;

const GUARD: &str = include_str!("guard/guard.sh");

/// Exit code of a delivery whose predecessor started the script and died without a result.
const INTERRUPTED: i32 = 75;

/// Exit code of a delivery that could not claim the script's token (no room, a read-only disk).
const REFUSED: i32 = 73;

/// What the guard itself has to say, where the script's own exit code is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The script was started, and nobody saw its end: it may have been applied in part.
    Interrupted,
    /// The script was not started.
    NotStarted,
}

/// The script, wrapped for a machine's `sh`. The same token stands for the same execution of the same script.
pub fn wrap(token: Uuid, script: &str) -> String {
    let mut end = format!("RBG_END_{}", token.simple());
    while script.lines().any(|line| line == end) {
        end.push('_');
    }
    let guard = GUARD.replace("@TOKEN@", &token.hyphenated().to_string()).replace("@END@", &end);
    // Last, so that nothing inside the script is taken for one of our own marks.
    guard.replacen("@SCRIPT@", script, 1)
}

/// Whether an exit code and a standard error are the guard's own words; `None`: they are the script's.
pub fn verdict(code: i32, stderr: &str) -> Option<Verdict> {
    match code {
        INTERRUPTED if stderr.starts_with("runbook guard: interrupted") => Some(Verdict::Interrupted),
        REFUSED if stderr.starts_with("runbook guard: ") => Some(Verdict::NotStarted),
        _ => None,
    }
}
