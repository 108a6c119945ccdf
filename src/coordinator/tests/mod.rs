//! The coordinator on the simulated world and the memory store.

mod batches;
mod fleets;
mod gate;
mod in_turn;
mod kept;
mod patchset;
mod person;
mod refusals;
pub(crate) mod rig;
