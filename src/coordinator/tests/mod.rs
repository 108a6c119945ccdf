//! The coordinator on the simulated world and the memory store.

mod fleets;
mod rig;
