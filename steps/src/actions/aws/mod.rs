//! Actions on EC2 machines, through Systems Manager and EC2.

mod back;
pub mod backup;
mod beginning;
mod boot;
pub mod command;
pub mod compliance;
mod errand;
mod gathering;
pub mod kept;
mod making;
mod marks;
mod others;
mod outset;
mod overview;
pub mod patch;
mod patch_list;
mod patch_state;
mod patching;
mod patience;
pub mod readiness;
pub mod reboot;
mod relay;
pub mod restore;
mod rights;
mod script;
pub mod snapshot;
mod watching;
