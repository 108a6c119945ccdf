//! Actions on EC2 machines, through Systems Manager and EC2.

mod back;
mod boot;
pub mod command;
pub mod compliance;
mod errand;
pub mod kept;
mod making;
mod marks;
pub mod patch;
mod patience;
pub mod reboot;
mod relay;
mod remote;
pub mod restore;
mod script;
pub mod snapshot;
