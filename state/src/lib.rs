//! The journal of runs: what was acknowledged is on the disk.

pub mod store;
