//! Programs on this machine that run at most once, also when we die while they do.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::hindrance::Hindrance;

/// A program to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// What makes it run at most once: the attempt's token.
    pub token: String,
    /// The program and its arguments; a script is `["/bin/sh", "-c", script]`.
    pub command: Vec<String>,
    /// Added to the environment.
    pub env: BTreeMap<String, String>,
    /// It only looks, and this is how it exits where the machine in its environment is healthy: a simulated world, in
    /// which no program runs, answers so.
    pub looks_for: Option<i32>,
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Exit code; 128 + signal where a signal ended it.
    pub code: i32,
    /// The first 24,000 characters.
    pub stdout: String,
    /// The first 8,000 characters.
    pub stderr: String,
    /// When it ended, if that is known.
    pub ended_at: Option<Timestamp>,
}

/// What is known of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It was never started under this token.
    Absent,
    /// It runs.
    Running,
    /// It ended.
    Ended(Ended),
    /// It was started, does not run any more, and left no result (the machine went down).
    Lost,
}

/// Programs on this machine. Each is started in a session of its own, under the guard, so that it survives our death
/// and a second start under the same token is none.
#[async_trait]
pub trait Process: Send + Sync {
    /// Starts it, unless it was started before; does not wait for its end.
    ///
    /// # Errors
    /// Why it could not be started; then it did not run.
    async fn start(&self, program: Program) -> Result<(), Hindrance>;

    /// How it stands.
    ///
    /// # Errors
    /// Why that cannot be known.
    async fn progress(&self, token: &str) -> Result<Progress, String>;

    /// Asks it (its process group) to end: TERM, then KILL.
    ///
    /// # Errors
    /// Why that cannot be done.
    async fn kill(&self, token: &str) -> Result<(), String>;

    /// Deletes what is kept under this token, output first: its result is journaled, nobody will ask again. After it the
    /// token is [`Progress::Absent`] and could be started anew. What was never started is forgotten already.
    ///
    /// # Errors
    /// Why that cannot be done, or that it still runs.
    async fn forget(&self, token: &str) -> Result<(), String>;
}
