//! Hosts of our own in the simulated world: their packages, and the jobs that run on them.

mod decision;
mod door;
mod fact;
mod job;
mod reach;
mod stock;

pub use self::stock::PackageEntry;
pub use self::stock::manager as package_manager;
pub(super) use self::{
    fact::HostFact,
    job::{Hosts, call},
    stock::{Stock, manager},
};
