//! Snapshots and backups: restic, btrfs and snapper for real, on a file system in a file; LVM and libvirt with stand-ins
//! that write down what they are asked (no device mapper and no hypervisor can be had in a test).

mod btrfs;
mod hindered;
mod restic;
mod stand_ins;

use std::{
    io::Write,
    process::{Command, Stdio},
};

use runbook_linux::packages::Printed;
use runbook_steps::ports::linux::{Capture, Revert, Verdict};
use serde_json::{Map, Value};

/// Options from a JSON object.
fn options(value: Value) -> std::collections::BTreeMap<String, Value> {
    match value {
        Value::Object(map) => map.into_iter().collect(),
        _ => Map::new().into_iter().collect(),
    }
}

fn to_capture(method: &str, token: &str, given: Value) -> Capture {
    Capture {
        method: method.to_owned(),
        token: token.to_owned(),
        description: "runbook r1 dev/wave-1/backup".to_owned(),
        until: None,
        options: options(given),
        secrets: options(Value::Null).into_keys().map(|key| (key.clone(), key)).collect(),
    }
}

fn to_revert(method: &str, token: &str, captured: &Value, given: Value) -> Revert {
    Revert {
        method: method.to_owned(),
        token: token.to_owned(),
        captured: captured.clone(),
        options: options(given),
        secrets: to_capture(method, token, Value::Null).secrets,
    }
}

/// Tokens are as long as real ones: names are made of their beginnings.
const TOKEN: &str = "0f9e8d7c-0000-5000-8000-000000000000";

/// The script of a job that goes back, by the token of the job.
fn revert(asked: &Revert, job: u8) -> String {
    let job = format!("{job:08}-1111-5000-8000-000000000000");
    runbook_linux::snapshots::revert(asked, "r1", &job).expect("known")
}

/// Runs a script in a mount namespace of its own, with `before` (sh) run first in it.
fn run(script: &str, before: &str, env: &[(&str, &str)]) -> (Verdict, String, Value, Printed) {
    let mut child = Command::new("unshare")
        .args(["--mount", "sh", "-c", &format!("{before}\nexec sh -s")])
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare runs: these tests need root");
    child.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let printed = Printed {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    let (verdict, cause, told) = runbook_linux::snapshots::judge(&printed);
    (verdict, cause, told, printed)
}

/// What it told, of a script that worked.
fn done(script: &str, before: &str, env: &[(&str, &str)]) -> Value {
    let (verdict, cause, told, printed) = run(script, before, env);
    assert_eq!(verdict, Verdict::Done, "{cause}\n{}\n{}", printed.stdout, printed.stderr);
    told
}

#[test]
fn a_method_that_there_is_not_is_refused_before_anything_is_run() {
    let refused = runbook_linux::snapshots::capture(&to_capture("timeshift", "t", Value::Null), "r1");
    assert_eq!(refused, Err("`timeshift` is no way to bring a host back".to_owned()));
}
