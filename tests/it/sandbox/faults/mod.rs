//! `runbooks/patch-linux.yaml` through the SDK on sixty machines: without faults, and with everything that AWS is known
//! to do, one at a time. Exit code, outcomes, budget, the cause that a person reads, and what was called.

mod backups;
mod commands;
mod lost;
mod machines;
mod patches;
mod refused;
mod restores;
mod snapshots;

use super::shown::Shown;

/// Production may lose one machine: the eleventh is in its third wave.
const ONE: (&str, usize) = ("production", 11);

#[test]
fn none() {
    let shown = Shown::with("");
    shown.ends(0, "succeeded", &[]).count("succeeded", 60);
}
