//! A holder of the store that does not answer.

use std::{fs, os::unix::net::UnixStream};

use rustix::net::sockopt::socket_peercred;

/// A process that holds a store and does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilentHolder {
    /// Its number.
    pub pid: i32,
    /// It was stopped: by Ctrl-Z, or by SIGSTOP.
    pub stopped: bool,
}

impl SilentHolder {
    /// Whoever listens at the other end; none where the system does not say.
    pub(super) fn behind(stream: &UnixStream) -> Option<Self> {
        let pid = socket_peercred(stream).ok()?.pid.as_raw_nonzero().get();
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in brackets and may hold anything.
        let state = stat.rsplit_once(')')?.1.trim_start().chars().next()?;
        Some(Self { pid, stopped: matches!(state, 'T' | 't') })
    }
}
