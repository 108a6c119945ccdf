//! Package managers in trouble.

use runbook_test_hosts::{Estate, Family, Host};

#[test]
fn a_held_lock_is_met_by_each_package_manager() {
    let estate = Estate::new("locks");
    let families = [
        (Family::Debian, "apt-get -y install runbook-plain=1.1-1", 100),
        (Family::Dnf, "dnf -y --setopt=exit_on_lock=True upgrade runbook-plain", 200),
        (Family::Zypper, "zypper -n update runbook-plain", 7),
    ];
    estate.repository().publish("runbook-plain", "1.1-1");
    let recipes =
        families.iter().enumerate().map(|(n, (family, ..))| estate.recipe(*family, &format!("host{n}")));
    let hosts = estate.start(recipes);
    hosts[0].run("apt-get update");
    for (host, (family, update, code)) in hosts.iter().zip(families) {
        let held = host.hold_package_lock();
        let refused = host.exec(update);
        assert_eq!(refused.code, code, "{family:?}: {}{}", refused.out, refused.err);
        assert_eq!(host.installed("runbook-plain"), "1.0-1");
        drop(held);
        assert_eq!(host.exec(update).code, 0, "{family:?}");
        assert_eq!(host.installed("runbook-plain"), "1.1-1");
    }
}

#[test]
fn a_transaction_waits_in_its_middle_and_survives_no_reboot() {
    let estate = Estate::new("slow");
    let host = estate.debian("web1");
    estate.repository().publish("runbook-slow", "1.1-1");
    host.run("apt-get update");

    begin(&host);
    assert_eq!(host.run("dpkg-query -W -f '${db:Status-Status}' runbook-slow"), "half-installed");
    host.reboot();
    assert!(host.run("dpkg --audit").contains("runbook-slow"), "{}", host.run("cat /var/log/dpkg.log"));
    host.run("touch /run/runbook-slow.go; dpkg --configure -a; apt-get -y --fix-broken install runbook-slow");
    assert_eq!(host.installed("runbook-slow"), "1.1-1");

    host.run("apt-get -y --allow-downgrades install runbook-slow=1.0-1");
    host.run("rm /run/runbook-slow.go");
    begin(&host);
    host.run("touch /run/runbook-slow.go");
    host.wait_until("is still updating", |host| host.installed("runbook-slow") == "1.1-1");
}

/// An update, detached, that has come to its middle.
fn begin(host: &Host) {
    host.run("setsid nohup apt-get -y install runbook-slow >/var/log/update 2>&1 </dev/null &");
    host.wait_until("does not update", |host| host.exec("test -s /run/runbook-slow.waiting").code == 0);
}

#[test]
fn a_configuration_file_was_changed_by_both_sides() {
    let estate = Estate::new("conf");
    let host = estate.debian("web1");
    estate.repository().publish("runbook-conf", "1.1-1");
    host.run("apt-get update");
    host.run(
        "DEBIAN_FRONTEND=noninteractive apt-get -y -o Dpkg::Options::=--force-confold install runbook-conf",
    );
    assert_eq!(
        host.run("tail -n 1 /etc/runbook-conf.conf; tail -n 1 /etc/runbook-conf.conf.dpkg-dist"),
        "changed = here\nversion = 1.1-1"
    );
}

#[test]
fn a_withdrawn_version_cannot_be_had() {
    let estate = Estate::new("withdrawn");
    let host = estate.debian("web1");
    estate.repository().publish("runbook-plain", "1.1-1");
    host.run("apt-get update");
    host.run("apt-get -y install runbook-plain");
    estate.repository().withdraw("runbook-plain", "1.0-1");
    host.run("apt-get update");
    assert_eq!(host.exec("apt-get -y --allow-downgrades install runbook-plain=1.0-1").code, 100);
}

#[test]
fn a_database_and_its_backup_program_are_there() {
    let estate = Estate::new("database");
    let host = estate.recipe(Family::Debian, "db1").with_database().start();
    host.run("service postgresql start");
    host.wait_until("has no database", |host| {
        host.exec("su postgres -c 'psql -c \"create table t(n int)\"'").code == 0
    });
    host.run("restic version");
    assert_eq!(host.installed("runbook-demo"), "1.0-1");
}
