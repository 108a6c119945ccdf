//! `runbook sandbox` as boto3 and the AWS CLI see it: the scripts in `tests/sandbox`, which are made of nothing of ours.
//! Its time stands still unless they move it, so that nothing waits.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use runbook_test_servers::script;
use serde_json::Value;

use crate::program::{Place, root};

/// A running sandbox; it ends with its handle.
struct Sandbox(Child);

impl Sandbox {
    /// On a free port; and where it listens.
    fn start(place: &Place) -> (Self, String) {
        let arguments = [
            "sandbox",
            "--json",
            "--fleet",
            "tests/sandbox/fleet.yaml",
            "--listen",
            "127.0.0.1:0",
            "--speed",
            "0",
        ];
        let mut child = place.command(&arguments).stdout(Stdio::piped()).spawn().expect("the sandbox starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let sandbox = Self(child);
        let said: Value = serde_json::from_str(&line).expect("where it listens");
        (sandbox, said["endpoint"].as_str().expect("an endpoint").to_owned())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn boto3_and_the_aws_cli_find_what_they_expect() {
    let place = Place::new();
    let (_sandbox, endpoint) = Sandbox::start(&place);
    let printed = script(&root().join("tests/sandbox/main.py"), &[("SANDBOX", &endpoint)]);
    println!("{printed}");
    let summary = printed.lines().find_map(|line| line.strip_prefix("summary ")).expect("a summary");
    let summary: Value = serde_json::from_str(summary).expect("JSON");
    let count = |key: &str| summary[key].as_array().expect("a list").len();
    assert_eq!(count("failed"), 0, "{printed}");
    let cases = summary["cases"].as_u64().expect("a number");
    println!("{} operations and {} command lines in {cases} cases", count("operations"), count("commands"));
    assert!(count("operations") >= 60 && count("commands") >= 12, "{summary}");
}
