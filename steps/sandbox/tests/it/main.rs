//! The sandbox on the wire, asked by hand.

mod alarms;
mod commands;
mod control;
mod faults;
mod pages;
mod proxy;
mod refusals;
mod restart;
mod rig;
