//! The planner.

mod branches;
mod catalog;
mod choosing;
mod drawing;
mod example;
mod fleet;
mod frozen;
mod hosts;
mod inputs;
mod laws;
mod naming;
mod waves;
mod way_back;
mod windows;
