use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{STATE, SUPERVISOR};
use crate::Places;

/// What the supervisor of a job says that writes `ran`, given this on standard input and until this uptime.
fn said(home: &TempDir, sent: &str, until: &str) -> String {
    let path = std::env::var("PATH").expect("a PATH");
    said_with(home, sent, until, &path)
}

/// The same with the programs of this PATH.
fn said_with(home: &TempDir, sent: &str, until: &str, path: &str) -> String {
    let places = Places { state: home.path().display().to_string(), ..Places::default() };
    let script = format!("{}{STATE}{SUPERVISOR}", places.assignments(true));
    let mut supervisor = Command::new("/bin/sh")
        .args(["-c", &script, "rb", &places.state, "t1", "7k2m", "script", "no", until, "", ""])
        .env("PATH", path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh runs");
    let mut stdin = supervisor.stdin.take().expect("its input");
    stdin.write_all(sent.as_bytes()).expect("it reads");
    drop(stdin);
    let output = supervisor.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn job(home: &TempDir) -> String {
    format!("echo x >>{}/ran\n# t1 over", home.path().display())
}

fn ran(home: &TempDir) -> String {
    fs::read_to_string(home.path().join("ran")).unwrap_or_default()
}

#[test]
fn a_start_that_comes_too_late_is_none() {
    let home = tempfile::tempdir().expect("a folder");
    assert_eq!(said(&home, &job(&home), "0"), "late\n");
    assert_eq!(ran(&home), "");
    assert!(!home.path().join("jobs/t1/claim").exists());
    // In time, under the same token, it is one.
    assert_eq!(said(&home, &job(&home), "-"), "started\n");
    assert_eq!(said(&home, &job(&home), "-"), "already\n");
    assert_eq!(ran(&home), "x\n");
}

#[test]
fn a_job_whose_claim_cannot_be_synced_is_not_begun() {
    let (home, programs) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    // As `sync` is on a drive that fails: of a file it says so, of everything it cannot.
    let sync = programs.path().join("sync");
    fs::write(&sync, "#!/bin/sh\n[ $# = 0 ] || exit 1\nexec /bin/sync\n").expect("a file");
    fs::set_permissions(&sync, fs::Permissions::from_mode(0o755)).expect("a mode");
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").expect("a PATH"));
    assert_eq!(said_with(&home, &job(&home), "-", &path), "unsynced\n");
    assert_eq!(ran(&home), "");
    assert!(!home.path().join("jobs/t1/claim").exists());
    // On a sound one, under the same token, it is.
    assert_eq!(said(&home, &job(&home), "-"), "started\n");
    assert_eq!(ran(&home), "x\n");
}

#[test]
fn a_job_that_was_cut_off_on_its_way_is_none() {
    let home = tempfile::tempdir().expect("a folder");
    let whole = job(&home);
    for length in [0, 5, whole.len() - 6, whole.len() - 1] {
        assert_eq!(said(&home, &whole[..length], "-"), "");
    }
    assert_eq!(ran(&home), "");
    assert!(!home.path().join("jobs").exists());
}

#[test]
fn a_job_that_was_forgotten_is_not_begun_by_a_start_on_its_way() {
    let home = tempfile::tempdir().expect("a folder");
    fs::create_dir(home.path().join("forgotten")).expect("a folder");
    fs::write(home.path().join("forgotten/t1"), "").expect("a file");
    assert_eq!(said(&home, &job(&home), "-"), "forgotten\n");
    assert_eq!(ran(&home), "");
    assert!(!home.path().join("jobs/t1/claim").exists());
}
