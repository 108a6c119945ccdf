//! A fleet that moves while it is patched.

use super::ONE;
use crate::sandbox::shown::{BACKED_UP, Shown};

/// What is done to a machine that goes away while its patches are installed.
const BEGUN: [(&str, usize); 2] = [("ec2:CreateSnapshots", 1), ("ssm:SendCommand", 1)];

// The third wave of production is backed up from 22:23 and patched from 22:29, 389 minutes after the beginning.

#[test]
fn a_machine_is_gone_before_its_wave() {
    Shown::with("  - { kind: missing, targets: [production/11], after: 6h }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "failed", "the machine is gone", &[]);
}

#[test]
fn a_machine_has_another_image() {
    Shown::with("  - { kind: replaced, targets: [production/11], after: 6h }")
        .ends(0, "succeeded", &[ONE])
        .machine(
            ONE,
            "failed",
            "its image is ami-00000000000000002, the plan has ami-00000000000000001",
            &[],
        );
}

#[test]
fn a_machine_goes_away_while_it_is_backed_up() {
    Shown::with("  - { kind: missing, targets: [production/11], after: 385m }")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "failed", "EC2 does not know the machine, so it was not changed", &BACKED_UP);
}

#[test]
fn a_machine_goes_away_while_it_is_patched() {
    // Nobody can bring it back to its snapshots: a person is needed.
    Shown::with("  - { kind: missing, targets: [production/11], after: 390m }")
        .ends(11, "stuck", &[ONE])
        .machine(ONE, "restore_failed", "EC2 does not know the instance: it was terminated", &BEGUN);
}

#[test]
fn machines_that_cannot_come_back_are_refused_with_the_reason() {
    for (like, why) in [
        ("auto_scaling_group: web", "the Auto Scaling group web would replace it while it restarts"),
        ("root_device: instance-store", "its root is an instance store volume, which cannot be brought back"),
        ("spot: true", "a spot instance may not come back after a stop"),
        ("hibernates: true", "hibernation is configured, and its snapshots are none that it starts from"),
    ] {
        let told = Shown::refused(like);
        assert!(told.contains(why), "`{like}`: {told}");
    }
}
