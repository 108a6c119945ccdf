//! AWS Backup in place of snapshots: jobs that wait, expire or have issues, and machines that come back as new ones.

use super::ONE;
use crate::sandbox::shown::Shown;

/// What is done to a machine that is backed up and never patched.
const BACKED_UP: [(&str, usize); 1] = [("backup:StartBackupJob", 1)];

/// What is done to a machine that comes back as a new one.
const REBUILT: [(&str, usize); 3] =
    [("backup:StartBackupJob", 1), ("backup:StartRestoreJob", 1), ("ssm:SendCommand", 2)];

const SICK: &str = "  - { kind: unhealthy_after_patch, targets: [production/11] }";

#[test]
fn a_job_waits_for_most_of_its_window() {
    Shown::with_aws_backup("  - { kind: backup_late, targets: [production/11], after: 50m }", "").ends(
        0,
        "succeeded",
        &[],
    );
}

#[test]
fn a_job_expires() {
    Shown::with_aws_backup("  - { kind: backup_late, targets: [production/11], after: 2h }", "")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "failed", "within its start window, which ended 2026-11-2", &BACKED_UP);
}

#[test]
fn a_job_fails() {
    Shown::with_aws_backup(
        "  - { kind: backup_failed, targets: [production/11], output: 'the role may not create images' }",
        "",
    )
    .ends(0, "succeeded", &[ONE])
    .machine(ONE, "failed", "is failed: the role may not create images", &BACKED_UP);
}

#[test]
fn a_job_is_complete_with_issues() {
    Shown::with_aws_backup("  - { kind: backup_issues, targets: [production/11] }", "")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "failed", "completed with issues (INVALIDPARAMETERS)", &BACKED_UP);
}

#[test]
fn the_lock_of_the_vault_does_not_fit() {
    let vaults = "vaults: [{ name: Default, locked: true, min_retention_days: 30 }]";
    let dev = [("dev", 1), ("dev", 2)];
    let shown = Shown::with_aws_backup("", vaults);
    shown.ends(10, "failed", &dev);
    for one in dev {
        shown.machine(
            one,
            "failed",
            "the vault `Default` keeps for 30 days at least, and `keep` says 14",
            &[],
        );
    }
}

#[test]
fn the_answers_of_aws_backup_are_lost() {
    let faults = r#"
  - { kind: answer_lost, call: "backup:StartBackupJob", times: 3 }
  - { kind: answer_lost, call: "backup:StartRestoreJob", times: 1 }"#;
    Shown::with_aws_backup(&format!("{SICK}{faults}"), "")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "restored", "503", &REBUILT);
}

#[test]
fn a_machine_comes_back_as_a_new_one_and_that_one_is_asked() {
    // The old machine is left as it is and stays sick: only the new one can be well.
    Shown::with_aws_backup(SICK, "")
        .ends(0, "succeeded", &[ONE])
        .machine(ONE, "restored", "503", &REBUILT)
        .tells(") now, and the old instance is left as it is");
}

#[test]
fn a_new_machine_is_sick_all_the_same() {
    let faults = format!("{SICK}\n  - {{ kind: sick_after_restore, targets: [production/11] }}");
    Shown::with_aws_backup(&faults, "").ends(11, "stuck", &[ONE]).machine(
        ONE,
        "restore_failed",
        "verify/healthy failed",
        &REBUILT,
    );
}

#[test]
fn a_restore_job_fails() {
    let faults = format!(
        "{SICK}\n  - {{ kind: restore_failed, targets: [production/11], output: 'no free address' }}"
    );
    Shown::with_aws_backup(&faults, "").ends(11, "stuck", &[ONE]).machine(
        ONE,
        "restore_failed",
        "failed: no free address",
        &REBUILT,
    );
}

#[test]
fn a_machine_that_is_terminated_comes_back_as_a_new_one() {
    // As an Auto Scaling group does it in the middle of the third wave.
    Shown::with_aws_backup("  - { kind: missing, targets: [production/11], after: 430m }", "")
        .ends(0, "succeeded", &[ONE])
        .outcome(ONE, "restored")
        .tells("EC2 does not show the instance, not back by 2026-11-2");
}
