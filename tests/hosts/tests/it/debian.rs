//! A Debian host, from its first boot to its end.

use runbook_test_hosts::Estate;

#[test]
fn it_is_reached_updated_and_rebooted() {
    let estate = Estate::new("debian");
    let host = estate.debian("web1");

    assert_eq!(
        host.ssh("hostname; cat /proc/sys/kernel/random/boot_id").out,
        format!("web1\n{}\n", host.boot_id())
    );
    assert_eq!(host.ssh_as("ops", "sudo -n id -u").out, "0\n");
    assert_ne!(host.ssh_as("asker", "sudo -n id -u").code, 0);
    let asked = format!("echo '{}' | sudo -S id -u", Estate::ASKER_PASSWORD);
    assert_eq!(host.ssh_as("asker", &asked).out, "0\n");
    assert_ne!(host.ssh_as("guest", "sudo -n id -u").code, 0);
    assert_eq!(version(&host), "1.0-1");

    estate.repository().publish("runbook-demo", "1.1-1");
    estate.repository().publish_security("runbook-secure", "1.1-1");
    host.run("apt-get update");
    let pending = host.run("apt-get -s dist-upgrade");
    assert!(pending.contains("Inst runbook-demo [1.0-1] (1.1-1 Debian:12/stable [all])"), "{pending}");
    assert!(
        pending.contains("Inst runbook-secure [1.0-1] (1.1-1 Debian-Security:12/stable-security [all])"),
        "{pending}"
    );
    host.run("apt-get -y install runbook-demo runbook-secure");
    let (status, body) = host.http("/healthz").expect("an answer");
    assert_eq!(status, 500, "{body}");
    host.run("apt-get -y --allow-downgrades install runbook-demo=1.0-1 runbook-demo-lib=1.0-1");
    assert_eq!(version(&host), "1.0-1");

    let before = host.boot_id();
    assert_eq!(host.exec("test -e /run/reboot-required").code, 0);
    assert_eq!(host.ssh("reboot").code, 0);
    host.wait_for_reboot(&before);
    assert_ne!(host.run("cat /proc/sys/kernel/random/boot_id"), before);
    assert_ne!(host.exec("test -e /run/reboot-required").code, 0);
    assert_eq!(version(&host), "1.0-1");
}

/// What the service says that it is.
fn version(host: &runbook_test_hosts::Host) -> String {
    let (status, body) = host.http("/healthz").expect("an answer");
    assert_eq!(status, 200, "{body}");
    body.split('"').nth(7).expect("a version").to_owned()
}
