//! Hosts that cannot be worked on: each ends in its named outcome.

use runbook_test_hosts::{Estate, Host};

use super::runbook;
use crate::program::{Done, Place};

const SCRIPT: &str = r#"  change:
    uses: linux/script
    targets: hosts
    effect: changes
    way_back: none
    because: this shows what happens when it cannot run
    timeout: 2m
    with: { as: root, script: "id -u >>/root/ran" }
"#;

const PATCH: &str = r#"  patch:
    uses: linux/patch
    targets: hosts
    way_back: none
    because: this shows what happens when it cannot be installed
    with: { select: all, reboot: NoReboot }
"#;

fn run(hosts: &[Host], steps: &str) -> (Place, Done) {
    let place = Place::new();
    let path = runbook(&place, hosts, steps);
    let done = place.run(&["run", &path.display().to_string()]);
    (place, done)
}

#[test]
fn another_host_key_stops_it_before_anything_runs() {
    let estate = Estate::new("key");
    let hosts = [estate.debian("web1")];
    hosts[0].change_host_key();
    let (place, done) = run(&hosts, SCRIPT);
    done.exits(10);
    let show = place.run(&["show", "--json"]).exits(0).json();
    assert_eq!(show["targets"]["web1"]["outcome"], "unreachable", "{show}");
    let told = place.run(&["show"]).exits(0).stdout;
    assert!(told.contains("host key"), "{told}");
    assert_ne!(hosts[0].exec("test -e /root/ran").code, 0);
}

#[test]
fn a_host_that_is_silent_is_a_verdict_within_its_deadline() {
    let estate = Estate::new("silent");
    let hosts = [estate.debian("web1")];
    hosts[0].cut_off();
    let (place, done) = run(&hosts, &SCRIPT.replace("timeout: 2m", "timeout: 5s"));
    done.exits(10);
    let show = place.run(&["show", "--json"]).exits(0).json();
    assert_eq!(show["targets"]["web1"]["outcome"], "unreachable", "{show}");
}

#[test]
fn a_sudo_password_is_given_where_it_is_known() {
    let estate = Estate::new("sudo");
    let hosts = [estate.debian("web1")];
    let place = Place::new();
    let config = estate.ssh_config().display().to_string();
    let path = place.write(
        "runbook.yaml",
        &format!(
            "runbook: hosts\ntargets:\n  hosts:\n    hosts:\n      web1: {{ address: {}, connection: {{ config: \"{config}\", \
             user: asker, sudo: password, sudo_password: ASKER }} }}\nsteps:\n{SCRIPT}",
            hosts[0].address()
        ),
    );
    let path = path.display().to_string();
    let mut command = place.command(&["run", &path]);
    command.env("RUNBOOK_SECRET_ASKER", "not this one");
    Done::from(command.output().expect("the binary runs")).exits(10);
    assert_ne!(hosts[0].exec("test -e /root/ran").code, 0);

    let mut command = place.command(&["run", &path]);
    command.env("RUNBOOK_SECRET_ASKER", Estate::ASKER_PASSWORD);
    let done = Done::from(command.output().expect("the binary runs")).exits(0);
    assert_eq!(hosts[0].run("cat /root/ran"), "0");
    assert!(!done.stderr.contains(Estate::ASKER_PASSWORD) && !done.stdout.contains(Estate::ASKER_PASSWORD));
}

#[test]
fn a_lock_is_waited_for() {
    let estate = Estate::new("waits");
    let hosts = [estate.debian("web1")];
    estate.repository().publish("runbook-plain", "1.1-1");
    let place = Place::new();
    let held = hosts[0].hold_package_lock();
    let short = PATCH.replace("select: all,", "select: all, lock_wait: 3s,");
    let path = runbook(&place, &hosts, &short).display().to_string();
    place.run(&["run", &path]).exits(10);
    assert_eq!(hosts[0].installed("runbook-plain"), "1.0-1");
    drop(held);
    place.run(&["run", &path]).exits(0);
    assert_eq!(hosts[0].installed("runbook-plain"), "1.1-1");
}

#[test]
fn a_host_that_never_comes_back_is_a_verdict() {
    let estate = Estate::new("never");
    let hosts = [estate.debian("web1")];
    hosts[0].never_comes_back();
    let place = Place::new();
    let steps = r#"  reboot:
    uses: linux/reboot
    targets: hosts
    way_back: none
    because: a reboot cannot be taken back
    timeout: 20s
"#;
    let path = runbook(&place, &hosts, steps).display().to_string();
    place.run(&["run", &path]).exits(10);
    let show = place.run(&["show", "--json"]).exits(0).json();
    let target = &show["targets"]["web1"];
    assert_eq!(target["outcome"], "unreachable", "{show}");
    assert!(target["cause"].as_str().is_some_and(|cause| cause.contains("not back by")), "{show}");
}
