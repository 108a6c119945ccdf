//! The adapter to hosts of our own, against real tools.

mod packages;
mod snapshots;
