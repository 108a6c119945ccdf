//! What runs made that costs money until it is deleted: the ledger of it, what AWS holds with our tags, and the
//! collection of what no run needs any more.
//!
//! The ledger is in the store ([`runbook_state::artifact`]); [`books`] reads it together with what says which runs still
//! need theirs. [`held`] asks AWS, [`snapshots`] knows how hosts made theirs. [`orphan`] compares the two, [`collect`]
//! deletes. The command line calls [`session`].

pub mod books;
pub mod collect;
mod delete;
pub mod held;
mod host;
pub mod orphan;
pub mod price;
pub mod session;
pub mod snapshots;
#[cfg(test)]
mod tests;
