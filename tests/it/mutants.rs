//! The planted faults of `make mutants` fit the code as it is now.

use std::process::Command;

use crate::program::root;

#[test]
fn every_planted_fault_still_applies() {
    let said =
        Command::new(root().join("tests/mutants/run.py")).arg("--check").output().expect("Python runs");
    assert!(said.status.success(), "plant it anew: {}", String::from_utf8_lossy(&said.stderr));
}
