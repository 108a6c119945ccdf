//! Actions on EC2 machines, through Systems Manager and EC2.

pub mod command;
pub mod compliance;
pub mod patch;
pub mod reboot;
pub mod restore;
pub mod snapshot;
