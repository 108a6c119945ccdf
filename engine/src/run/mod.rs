//! One execution of a plan: facts in ([`event::Event`]), intentions out ([`command::Command`]).

pub mod command;
pub mod event;
