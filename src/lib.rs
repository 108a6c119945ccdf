//! The coordinator, the control socket and the command line of `runbook`.

pub mod artifacts;
pub mod control;
pub mod coordinator;
pub mod expectation;
pub mod inventory;
pub mod policy;
pub mod rehearsal;
pub mod view;
pub mod world;
