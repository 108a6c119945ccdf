//! End to end: what a user sees.

mod ansible;
mod arrows;
mod artifacts;
#[cfg(feature = "aws")]
mod aws_command;
mod book;
#[cfg(feature = "aws")]
mod bursts;
mod by_hand;
mod check;
mod command_line;
mod deploy_local;
mod durations;
mod expectations;
mod holder;
mod host_logs;
mod iam_policy;
mod inventory;
mod json_shapes;
mod killed;
mod linux;
mod linux_runbooks;
#[cfg(feature = "aws")]
mod moto;
mod mutants;
mod own_machine;
mod people;
mod program;
mod reference;
mod rehearse;
#[cfg(feature = "aws")]
mod sandbox;
mod sandbox_clients;
mod secrets;
