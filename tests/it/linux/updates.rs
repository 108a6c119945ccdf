//! A night of security updates as most are: one package asks for a reboot, one brings another configuration file, one is
//! broken.

use runbook_test_hosts::{Family, Host};

use super::fleet::{Fleet, RUNBOOK, answer, packages};
use crate::program::Place;

/// The configuration file that was changed on the host.
fn changed_file(host: &Host) -> String {
    host.run("cat /etc/runbook-conf.conf")
}

#[test]
fn security_updates_reboot_keep_configuration_files_and_go_back_where_they_are_bad() {
    let fleet = Fleet::new("night", &["dev"], &[Family::Debian, Family::Dnf, Family::Zypper]);
    let hosts = fleet.hosts();
    let repository = fleet.estate.repository();
    for package in ["runbook-demo", "runbook-secure", "runbook-conf"] {
        repository.publish_security(package, "1.1-1");
    }
    repository.publish("runbook-plain", "1.1-1");
    let state = |host: &Host| (packages(host), changed_file(host));
    let before: Vec<_> = hosts.iter().map(state).collect();
    let boots: Vec<_> = hosts.iter().map(Host::boot_id).collect();
    let place = Place::new();
    let runbook = place.write("patch.yaml", RUNBOOK).display().to_string();
    fleet.inventory(&place, "ops");

    place.run(&["run", &runbook, "--param", "select=security"]).exits(10);
    let shown = place.run(&["show", "--json"]).exits(0).json();
    assert_eq!(shown["status"], "restored", "{shown}");
    for ((host, before), boot) in hosts.iter().zip(&before).zip(&boots) {
        assert_eq!(&state(host), before, "{}", host.name());
        assert_ne!(&host.boot_id(), boot, "{}", host.name());
        assert_eq!(answer(host), (200, "1.0-1".to_owned()));
    }

    let boots: Vec<_> = hosts.iter().map(Host::boot_id).collect();
    repository.publish_security("runbook-demo", "1.2-1");
    place.run(&["run", &runbook, "--param", "select=security"]).exits(0);
    for ((host, (_, file)), boot) in hosts.iter().zip(&before).zip(&boots) {
        let name = host.name();
        let versions = ["runbook-secure", "runbook-conf", "runbook-demo", "runbook-plain"];
        let versions = versions.map(|package| host.installed(package));
        assert_eq!(versions, ["1.1-1", "1.1-1", "1.2-1", "1.0-1"], "{name}");
        assert_eq!(&changed_file(host), file, "{name}");
        assert_ne!(&host.boot_id(), boot, "{name}");
        assert_eq!(answer(host), (200, "1.2-1".to_owned()));
    }
}
