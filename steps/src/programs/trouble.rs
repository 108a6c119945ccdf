//! Why something could not be done with a program, and whether this machine is what lacks.

use std::{
    io::{self, ErrorKind},
    time::Duration,
};

use crate::ports::hindrance::Hindrance;

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
    /// It lies with this machine, and with nothing of the program.
    pub(super) ours: bool,
}

impl Trouble {
    pub(super) fn of(why: impl Into<String>) -> Self {
        Self { why: why.into(), patience: None, ours: false }
    }

    /// The shell above a program gave up before it claimed it.
    pub(super) fn unclaimed() -> Self {
        let why =
            "its shell could not write down and sync that it runs: is there room, and does the drive work?";
        Self { why: why.to_owned(), patience: Some(FULL), ours: true }
    }
}

impl From<Trouble> for Hindrance {
    fn from(Trouble { why, ours, .. }: Trouble) -> Self {
        Self { why, ours }
    }
}

/// The system's answer about what we keep of a program ourselves, after what was being done.
pub(super) fn said(what: &'static str) -> impl Fn(io::Error) -> Trouble {
    move |error| Trouble { why: format!("{what} ({error})"), patience: patience(&error), ours: true }
}

/// The system's answer where a process was to be made of what the program consists of.
pub(super) fn refused(error: io::Error) -> Trouble {
    let of_the_program = matches!(error.kind(), ErrorKind::ArgumentListTooLong | ErrorKind::InvalidInput);
    Trouble { ours: !of_the_program, ..said("cannot start a process")(error) }
}

/// Whether the machine is short of something, now.
pub(super) fn is_passing(error: &io::Error) -> bool {
    patience(error).is_some()
}

fn patience(error: &io::Error) -> Option<Duration> {
    if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        return Some(FULL);
    }
    let number = error.raw_os_error()?;
    PASSING.iter().any(|each| each.raw_os_error() == number).then_some(BUSY)
}
