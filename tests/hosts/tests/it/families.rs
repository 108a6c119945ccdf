//! A host of each family, from its first boot over an update to its way back.

use runbook_test_hosts::{Estate, Host};

#[test]
fn debian() {
    let estate = Estate::new("debian");
    let host = estate.debian("web1");
    is_reached(&host);

    publish(&estate);
    host.run("apt-get update");
    let pending = host.run("apt-get -s dist-upgrade");
    assert!(pending.contains("Inst runbook-demo [1.0-1] (1.1-1 Debian:12/stable [all])"), "{pending}");
    assert!(
        pending.contains("Inst runbook-secure [1.0-1] (1.1-1 Debian-Security:12/stable-security [all])"),
        "{pending}"
    );
    host.run("apt-get -y install runbook-demo runbook-secure");
    answers(&host, 500, "1.1-1");
    assert_eq!(host.exec("test -e /run/reboot-required").code, 0);
    host.run("apt-get -y --allow-downgrades install runbook-demo=1.0-1 runbook-demo-lib=1.0-1");

    is_back(&host);
    assert_ne!(host.exec("test -e /run/reboot-required").code, 0);
}

#[test]
fn dnf() {
    let estate = Estate::new("dnf");
    let host = estate.dnf("db1");
    is_reached(&host);
    assert_ne!(host.exec("command -v apt-get || command -v dpkg").code, 0);

    publish(&estate);
    let security = host.run("dnf -q --refresh updateinfo list --security --available");
    assert_eq!(security, "DEMO-SA-2026:0002 Important/Sec. runbook-secure-1.1-1.noarch");
    assert_eq!(host.exec("dnf -q check-update").code, 100);
    assert_eq!(host.exec("dnf -q needs-restarting -r").code, 0);
    host.run("dnf -qy upgrade-minimal --security");
    assert_eq!(host.installed("runbook-secure"), "1.1-1");
    assert_eq!(host.exec("dnf -q needs-restarting -r").code, 1);
    host.run("dnf -qy upgrade");
    answers(&host, 500, "1.1-1");
    host.run("dnf -qy history undo last");

    is_back(&host);
    assert_eq!(host.exec("dnf -q needs-restarting -r").code, 0);
}

#[test]
fn zypper() {
    let estate = Estate::new("zypper");
    let host = estate.zypper("app1");
    is_reached(&host);
    assert_ne!(host.exec("command -v apt-get || command -v dpkg || command -v dnf").code, 0);

    publish(&estate);
    host.run("zypper -n refresh");
    // In XML zypper 1.14.42 lists every category whichever is asked for.
    let patches = host.run("zypper -n --xmlout list-patches --category security");
    for (id, category) in [("DEMO-SA-2026:0002", "security"), ("DEMO-BA-2026:0001", "bugfix")] {
        let patch = patches.split("<update ").find(|patch| patch.contains(id)).expect("the patch is listed");
        assert!(patch.contains(&format!("category=\"{category}\"")), "{patch}");
    }
    // It asks for a reboot, and such patches are left out where nobody can be asked.
    assert_eq!(host.exec("zypper -n patch --category security").code, 0);
    assert_eq!(host.installed("runbook-secure"), "1.0-1");
    assert_eq!(host.exec("zypper -n patch --category security --with-interactive").code, 102);
    assert_eq!(host.exec("zypper needs-rebooting").code, 102);
    host.run("zypper -n update");
    answers(&host, 500, "1.1-1");
    host.run("zypper -n install --oldpackage runbook-demo=1.0-1 runbook-demo-lib=1.0-1");

    is_back(&host);
    assert_eq!(host.exec("zypper needs-rebooting").code, 0);
}

/// A broken version of the service, and a security update.
fn publish(estate: &Estate) {
    estate.repository().publish("runbook-demo", "1.1-1");
    estate.repository().publish_security("runbook-secure", "1.1-1");
}

#[track_caller]
fn is_reached(host: &Host) {
    let seen = host.ssh("hostname; cat /proc/sys/kernel/random/boot_id");
    assert_eq!(seen.out, format!("{}\n{}\n", host.name(), host.boot_id()), "{}", seen.err);
    assert_eq!(host.ssh_as("ops", "sudo -n id -u").out, "0\n");
    assert_ne!(host.ssh_as("asker", "sudo -n id -u").code, 0);
    let asked = format!("echo '{}' | sudo -S id -u", Estate::ASKER_PASSWORD);
    assert_eq!(host.ssh_as("asker", &asked).out, "0\n");
    assert_ne!(host.ssh_as("guest", "sudo -n id -u").code, 0);
    answers(host, 200, "1.0-1");
}

/// It has the first version again, also after a reboot.
#[track_caller]
fn is_back(host: &Host) {
    answers(host, 200, "1.0-1");
    let before = host.boot_id();
    assert_eq!(host.ssh("reboot").code, 0);
    host.wait_for_reboot(&before);
    assert_ne!(host.run("cat /proc/sys/kernel/random/boot_id"), before);
    answers(host, 200, "1.0-1");
}

#[track_caller]
fn answers(host: &Host, status: u16, version: &str) {
    let body = format!("{{\"service\":\"runbook-demo\",\"version\":\"{version}\",\"lib\":\"{version}\"}}\n");
    assert_eq!(host.http("/healthz"), Some((status, body)));
}
