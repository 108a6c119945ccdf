//! The coordinator, the control socket and the command line of `runbook`.

pub mod artifacts;
pub mod control;
pub mod coordinator;
pub mod inventory;
pub mod policy;
pub mod view;
pub mod world;
