//! What holds for dnf only: 4.14 with rpm 4.18, as Debian 12 has them.

use runbook_steps::ports::linux::Verdict;

use super::{
    family::{FIRST, Family, back, wanted},
    scratch::lines,
};

/// dnf's own locks are files with the number of a process that lives.
#[test]
fn a_held_lock_of_its_own_is_told() {
    let scratch = Family::dnf().scratch();
    let order = wanted(&["other=1:1.2-1"]);
    let other = scratch.lock("/tmp/any");
    scratch.sh(&format!("echo {} >/var/lib/dnf/rpmdb_lock.pid", other.id()));
    let (verdict, cause) = scratch.install(&order);
    assert_eq!(verdict, Verdict::Locked, "{cause}");
    assert!(cause.starts_with("RPMDB already locked by") && cause.ends_with("(python3)"), "{cause}");
    assert_eq!(scratch.installed(), FIRST);
    drop(other);
    assert_eq!(scratch.install(&order), (Verdict::Done, String::new()));
}

/// dnf keeps three by itself, and counts them on a host that has been there for a while.
#[test]
fn a_fourth_kernel_comes_and_no_other_goes() {
    let scratch = Family::dnf().scratch();
    let kernel = |version: u32| {
        format!(
            "FILES=kernel-5.{version}; rpm_ kernel-core 5.{version}-1 'Provides: installonlypkg(kernel)'; "
        )
    };
    scratch.sh(&(1..=4).map(kernel).collect::<String>());
    scratch.sh("echo installonly_limit=3 >>/etc/dnf/dnf.conf; publish_rpm");
    scratch.refresh();
    for version in 1..=3 {
        let order = wanted(&[&format!("kernel-core=5.{version}-1")]);
        assert_eq!(scratch.install(&order), (Verdict::Done, String::new()));
    }
    let plain = scratch.run("dnf --assumeno install kernel-core-5.4-1.x86_64");
    assert!(plain.stdout.contains("Removing:"), "what dnf does by itself: {plain:#?}");

    let order = wanted(&["kernel-core=5.4-1", "other=1:1.2-1"]);
    let changes = scratch.rehearse(&order).expect("a rehearsal");
    assert_eq!(lines(&changes), ["kernel-core: none -> 5.4-1", "other: 1:1.0-1 -> 1:1.2-1"]);
    assert_eq!(scratch.install(&order), (Verdict::Done, String::new()));
    assert_eq!(scratch.sh("rpm -q kernel-core --qf '%{VERSION} '"), "5.1 5.2 5.3 5.4 ");
    // The way back goes by dnf's shell.
    let order = back(&["kernel-core-", "other=1:1.0-1"]);
    assert_eq!(scratch.install(&order), (Verdict::Done, String::new()));
    assert_eq!(scratch.sh("rpm -q kernel-core --qf '%{VERSION} '"), "5.1 5.2 5.3 ");
}
