//! The pure core of `runbook`: reads documents, makes plans and decides what a run does next.
//!
//! Nothing here looks at a clock, a file, the environment or a random number: time is an argument, files come
//! through a [`loader::Loader`], actions are known through a [`catalog::Catalog`].

pub mod artifact;
pub mod catalog;
pub mod connection;
pub mod diagnostic;
pub mod document;
pub mod duration;
pub mod experience;
pub mod expression;
pub mod ids;
pub mod inventory;
pub mod laws;
pub mod loader;
pub mod outcome;
pub mod patchset;
pub mod plan;
pub mod run;
pub mod target;
