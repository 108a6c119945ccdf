//! Actions on hosts of our own, through the port to Linux.

pub mod backup;
mod boot;
mod choice;
pub mod compliance;
mod course;
pub mod file;
pub mod forbidden;
mod glob;
mod host;
mod job;
pub mod kept;
mod kernel;
mod log;
mod manifest;
mod past;
pub mod patch;
mod permission;
pub mod policy;
pub mod reboot;
pub mod restore;
pub mod script;
pub mod service;
mod stages;
