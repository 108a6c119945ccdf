//! Snapshots that take long, or end badly.

use super::ONE;
use crate::sandbox::shown::{BACKED_UP, Shown};

#[test]
fn snapshots_stay_pending() {
    Shown::with("  - { kind: snapshot_slow, targets: [production/11], after: 2h }").ends(0, "succeeded", &[]);
}

#[test]
fn a_snapshot_ends_in_error() {
    Shown::with("  - { kind: snapshot_error, targets: [production/11] }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "failed", "snapshot", &BACKED_UP);
}
