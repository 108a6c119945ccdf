//! On real hosts of their own (`tests/hosts`), with real package managers.

mod barred;
mod database;
mod fleet;
mod gathering;
mod interrupted;
mod jobs;
mod killed;
mod large;
mod output;
mod rollout;
mod stages;
mod trouble;
mod updates;

use std::path::PathBuf;

use runbook_test_hosts::Host;

use crate::program::Place;

/// A runbook for these hosts, in the group `hosts`, with these steps (two spaces in front).
fn runbook(place: &Place, hosts: &[Host], steps: &str) -> PathBuf {
    let entries: String = hosts.iter().map(|host| format!("      {}\n", host.entry())).collect();
    place.write(
        "runbook.yaml",
        &format!("runbook: hosts\ntargets:\n  hosts:\n    hosts:\n{entries}steps:\n{steps}"),
    )
}
