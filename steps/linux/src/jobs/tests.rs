use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{STATE, SUPERVISOR};
use crate::Places;

/// What the supervisor of a job says that writes `ran`, given this on standard input and until this uptime.
fn said(home: &TempDir, sent: &str, until: &str) -> String {
    let places = Places { state: home.path().display().to_string(), ..Places::default() };
    let script = format!("{}{STATE}{SUPERVISOR}", places.assignments(true));
    let mut supervisor = Command::new("/bin/sh")
        .args(["-c", &script, "rb", &places.state, "t1", "7k2m", "script", "no", until, "", ""])
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
