//! What can be wrong with a store, and what to do about it.

use std::io;

use thiserror::Error;

use crate::format::FORMAT;

/// Too many open files, in this process and in all of them.
const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();
const ENFILE: i32 = rustix::io::Errno::NFILE.raw_os_error();

/// Why a store cannot do what it is asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process holds it, or it belongs to somebody else.
    #[error("the state folder {path} is held by another process")]
    Locked {
        /// The folder.
        path: String,
    },
    /// No such run.
    #[error("there is no run `{run}`")]
    UnknownRun {
        /// As asked.
        run: String,
    },
    /// A run of this id was begun before: a run's id is used once.
    #[error("the run `{run}` was begun before")]
    RunExists {
        /// Its id.
        run: String,
    },
    /// The folder holds something else, and others may look into it.
    #[error("{path} is not empty, and not a state folder")]
    NotAStore {
        /// The folder.
        path: String,
    },
    /// It was written by a newer version.
    #[error("the state folder {path} has format {found}, and this version reads up to format {FORMAT}")]
    Newer {
        /// The folder.
        path: String,
        /// Its format.
        found: u32,
        /// The oldest version that reads it, as that folder says.
        needs: String,
    },
    /// The drive is full.
    #[error("no space is left for the state folder {path}: {doing}")]
    Full {
        /// The folder.
        path: String,
        /// What was being done.
        doing: &'static str,
    },
    /// The folder can be read but not written.
    #[error("the state folder {path} cannot be written: {doing}")]
    ReadOnly {
        /// The folder.
        path: String,
        /// What was being done.
        doing: &'static str,
    },
    /// The operating system refused otherwise.
    #[error("the state folder {path} cannot be used: {doing}")]
    Io {
        /// The folder.
        path: String,
        /// What was being done.
        doing: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// Acknowledged entries of a run are gone.
    #[error(
        "the journal of run `{run}` in {path} ends with entry {last}, but entry {acknowledged} was acknowledged: \
         entries are lost"
    )]
    BehindHead {
        /// The folder.
        path: String,
        /// The run.
        run: String,
        /// The last good entry; 0: none is left.
        last: u64,
        /// The last entry that was acknowledged, as the file `HEAD` says.
        acknowledged: u64,
    },
    /// Something else that was acknowledged beside the entries of a run (its row, a resolution) is gone.
    #[error(
        "what was last recorded for run `{run}` in {path} is lost; its journal is whole up to entry {last}"
    )]
    BehindCommit {
        /// The folder.
        path: String,
        /// The run.
        run: String,
        /// The last good entry.
        last: u64,
    },
    /// There are runs, but nothing says how far they went.
    #[error("the file {path}/HEAD {what}, so it cannot be told whether the journal is complete")]
    HeadLost {
        /// The folder.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// A part of the store cannot be right.
    #[error("the state folder {path} is damaged: {what}")]
    Damaged {
        /// The folder.
        path: String,
        /// The place, and what is wrong there.
        what: String,
    },
    /// An earlier write of this opening failed, so nothing is known of what followed.
    #[error("an earlier write to the state folder {path} failed")]
    Failed {
        /// The folder.
        path: String,
    },
    /// The memory store's fuse blew.
    #[error("the fuse blew before batch {batch}")]
    Fuse {
        /// Counted from 1, over this opening.
        batch: u64,
    },
}

impl StoreError {
    /// What to type next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Locked { .. } => {
                "wait until the other command ends, or use another folder with `--state DIR`".to_owned()
            }
            Self::UnknownRun { .. } => "see the runs with `runbook list`".to_owned(),
            Self::RunExists { run } => format!("go on with it with `runbook resume {run}`"),
            Self::NotAStore { .. } => "name a new or empty folder with `--state DIR`".to_owned(),
            Self::Newer { needs, .. } => {
                format!("use runbook {needs} or newer for it, or another folder with `--state DIR`")
            }
            Self::Full { path, .. } => {
                format!(
                    "nothing acknowledged is lost: make room on the drive of {path}, then `runbook resume`"
                )
            }
            Self::ReadOnly { path, .. } => {
                format!(
                    "make it writable with `chmod -R u+rwX {path}` (or remount its drive), then `runbook resume`"
                )
            }
            Self::Io { source, .. } if matches!(source.raw_os_error(), Some(EMFILE | ENFILE)) => {
                "let this process open more files with `ulimit -n 4096`, then `runbook resume`".to_owned()
            }
            Self::Io { path, .. } => {
                format!(
                    "look at it with `ls -la {path}` and at the drive with `dmesg`, then `runbook resume`"
                )
            }
            Self::BehindHead { path, .. } | Self::BehindCommit { path, .. } | Self::Damaged { path, .. } => {
                put_back(path)
            }
            Self::HeadLost { path, .. } => {
                format!("put {path}/HEAD back from a backup, then `runbook resume`; {}", start_anew(path))
            }
            Self::Failed { .. } => "end this process, then `runbook resume`".to_owned(),
            Self::Fuse { .. } => "open the store again".to_owned(),
        }
    }

    /// The process's exit code for it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::UnknownRun { .. } => 2,
            _ => 20,
        }
    }

    /// Says what was being done when the system refused.
    pub(crate) fn io(path: &str, doing: &'static str, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::Full { path, doing }
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::ReadOnly { path, doing }
            }
            _ => Self::Io { path, doing, source },
        }
    }
}

fn put_back(path: &str) -> String {
    format!("put {path} back from a backup, then `runbook resume`; {}", start_anew(path))
}

fn start_anew(path: &str) -> String {
    format!(
        "without one, keep it aside with `mv {path} {path}.damaged`, see what the machines run, and plan anew"
    )
}
