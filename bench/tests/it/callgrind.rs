//! Instructions of functions, as valgrind's callgrind counts them.

use std::{collections::BTreeMap, path::Path, process::Command};

/// Runs a program under callgrind: the instructions of each function of its module `measured` that is called once, with
/// all that it calls.
pub fn count(program: &str) -> BTreeMap<String, u64> {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("callgrind.out");
    let run = Command::new("valgrind")
        .arg("--tool=callgrind")
        .args(["--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .output()
        .expect("valgrind, which bench/install.sh installs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    read(&out)
}

/// A call is three lines: `cfn=FUNCTION`, `calls=COUNT …`, and `LINE INSTRUCTIONS`.
fn read(out: &Path) -> BTreeMap<String, u64> {
    let text = std::fs::read_to_string(out).expect("what callgrind wrote");
    let mut counts = BTreeMap::new();
    let mut called = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(function) = line.strip_prefix("cfn=") {
            called = function.split("runbook_counts::measured::").nth(1).map(plain);
        } else if line.starts_with("calls=") {
            let spent = lines.next().and_then(|line| line.split(' ').nth(1)?.parse::<u64>().ok());
            if let Some(name) = called.take() {
                *counts.entry(name).or_default() += spent.expect("what the call cost");
            }
        }
    }
    counts
}

/// The function's own name, without the compiler's additions.
fn plain(name: &str) -> String {
    name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}
