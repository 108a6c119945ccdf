//! Why something could not be done with a program, and whether this machine is what lacks.

use std::{io, time::Duration};

/// The numbers of the system's words for "not now": out of processes or threads, of memory, of descriptors in this
/// process and in all of them.
const PASSING: [rustix::io::Errno; 4] =
    [rustix::io::Errno::AGAIN, rustix::io::Errno::NOMEM, rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];

/// How long others may need to give back descriptors, processes or memory.
const BUSY: Duration = Duration::from_secs(20);

/// Room comes by itself only where something is being tidied up.
const FULL: Duration = Duration::from_secs(2);

/// A reason, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) why: String,
    /// This machine is short of something that others give back, which says nothing of the program: so long it is worth
    /// trying again.
    pub(super) patience: Option<Duration>,
}

impl Trouble {
    pub(super) fn of(why: impl Into<String>) -> Self {
        Self { why: why.into(), patience: None }
    }

    /// The shell above a program gave up before it claimed it.
    pub(super) fn unclaimed() -> Self {
        let why = "its shell could not write down that it runs: is there room, and may files be written?";
        Self { why: why.to_owned(), patience: Some(FULL) }
    }
}

/// The system's answer, after what was being done.
pub(super) fn said(what: &'static str) -> impl Fn(io::Error) -> Trouble {
    move |error| Trouble { why: format!("{what} ({error})"), patience: patience(&error) }
}

/// Whether the machine is short of something, now.
pub(super) fn is_passing(error: &io::Error) -> bool {
    patience(error).is_some()
}

fn patience(error: &io::Error) -> Option<Duration> {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return Some(FULL);
    }
    let number = error.raw_os_error()?;
    PASSING.iter().any(|each| each.raw_os_error() == number).then_some(BUSY)
}
