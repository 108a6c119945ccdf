//! Expectations: what must hold of a runbook in simulated worlds, and whether it does.
//!
//! A case of a test file ([`runbook_engine::document::expectation`]) becomes [`Check`]s when its plan is there
//! ([`resolve`]): every name in it means something then, or the case is refused. [`Check::unmet`] says what came instead of
//! what was expected in one rehearsed world.

mod check;
mod facts;
mod named;
mod resolving;
mod trying;

pub use self::{
    check::{Check, Unmet},
    facts::Facts,
    resolving::resolve,
    trying::{Case, Failure, Tried, try_all},
};
