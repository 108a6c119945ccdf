//! Patch states, and machines that are sick with their patches.

use super::ONE;
use crate::sandbox::shown::{REPLACED, SWAPPED, Shown};

#[test]
fn somebody_else_patches_at_the_same_time() {
    // The run reaches production at 22:00 in Berlin, five hours after the world began.
    let shown = Shown::with("  - { kind: foreign_patching, targets: [dev/1], after: 30s }");
    shown.ends(0, "succeeded", &[]);
}

#[test]
fn a_machine_is_sick_after_its_patches() {
    Shown::with("  - { kind: unhealthy_after_patch, targets: [production/11] }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "restored", "", &REPLACED);
}

#[test]
fn a_machine_with_two_volumes_is_sick() {
    let one = ("production-data", 5);
    Shown::with("  - { kind: unhealthy_after_patch, targets: [production-data/5] }")
        .ends(0, "succeeded", &[one])
        .machine(one, "restored", "", &SWAPPED);
}
