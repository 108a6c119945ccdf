//! The coordinator on the simulated world and the memory store.

mod batches;
mod fleets;
mod refusals;
mod rig;
