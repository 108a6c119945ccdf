//! Actions through the life of an attempt: started, crashed at every point, resumed.

mod ansible;
mod aws;
mod catalog;
mod checks;
mod checks_from_host;
mod contract;
mod fan_out;
mod linux;
mod local_command;
mod own_machine;
mod simulated;
mod webhook;
