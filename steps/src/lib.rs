//! The actions, the ports through which they reach the outside world, and the simulated world behind the same ports.

pub mod action;
pub mod actions;
pub mod catalog;
pub mod context;
pub mod fanout;
pub mod guard;
pub mod playbooks;
pub mod ports;
mod program;
pub mod programs;
pub mod world;
