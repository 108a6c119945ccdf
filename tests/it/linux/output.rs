//! What hosts print is seen while they print it, and kept.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use runbook_test_hosts::Estate;

use super::runbook;
use crate::program::Place;

#[test]
fn what_the_package_manager_of_a_failed_host_printed_is_kept() {
    let estate = Estate::new("kept");
    let hosts = [estate.debian("web1")];
    estate.repository().publish("runbook-plain", "1.1-1");
    // It fails before dpkg is run, with words that are in no cause.
    hosts[0].run(
        r#"echo 'DPkg::Pre-Install-Pkgs { "echo the cabinet is locked; exit 3"; };' >/etc/apt/apt.conf.d/99cabinet"#,
    );
    let place = Place::new();
    let steps = r#"  patch:
    uses: linux/patch
    targets: hosts
    way_back: none
    because: this shows what is kept of a failure
    with: { select: all, reboot: NoReboot }
"#;
    let path = runbook(&place, &hosts, steps).display().to_string();
    place.run(&["run", &path]).exits(10);
    let told = place.run(&["logs", "--target", "web1"]).exits(0).stdout;
    assert!(told.contains("job: install") && told.contains("the cabinet is locked"), "{told}");
    let kept = place.run(&["logs", "--json"]).exits(0).lines();
    let logs: Vec<_> = kept.iter().filter_map(|one| one["outputs"]["log"].as_str()).collect();
    assert!(logs.iter().any(|log| log.contains("runbook-plain")), "{kept:?}");
}

/// It prints until it may end, and a secret with it.
const PRINTS: &str = r#"  change:
    uses: linux/script
    targets: hosts
    effect: changes
    way_back: none
    because: this shows what is seen of it
    timeout: 5m
    with:
      env: { TOKEN: "{{ secret('TOKEN') }}" }
      script: |
        n=0
        while [ ! -e /var/lib/go ] && [ $n -lt 1200 ]; do
            n=$((n + 1))
            echo "round $n with $TOKEN"
            echo "no cause has this $n" >&2
            sleep 0.1
        done
"#;

#[test]
fn what_a_host_prints_is_seen_while_it_prints_it() {
    let estate = Estate::new("prints");
    let hosts = [estate.debian("web1")];
    let place = Place::new();
    let path = runbook(&place, &hosts, PRINTS).display().to_string();
    let secret = "open sesame seeds";
    let mut run = place
        .command(&["run", &path])
        .env("RUNBOOK_SECRET_TOKEN", secret)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    hosts[0].wait_until("prints nothing", |host| {
        host.exec("cat /var/lib/runbook/jobs/*/out | grep -q round").code == 0
    });
    let mut follower = place
        .command(&["logs", "--follow", "--target", "web1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(follower.stdout.take().expect("its output")).lines();
    // It ends by itself when the script gives up, so this ends too.
    let heard = lines.by_ref().map_while(Result::ok).find(|line| line.contains("round "));
    let heard = heard.expect("a line was heard");
    assert!(heard.contains(" on web1: round "), "{heard}");
    assert!(heard.ends_with(" with ***"), "{heard}");
    hosts[0].run("touch /var/lib/go");
    let rest: Vec<_> = lines.map_while(Result::ok).collect();
    assert_eq!(run.wait().expect("an end").code(), Some(0));
    assert_eq!(follower.wait().expect("an end").code(), Some(0));
    // What it put out comes whole at its end, and what it said beside that.
    let rest = rest.join("\n");
    assert!(rest.contains("round 1 with ***") && rest.contains("no cause has this 1"), "{rest}");
    assert!(!rest.contains(secret) && !heard.contains(secret), "{rest}");
}
