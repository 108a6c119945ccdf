//! Nothing is left of them.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use runbook_test_hosts::Estate;

#[test]
fn nothing_is_left_after_the_handle() {
    let estate = Estate::new("end");
    let folder = estate.folder().to_owned();
    let host = estate.debian("web1");
    let address = host.address().to_owned();
    host.run("setsid sleep 1000 >/dev/null 2>&1 &");
    assert!(lives(&folder) && linked(&address));
    drop((host, estate));
    assert!(!lives(&folder) && !folder.exists());
    // The kernel takes the link away a moment after the last process.
    until(|| !linked(&address));
}

#[test]
fn nothing_is_left_of_a_test_that_was_killed() {
    let mut test = Command::new(env!("CARGO_BIN_EXE_runbook-test-hosts"))
        .args(["web1", "web2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    // A line for each host, then how to reach them: only as many are read, since it goes on until it is killed.
    let lines = BufReader::new(test.stdout.take().expect("its output")).lines();
    let lines: Vec<_> = lines.take(3).map(|line| line.expect("text")).collect();
    let word = |line: &str, before: &str| {
        let (_, rest) = line.split_once(before).unwrap_or_else(|| panic!("no `{before}` in {lines:?}"));
        rest.split(' ').next().unwrap_or_default().to_owned()
    };
    let address = word(&lines[0], "web1 ansible_host=");
    let config = word(&lines[2], "# ssh -F ");
    let folder = Path::new(&config).parent().expect("the folder of the estate").to_owned();
    assert!(lives(&folder) && linked(&address));

    test.kill().expect("it is killed");
    test.wait().expect("it is dead");
    until(|| !lives(&folder) && !linked(&address));
    fs::remove_dir_all(folder).expect("what a killed test leaves: a folder in /tmp");
}

/// Whether any process sees a mount of this estate: each of its hosts' processes does.
fn lives(folder: &Path) -> bool {
    let folder = folder.display().to_string();
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    processes
        .filter_map(|process| fs::read_to_string(process.path().join("mountinfo")).ok())
        .any(|mounts| mounts.contains(&folder))
}

/// Whether this machine has a way to the address that is not the one to everywhere.
fn linked(address: &str) -> bool {
    let output = Command::new("ip").args(["route", "get", address]).output().expect("ip starts");
    String::from_utf8_lossy(&output.stdout).contains(" dev rbhost")
}

fn until(condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "something is left");
        thread::sleep(Duration::from_millis(10));
    }
}
