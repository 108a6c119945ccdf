//! Connections: one OpenSSH master process for each connected host, and scripts over its control socket.
//!
//! A *call* is a script that is sent over standard input, never as an argument, and that runs in a session of its own
//! on the host, for a time that the host itself watches. Its end is told by a line with a word that nobody can guess
//! and the exit code: `ssh`'s own exit code 255 may be the script's or `ssh`'s.
//!
//! Every step has a deadline of its own here: a host that falls silent is a [`Fault`](runbook_steps::ports::fault::Fault)
//! and never a wait without end.

mod access;
mod call;
mod folder;
mod heard;
mod master;
mod pool;
mod refusal;
mod room;

pub(crate) use access::Access;
pub(crate) use call::{Answer, Call, Rights};
pub(crate) use master::Master;
pub(crate) use pool::Pool;

use runbook_steps::ports::fault::{Fault, FaultKind};

/// A fault that no service gave a code to.
pub(crate) fn fault(call: &'static str, kind: FaultKind, message: impl Into<String>) -> Fault {
    Fault { call, kind, code: None, message: message.into() }
}
