//! Why a run is not begun, told or gone on with.

use std::{io, path::PathBuf};

use jiff::Timestamp;
use runbook_engine::ids::{RunId, TargetId, TaskName};
use runbook_state::error::StoreError;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::secrets::SecretsError;
use crate::control::silent::SilentHolder;

/// What helps a process that may open no more files.
const MORE_FILES: &str = "let it open more files with `ulimit -n 4096`, then `runbook resume`";

fn is_out_of_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(error.raw_os_error().map(Errno::from_raw_os_error), Some(Errno::MFILE | Errno::NFILE))
}

/// Why something is not done. Nothing was journaled and nothing was changed, unless it says so.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Refused {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Secrets cannot be had.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The plan names a secret that nobody gave.
    #[error("the secret `{name}` is not set")]
    MissingSecret {
        /// Its name.
        name: String,
    },
    /// An unfinished run changes one of the machines, or a stuck run left it.
    #[error("`{target}` {}", held(run, *stuck))]
    Held {
        /// The machine.
        target: TargetId,
        /// The run.
        run: RunId,
        /// It is over, and stuck.
        stuck: bool,
    },
    /// `--expect-plan` names another plan.
    #[error("the plan is {found}, not {wanted}")]
    OtherPlan {
        /// As asked.
        wanted: String,
        /// Its digest.
        found: String,
    },
    /// The plan uses an action that this binary does not have.
    #[error("there is no action `{action}` in this binary, which `{task}` uses")]
    NoAction {
        /// The action.
        action: String,
        /// The task.
        task: TaskName,
    },
    /// The action needs AWS, and this binary was built without it.
    #[error("`{action}`, which `{task}` uses, needs AWS, and this binary was built without it")]
    NotOnRealAws {
        /// The action.
        action: String,
        /// The task.
        task: TaskName,
    },
    /// The plan refers to something that it does not hold.
    #[error("the plan cannot be run: {why}")]
    DamagedPlan {
        /// What is wrong.
        why: String,
    },
    /// An entry of a journal that the core does not accept.
    #[error("the journal of run `{run}` cannot be replayed at entry {seq}: {why}")]
    DamagedJournal {
        /// The run.
        run: RunId,
        /// The entry.
        seq: u64,
        /// What is wrong.
        why: String,
    },
    /// No run has this id or prefix.
    #[error("there is no run `{run}`")]
    UnknownRun {
        /// As asked.
        run: String,
    },
    /// More than one run has this prefix.
    #[error("`{run}` means more than one run: {}", .runs.join(", "))]
    ManyRuns {
        /// As asked.
        run: String,
        /// All of them.
        runs: Vec<String>,
    },
    /// The state folder holds no run.
    #[error("there is no run in {}", .state.display())]
    NoRuns {
        /// The folder.
        state: PathBuf,
    },
    /// The holder of the store is bound to another account, role, endpoint or fleet.
    #[error("the process that holds this state folder works in another environment: {theirs}, not {ours}")]
    OtherEnvironment {
        /// Its environment.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// The simulated world of a run cannot be used.
    #[error("the fleet cannot be used: {why}")]
    Fleet {
        /// What is wrong.
        why: String,
    },
    /// A run is in another world than the environment names.
    #[error("{}", other_world(run.as_deref(), here.as_deref()))]
    OtherWorld {
        /// The sandbox that the run is in; none: real machines.
        run: Option<String>,
        /// The sandbox that the environment names.
        here: Option<String>,
    },
    /// The peer may not do this.
    #[error("{user} may not {what}: {why}")]
    NotAllowed {
        /// Unix user.
        user: String,
        /// The order.
        what: &'static str,
        /// Why not.
        why: String,
    },
    /// It cannot be done in the state in which the run is.
    #[error("{why}")]
    NotNow {
        /// Why.
        why: String,
        /// The next command to type.
        hint: Option<String>,
    },
    /// The holder is going away.
    #[error("the process that holds the state folder is stopping")]
    Stopping,
    /// The state folder is held, and its holder does not answer.
    #[error("the state folder {} is held by {}", .state.display(), silent(*holder, *asked))]
    NoAnswer {
        /// The folder.
        state: PathBuf,
        /// Who it is, if the system says so.
        holder: Option<SilentHolder>,
        /// It was asked something, which it may still do.
        asked: bool,
    },
    /// The socket's folder belongs to somebody else than the state folder.
    #[error("{} belongs to uid {found}, and the state folder to uid {wanted}: nothing is sent there", .path.display())]
    StrangeSocket {
        /// The socket's folder.
        path: PathBuf,
        /// Its owner.
        found: u32,
        /// The state folder's owner.
        wanted: u32,
    },
    /// What the holder of the store answered.
    #[error("{message}")]
    Told {
        /// In its words.
        message: String,
        /// Its exit code.
        exit: u8,
        /// Its hint.
        hint: Option<String>,
    },
    /// Something went wrong that nobody foresaw.
    #[error("{doing} failed")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The core asked for something that it does not accept.
    #[error("our bug: {what} at {at}; the journal is sound, and holds everything up to here")]
    Bug {
        /// What.
        what: String,
        /// When.
        at: Timestamp,
    },
}

fn silent(holder: Option<SilentHolder>, asked: bool) -> String {
    let who = match holder {
        None => "another process, which does not answer".to_owned(),
        Some(SilentHolder { pid, stopped: false }) => format!("process {pid}, which does not answer"),
        Some(SilentHolder { pid, stopped: true }) => {
            format!("process {pid}, which is stopped and does not answer")
        }
    };
    if asked { format!("{who}; what it was asked it may still do") } else { who }
}

fn held(run: &RunId, stuck: bool) -> String {
    if stuck {
        format!("was left by run {run}, which is stuck")
    } else {
        format!("is being changed by run {run}, which is not finished")
    }
}

fn other_world(run: Option<&str>, here: Option<&str>) -> String {
    match (run, here) {
        (None, _) => "the run changes real machines, and RUNBOOK_SANDBOX names a sandbox".to_owned(),
        (Some(run), None) => format!("the run is in {run}, and RUNBOOK_SANDBOX names no sandbox"),
        (Some(run), Some(here)) => format!("the run is in {run}, and RUNBOOK_SANDBOX names {here}"),
    }
}

impl Refused {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Store(error) => error.exit_code(),
            Self::UnknownRun { .. } | Self::ManyRuns { .. } | Self::NoRuns { .. } | Self::NotNow { .. } => 2,
            Self::OtherPlan { .. }
            | Self::DamagedPlan { .. }
            | Self::NoAction { .. }
            | Self::OtherWorld { .. }
            | Self::Fleet { .. } => 3,
            Self::Secrets(_)
            | Self::MissingSecret { .. }
            | Self::NotOnRealAws { .. }
            | Self::Held { .. }
            | Self::NotAllowed { .. } => 4,
            Self::OtherEnvironment { .. }
            | Self::DamagedJournal { .. }
            | Self::Stopping
            | Self::NoAnswer { .. }
            | Self::StrangeSocket { .. } => 20,
            Self::Told { exit, .. } => *exit,
            Self::Io { .. } | Self::Bug { .. } => 1,
        }
    }

    /// The next command to type, or what to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Store(error) => error.hint(),
            Self::Secrets(error) => return error.hint(),
            Self::MissingSecret { name } => {
                format!(
                    "set RUNBOOK_SECRET_{name}, or write it to the file {name} in RUNBOOK_SECRETS_DIR (mode 600)"
                )
            }
            Self::Held { run, stuck: false, .. } => format!("runbook resume {run}"),
            Self::Held { run, target, stuck: true } => {
                format!(
                    "runbook rollback {run}, or once you have seen to it: runbook resolve {run} --target {target}"
                )
            }
            Self::NotOnRealAws { .. } => {
                "try the runbook on a simulated fleet: runbook run FILE --fleet FLEET".to_owned()
            }
            Self::OtherPlan { .. } => "look at the plan again with `runbook plan`".to_owned(),
            Self::UnknownRun { .. } | Self::ManyRuns { .. } => "runbook list".to_owned(),
            Self::NoRuns { .. } => {
                "start one with `runbook run FILE`, or name its folder with `--state DIR`".to_owned()
            }
            Self::OtherEnvironment { .. } => "use another --state".to_owned(),
            Self::OtherWorld { run: None, .. } => "unset RUNBOOK_SANDBOX".to_owned(),
            Self::OtherWorld { .. } => {
                "start its sandbox again (`runbook sandbox --fleet FILE`), and set RUNBOOK_SANDBOX to it"
                    .to_owned()
            }
            Self::Stopping => "runbook resume".to_owned(),
            Self::NoAnswer { holder: Some(SilentHolder { pid, stopped: true }), .. } => {
                format!("let it go on with `kill -CONT {pid}`, then `runbook show`")
            }
            Self::NoAnswer { holder: Some(SilentHolder { pid, .. }), .. } => {
                format!("look at it with `ps -fp {pid}`, then `runbook show`")
            }
            Self::NoAnswer { state, .. } => format!("look for it with `fuser -v {}/LOCK`", state.display()),
            Self::Io { source, .. } if is_out_of_files(source) => MORE_FILES.to_owned(),
            Self::NotNow { hint, .. } | Self::Told { hint, .. } => return hint.clone(),
            _ => return None,
        })
    }
}

/// A refusal as it goes through the socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedLine {
    /// In words, the causes included.
    pub message: String,
    /// Exit code.
    pub exit: u8,
    /// Hint.
    pub hint: Option<String>,
    /// The process is going away: the next one can be asked the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopping: bool,
}

impl From<&Refused> for RefusedLine {
    fn from(refused: &Refused) -> Self {
        let mut message = refused.to_string();
        let mut source = std::error::Error::source(refused);
        while let Some(error) = source {
            let text = error.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = error.source();
        }
        Self {
            message,
            exit: refused.exit_code(),
            hint: refused.hint(),
            stopping: matches!(refused, Refused::Stopping),
        }
    }
}

impl From<RefusedLine> for Refused {
    fn from(line: RefusedLine) -> Self {
        if line.stopping {
            return Self::Stopping;
        }
        Self::Told { message: line.message, exit: line.exit, hint: line.hint }
    }
}
