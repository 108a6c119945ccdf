//! The journal of runs: what was acknowledged is on the drive.
//!
//! [`store::RunStore`] is the contract. [`SledStore`] keeps it in a folder, [`MemoryStore`] in memory with a fuse
//! that makes it fail at a chosen batch, for tests and rehearsals. Both are the same [`journal::Journal`] over another
//! [`disk::Disk`]; [`mod@format`] documents what is written.

pub mod artifact;
mod canonical;
mod chain;
pub mod disk;
pub mod error;
pub mod format;
pub mod journal;
pub mod store;
mod words;

pub use disk::{memory::MemoryStore, sled::SledStore};
