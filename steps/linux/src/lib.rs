//! Hosts of our own over OpenSSH: the real adapter of [`runbook_steps::ports::linux::Linux`].
//!
//! Nothing is installed on a host: everything is POSIX sh that comes over the connection, and a folder
//! `/var/lib/runbook` with what jobs leave.

pub mod facts;
pub mod packages;
pub mod shell;
pub mod snapshots;
