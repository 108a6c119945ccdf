//! What runs on hosts runs once, whatever happens to us, to the network, or to them.

use runbook_test_hosts::{Estate, Family, Host};

use super::runbook;
use crate::program::Place;

/// A script that says when it begins and ends, and ends when it may.
const WAITS: &str = r#"  change:
    uses: linux/script
    targets: hosts
    effect: changes
    way_back: none
    because: this shows that it runs once
    timeout: 5m
    with:
      script: |
        echo begun >>/var/lib/begun
        n=0
        while [ ! -e /var/lib/go ] && [ $n -lt 1200 ]; do sleep 0.1; n=$((n + 1)); done
        echo ended >>/var/lib/ended
"#;

/// All hosts have come to its middle.
fn has_begun(hosts: &[Host]) {
    for host in hosts {
        host.wait_until("has not begun", |host| host.exec("test -s /var/lib/begun").code == 0);
    }
}

#[track_caller]
fn ran_once(host: &Host) {
    assert_eq!(host.run("cat /var/lib/begun /var/lib/ended"), "begun\nended", "{}", host.name());
}

#[test]
fn every_family_runs_a_script_and_reboots() {
    let estate = Estate::new("families");
    let families = [("web1", Family::Debian), ("db1", Family::Dnf), ("app1", Family::Zypper)];
    let hosts = estate.start(families.map(|(name, family)| estate.recipe(family, name)));
    let before: Vec<_> = hosts.iter().map(Host::boot_id).collect();
    let place = Place::new();
    let steps = r#"  change:
    uses: linux/script
    targets: hosts
    effect: changes
    way_back: none
    because: this shows that it runs once
    timeout: 2m
    with: { script: "echo begun >>/var/lib/begun; echo ended >>/var/lib/ended" }
  reboot:
    needs: [change]
    uses: linux/reboot
    targets: hosts
    way_back: none
    because: a reboot cannot be taken back
  healthy:
    needs: [reboot]
    uses: check/http
    targets: hosts
    with: { url: "http://{{ target.private_ip }}:8480/healthz", within: 30s }
"#;
    let path = runbook(&place, &hosts, steps);
    place.run(&["run", &path.display().to_string()]).exits(0);
    for (host, before) in hosts.iter().zip(before) {
        ran_once(host);
        assert_ne!(host.boot_id(), before, "{} has rebooted", host.name());
    }
}

#[test]
fn killed_while_scripts_run_it_finds_them_again() {
    let estate = Estate::new("killed");
    let hosts = estate.start(["web1", "web2", "web3"].map(|name| estate.recipe(Family::Debian, name)));
    let place = Place::new();
    let path = runbook(&place, &hosts, WAITS);
    let mut child = place.start(&["run", &path.display().to_string()]);
    has_begun(&hosts);
    child.kill().expect("it is killed");
    child.wait().expect("it is dead");
    // One ends while nobody looks.
    hosts[0].run("touch /var/lib/go");
    hosts[0].wait_until("has not ended", |host| host.exec("test -s /var/lib/ended").code == 0);

    let resumed = place.start(&["resume"]);
    for host in &hosts[1..] {
        host.run("touch /var/lib/go");
    }
    let ended = resumed.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0));
    for host in &hosts {
        ran_once(host);
    }
}

#[test]
fn cut_off_in_the_middle_a_script_goes_on() {
    let estate = Estate::new("cut");
    let hosts = [estate.debian("web1")];
    let place = Place::new();
    let path = runbook(&place, &hosts, WAITS);
    let run = place.start(&["run", &path.display().to_string()]);
    has_begun(&hosts);
    hosts[0].cut_off();
    hosts[0].run("touch /var/lib/go");
    hosts[0].wait_until("has not ended", |host| host.exec("test -s /var/lib/ended").code == 0);
    hosts[0].reconnect();
    let ended = run.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0));
    ran_once(&hosts[0]);
}
