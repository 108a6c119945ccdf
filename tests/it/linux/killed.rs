//! Killed with SIGKILL while package managers are at work, a run takes up on its hosts what it had begun.

use runbook_test_hosts::{Family, Host};

use super::fleet::{Fleet, RUNBOOK, all_come_to_the_middle, answer, is_in_the_middle, let_go, packages};
use crate::{holder::until, program::Place};

/// How often the package manager's own log has a line like this.
fn count(host: &Host, log: &str, pattern: &str) -> usize {
    host.run(&format!("cat {log} 2>/dev/null | grep -c '{pattern}' || true")).parse().expect("a number")
}

#[test]
fn hosts_that_were_unpacking_have_one_transaction_each() {
    let fleet = Fleet::new("killed", &["dev"], &[Family::Debian; 3]);
    let hosts = fleet.hosts();
    let logs: Vec<_> =
        hosts.iter().map(|host| count(host, "/var/log/apt/history.log", "^Start-Date")).collect();
    fleet.estate.repository().publish("runbook-slow", "1.1-1");
    fleet.estate.repository().publish("runbook-plain", "1.1-1");
    let place = Place::new();
    let runbook = place.write("patch.yaml", RUNBOOK).display().to_string();
    fleet.inventory(&place, "ops");

    let mut first = place.start(&["run", &runbook]);
    all_come_to_the_middle(hosts);
    first.kill().expect("killed");
    first.wait().expect("gone");
    for host in hosts {
        assert_eq!(host.run("dpkg-query -W -f '${db:Status-Status}' runbook-slow"), "half-installed");
    }
    // One comes to its end while nobody looks.
    let_go(&hosts[0]);
    hosts[0].wait_until("is still updating", |host| {
        host.exec("test $(dpkg-query -W -f '${db:Status-Status}${Version}' runbook-slow) = installed1.1-1")
            .code
            == 0
    });
    // The others come to theirs when a second life has been killed as well, and a third one is there.
    let mut second = place.start(&["resume"]);
    until("a second life", || place.run(&["show", "--json"]).stdout.contains("\"running\""));
    second.kill().expect("killed");
    second.wait().expect("gone");
    let mut third = place.start(&["resume"]);
    until("a third life", || place.run(&["show", "--json"]).stdout.contains("\"running\""));
    for host in &hosts[1..] {
        assert!(is_in_the_middle(host), "{} has waited for nobody", host.name());
        let_go(host);
    }
    let code = third.wait().expect("an end").code();
    let shown = place.run(&["show", "--json"]).exits(0);
    assert_eq!(code, Some(0), "{}", shown.stdout);

    for (host, before) in hosts.iter().zip(logs) {
        assert_eq!(host.installed("runbook-slow"), "1.1-1");
        assert_eq!(host.installed("runbook-plain"), "1.1-1");
        assert_eq!(host.run("cat /var/log/runbook-slow.log"), "begun\nended", "{}", host.name());
        assert_eq!(count(host, "/var/log/dpkg.log", " upgrade runbook-slow:all 1.0-1 1.1-1$"), 1);
        assert_eq!(count(host, "/var/log/dpkg.log", " upgrade runbook-plain:all 1.0-1 1.1-1$"), 1);
        assert_eq!(count(host, "/var/log/apt/history.log", "^Start-Date"), before + 1);
        assert_eq!(host.run("dpkg --audit"), "");
        assert_eq!(shown.json()["targets"][host.name()]["outcome"], "succeeded");
    }
}

#[test]
fn a_way_back_that_was_begun_is_gone_once() {
    let fleet = Fleet::new("back", &["dev"], &[Family::Debian, Family::Dnf, Family::Zypper]);
    let hosts = fleet.hosts();
    let before: Vec<_> = hosts.iter().map(packages).collect();
    fleet.estate.repository().publish("runbook-slow", "1.1-1");
    fleet.estate.repository().publish("runbook-demo", "1.1-1");
    let place = Place::new();
    let runbook = place.write("patch.yaml", RUNBOOK).display().to_string();
    fleet.inventory(&place, "ops");

    let mut first = place.start(&["run", &runbook]);
    all_come_to_the_middle(hosts);
    for host in hosts {
        // Gone when it has been seen: what comes next waits again.
        host.run(
            "touch /run/runbook-slow.go; while [ -e /run/runbook-slow.waiting ]; do sleep 0.05; done; \
             rm /run/runbook-slow.go",
        );
    }
    // The other package is a bad one.
    all_come_to_the_middle(hosts);
    first.kill().expect("killed");
    first.wait().expect("gone");
    for host in hosts {
        assert_eq!(host.run("cat /var/log/runbook-slow.log"), "begun\nended\nbegun", "{}", host.name());
    }
    let mut second = place.start(&["resume"]);
    until("a second life", || place.run(&["show", "--json"]).stdout.contains("\"running\""));
    hosts.iter().for_each(let_go);
    let code = second.wait().expect("an end").code();
    let shown = place.run(&["show", "--json"]).exits(0);
    assert_eq!((code, shown.json()["status"].as_str()), (Some(10), Some("restored")), "{}", shown.stdout);
    for (host, before) in hosts.iter().zip(before) {
        assert_eq!(host.run("cat /var/log/runbook-slow.log"), "begun\nended\nbegun\nended");
        assert_eq!(packages(host), before, "{}", host.name());
        assert_eq!(answer(host), (200, "1.0-1".to_owned()));
    }
}
