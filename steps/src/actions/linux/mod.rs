//! Actions on hosts of our own, through the port to Linux.

mod boot;
mod host;
mod job;
pub mod reboot;
pub mod script;
