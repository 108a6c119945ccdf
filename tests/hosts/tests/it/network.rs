//! Addresses, and hosts that are cut off from them.

use std::process::Command;

use runbook_test_hosts::{Estate, Family};

#[test]
fn a_host_that_is_cut_off_is_silent_and_comes_back() {
    let estate = Estate::new("network");
    let host = estate.debian("web1");
    let boot_id = host.boot_id();

    host.cut_off();
    let (code, _, said) = ssh(&estate, &["-o", "ConnectTimeout=1", "web1", "true"]);
    assert_eq!(code, Some(255));
    assert!(said.contains("timed out"), "not silent: {said}");
    assert!(host.is_up());
    assert_eq!(host.run("hostname"), "web1");

    host.reconnect();
    assert_eq!(host.ssh("cat /proc/sys/kernel/random/boot_id").out.trim(), boot_id);
}

#[test]
fn hosts_on_the_loopback_device_have_addresses_of_their_own() {
    let estate = Estate::new("loopback");
    let hosts = estate.start(["a", "b"].map(|name| estate.recipe(Family::Debian, name).on_loopback()));
    assert_ne!(hosts[0].address(), hosts[1].address());
    for host in &hosts {
        assert!(host.address().starts_with("127."));
        assert_eq!(host.ssh("hostname").out.trim(), host.name());
        assert_eq!(host.http("/healthz").expect("an answer").0, 200);
    }
}

#[test]
fn another_host_key_is_noticed() {
    let estate = Estate::new("keys");
    let host = estate.debian("web1");
    assert_eq!(host.ssh("true").code, 0);
    host.change_host_key();
    let refused = host.ssh("true");
    assert_eq!(refused.code, 255);
    assert!(refused.err.contains("Host key verification failed"), "{}", refused.err);
}

#[test]
fn a_host_is_the_way_to_another() {
    let estate = Estate::new("jump");
    let hosts = estate.start(["jump", "inner"].map(|name| estate.recipe(Family::Debian, name)));
    let through = |timeout: &str| {
        let options = ["-o", timeout, "-J", "jump", "inner", "hostname; echo $SSH_CLIENT"];
        ssh(&estate, &options)
    };
    let (code, said, _) = through("ConnectTimeout=30");
    assert_eq!(code, Some(0));
    assert!(said.starts_with(&format!("inner\n{} ", hosts[0].address())), "{said}");
    hosts[0].cut_off();
    assert_eq!(through("ConnectTimeout=1").0, Some(255));
    hosts[0].reconnect();
    assert_eq!(through("ConnectTimeout=30").0, Some(0));
}

/// Status, output and errors of ssh with the configuration of the estate.
fn ssh(estate: &Estate, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new("ssh")
        .arg("-F")
        .arg(estate.ssh_config())
        .args(["-o", "BatchMode=yes"])
        .args(arguments)
        .output()
        .expect("ssh starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}
