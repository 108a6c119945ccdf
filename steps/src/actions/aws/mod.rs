//! Actions on EC2 machines, through Systems Manager and EC2.

pub mod command;
pub mod compliance;
mod errand;
pub mod kept;
pub mod patch;
mod patience;
pub mod reboot;
mod relay;
mod remote;
pub mod restore;
mod script;
pub mod snapshot;
