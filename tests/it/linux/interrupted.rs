//! Hosts that lose their power, or their network, in the middle of a transaction.

use runbook_test_hosts::Family;

use super::fleet::{Fleet, RUNBOOK, all_come_to_the_middle, answer, let_go, packages};
use crate::program::Place;

#[test]
fn a_host_that_went_down_is_whole_again_and_one_that_was_cut_off_has_gone_on() {
    let families = [Family::Debian, Family::Dnf, Family::Zypper, Family::Debian];
    let fleet = Fleet::new("interrupted", &["dev"], &families);
    let hosts = fleet.hosts();
    let (down, cut) = hosts.split_at(3);
    let before: Vec<_> = hosts.iter().map(packages).collect();
    for package in ["runbook-slow", "runbook-conf", "runbook-plain"] {
        fleet.estate.repository().publish(package, "1.1-1");
    }
    let place = Place::new();
    let runbook = place.write("patch.yaml", RUNBOOK).display().to_string();
    fleet.inventory(&place, "ops");

    let mut run = place.start(&["run", &runbook]);
    all_come_to_the_middle(hosts);
    cut[0].cut_off();
    let_go(&cut[0]);
    for host in down {
        host.reboot();
        let_go(host);
    }
    cut[0].wait_until("has not gone on", |host| host.installed("runbook-slow") == "1.1-1");
    cut[0].reconnect();
    let code = run.wait().expect("an end").code();
    let shown = place.run(&["show", "--json"]).exits(0);
    let outcome = |name: &str| shown.json()["targets"][name]["outcome"].clone();
    assert_eq!((code, shown.json()["status"].as_str()), (Some(10), Some("restored")), "{}", shown.stdout);
    // rpm has nothing left to go on with: what has not come is put back. dpkg says what was coming, and that was the last.
    for (host, before) in down.iter().zip(&before).filter(|(host, _)| host.family() != Family::Debian) {
        assert_eq!(outcome(host.name()), "restored", "{}", shown.stdout);
        assert_eq!(&packages(host), before, "{}", host.name());
        assert_eq!(answer(host), (200, "1.0-1".to_owned()));
    }
    for host in hosts.iter().filter(|host| host.family() == Family::Debian) {
        assert_eq!(outcome(host.name()), "succeeded", "{}", shown.stdout);
        for package in ["runbook-slow", "runbook-conf", "runbook-plain"] {
            assert_eq!(host.installed(package), "1.1-1", "{}", host.name());
        }
        assert_eq!(host.run("dpkg --audit"), "");
    }
    assert_eq!(cut[0].run("cat /var/log/runbook-slow.log"), "begun\nended");
}
