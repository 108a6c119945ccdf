//! The planner.

mod catalog;
mod example;
mod fleet;
