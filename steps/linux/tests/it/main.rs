//! The adapter to hosts of our own, against real tools and over real connections: OpenSSH's own server on this machine's
//! loopback address.

mod calls;
mod connection;
mod cuts;
mod estate;
mod families;
mod jobs;
mod logs;
mod packages;
mod proxy;
mod snapshots;
mod sshd;
mod sudo;
