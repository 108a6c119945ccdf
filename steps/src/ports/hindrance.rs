//! Why a port of this machine could not do what it was asked for, and whether this machine is to blame.

use std::{fmt, io};

use rustix::io::Errno;

/// What lies with the machine that asks, whatever was asked for: it is out of processes, threads, memory, buffers or
/// descriptors, its drive fails, or must not be written.
const OURS: [Errno; 7] =
    [Errno::AGAIN, Errno::NOMEM, Errno::NOBUFS, Errno::MFILE, Errno::NFILE, Errno::IO, Errno::ROFS];

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hindrance {
    /// One lower-case phrase.
    pub why: String,
    /// The machine that runs us is the trouble (no room, no descriptors, a drive that fails), which says nothing of the
    /// machine that it was for: nobody counts that one as failed.
    pub ours: bool,
}

impl Hindrance {
    /// This machine's own trouble.
    pub fn ours(why: impl Into<String>) -> Self {
        Self { why: why.into(), ours: true }
    }

    /// The same, with other words before it.
    #[must_use]
    pub fn after(self, words: &str) -> Self {
        Self { why: format!("{words}: {}", self.why), ..self }
    }
}

impl From<String> for Hindrance {
    fn from(why: String) -> Self {
        Self { why, ours: false }
    }
}

impl From<&str> for Hindrance {
    fn from(why: &str) -> Self {
        why.to_owned().into()
    }
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// Whether an error of the system lies with this machine, and with nothing that it was asked about.
pub fn is_ours(error: &io::Error) -> bool {
    let full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    full || error.raw_os_error().is_some_and(|number| OURS.iter().any(|each| each.raw_os_error() == number))
}
