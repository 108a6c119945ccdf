//! Actions on the machine that runs `runbook`.

pub mod command;
