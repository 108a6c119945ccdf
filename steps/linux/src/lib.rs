//! Hosts of our own over OpenSSH: the real adapter of [`runbook_steps::ports::linux::Linux`].
//!
//! Nothing is installed on a host: everything is POSIX sh that comes over the connection, and a folder
//! `/var/lib/runbook` with what jobs leave.
//!
//! The connection is the user's own OpenSSH, driven by the crate `openssh`: whatever lets `ssh HOST` work (the ssh
//! configuration, the agent, jump hosts, known hosts, keys in hardware, Kerberos) works here too, is maintained by
//! whoever maintains it now, and is audited where it is audited now. An implementation of the protocol of our own
//! process would have to learn each of these again. The crate speaks the protocol of ssh's control socket, so that a
//! connected host costs one `ssh` process here, and a command on it costs none.

pub mod facts;
mod hosts;
mod jobs;
mod log;
mod look;
mod managing;
pub mod packages;
mod places;
mod service;
pub mod shell;
pub mod snapshots;
mod ssh;
pub mod told;

pub use hosts::Hosts;
pub use places::Places;
