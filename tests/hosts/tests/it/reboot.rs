//! Down and up again, or not.

use runbook_test_hosts::{Estate, Family};

#[test]
fn it_reboots_by_every_usual_command() {
    let estate = Estate::new("reboot");
    let host = estate.debian("web1");
    host.run("echo kept >/var/kept; echo lost >/tmp/lost; echo lost >/run/lost");
    for command in [
        "reboot",
        "systemctl reboot",
        "shutdown -r now patched",
        "systemctl --no-block reboot",
        "nohup sh -c 'sleep 0.1; reboot' >/dev/null 2>&1 &",
    ] {
        let before = host.boot_id();
        assert_eq!(host.ssh_as("ops", &format!("sudo -n sh -c {}", quoted(command))).code, 0, "{command}");
        host.wait_for_reboot(&before);
        assert_eq!(host.ssh("cat /proc/sys/kernel/random/boot_id").out.trim(), host.boot_id());
        assert_eq!(host.http("/healthz").expect("an answer").0, 200);
    }
    assert_eq!(host.run("cat /var/kept; ls /tmp; ls /run/lost 2>/dev/null || true"), "kept");
    assert_ne!(host.ssh_as("guest", "/sbin/reboot").code, 0);
    // In a minute, and then not at all.
    host.run("shutdown -r +1");
    host.wait_until("plans nothing", |host| host.exec("kill -0 $(cat /run/shutdown.pid)").code == 0);
    host.run("shutdown -c");
    assert_ne!(host.exec("test -e /run/shutdown.pid").code, 0);
}

#[test]
fn it_may_never_come_back() {
    let estate = Estate::new("never");
    let host = estate.debian("web1");
    let before = host.boot_id();
    host.never_comes_back();
    assert_eq!(host.ssh("reboot").code, 0);
    host.wait_until_down();
    assert_eq!(host.ssh("true").code, 255);
    host.power_on();
    assert_ne!(host.boot_id(), before);
    assert_eq!(host.ssh("true").code, 0);
}

#[test]
fn a_small_var_runs_full_and_only_there() {
    let estate = Estate::new("full");
    let host = estate.recipe(Family::Debian, "web1").var_of(8).start();
    host.fill_var();
    assert!(host.exec("cat /bin/sh >/var/more").err.contains("No space left"));
    assert_eq!(host.exec("echo more >/etc/more").code, 0);
    host.reboot();
    assert!(host.exec("cat /bin/sh >/var/more").err.contains("No space left"));
    host.empty_var();
    assert_eq!(host.exec("echo more >/var/more").code, 0);
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
