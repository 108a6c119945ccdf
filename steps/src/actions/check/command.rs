//! `check/command`: a script on this machine exits as expected.

use runbook_engine::catalog::{ActionDoc, InputDoc, InputKind};

/// Its documentation.
pub fn doc() -> ActionDoc {
    super::doc(
        "check/command",
        "Runs a script on this machine until it exits as expected, and then watches that it stays so.",
        vec![
            InputDoc::required(
                "script",
                InputKind::Script,
                "What `sh` runs, again and again: it must not change anything. It finds the machine in RUNBOOK_TARGET_ID, \
                 RUNBOOK_TARGET_NAME and RUNBOOK_TARGET_IP.",
            ),
            InputDoc::defaulting("expect_exit", InputKind::Integer, 0, "The exit code of a healthy machine."),
        ],
    )
}
