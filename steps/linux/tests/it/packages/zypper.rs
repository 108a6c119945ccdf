//! What holds for zypper only: 1.14 with rpm 4.18, as Debian 12 has them.

use std::{
    io::{BufRead, BufReader, Write},
    process::Stdio,
};

use runbook_steps::ports::linux::Verdict;

use super::family::{FIRST, Family, wanted};

/// A zypper that waits for its next command holds its lock.
#[test]
fn a_held_lock_of_its_own_is_told() {
    let scratch = Family::zypper().scratch();
    let order = wanted(&["other=1:1.2-1"]);
    let mut other = scratch
        .command("exec zypper -n shell")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("nsenter starts");
    let mut stdin = other.stdin.take().expect("its input");
    stdin.write_all(b"repos\n").expect("a command");
    let mut said = BufReader::new(other.stdout.take().expect("its output")).lines();
    said.find(|line| line.as_ref().is_ok_and(|line| line.contains("base"))).expect("it works").expect("text");
    let (verdict, cause) = scratch.install(&order);
    assert_eq!(verdict, Verdict::Locked, "{cause}");
    assert!(cause.starts_with("system management is locked by the application with pid"), "{cause}");
    assert_eq!(scratch.installed(), FIRST);
    drop(stdin);
    other.wait().expect("it ends");
    assert_eq!(scratch.install(&order), (Verdict::Done, String::new()));
}
