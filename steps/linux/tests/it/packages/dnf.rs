//! dnf 4.14 and rpm 4.18, as Debian 12 has them.

use runbook_linux::{facts, packages::Work};
use runbook_steps::ports::linux::{Manager, Order, Package, Severity, Update, Verdict};

use super::scratch::{NO_WAIT, Scratch, lines, order};

const LONG: &str = "extra-with-a-name-that-is-far-too-long-for-one-line-of-the-table";

/// `app` needs the very same version of `lib`; from 1.1 on also one with a long name, which is not installed.
fn scratch() -> Scratch {
    let scratch = Scratch::new(Manager::Dnf);
    scratch.sh(&format!(
        "rpm_ lib 1.0-1; rpm_ app 1.0-1 'Requires: lib = 1.0'; rpm_ other 1:1.0-1; rpm_ {LONG} 1.0-1
         publish_rpm; dnf -q makecache; dnf -q -y install app other
         rpm_ lib 1.1-1; rpm_ app 1.1-1 'Requires: lib = 1.1' 'Requires: {LONG}'; rpm_ other 1:1.1-1; rpm_ other 1:1.2-1
         advisory TEST-2026:1 security Important app 1.1-1; advisory TEST-2026:2 bugfix None other 1:1.2-1
         advisory TEST-2026:3 security Low other 1:1.1-1; publish_rpm"
    ));
    scratch.refresh();
    scratch
}

fn wanted(names: &[&str]) -> Order {
    order("x86_64", names)
}

fn back(names: &[&str]) -> Order {
    Order { back: true, ..wanted(names) }
}

fn pending(scratch: &Scratch) -> Vec<Update> {
    let printed = scratch.run(&scratch.manager.pending());
    scratch.manager.read_pending(&printed).unwrap_or_else(|why| panic!("{why:?}: {printed:#?}"))
}

const FIRST: [&str; 3] = ["app=1.0-1", "lib=1.0-1", "other=1:1.0-1"];

#[test]
fn pending_updates_come_with_their_advisories() {
    let scratch = scratch();
    scratch.sh("echo excludepkgs=lib >>/etc/dnf/dnf.conf");
    let pending = pending(&scratch);
    let shown: Vec<_> = pending
        .iter()
        .map(|one| {
            (one.name.as_str(), one.from.as_deref(), one.to.as_str(), one.security, one.severity, one.held)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("app", Some("1.0-1"), "1.1-1", true, Some(Severity::Important), false),
            ("lib", Some("1.0-1"), "1.1-1", false, None, true),
            ("other", Some("1:1.0-1"), "1:1.2-1", true, Some(Severity::Low), false), // 1:1.1 was a security update
        ]
    );
    assert_eq!(pending[2].advisories, ["TEST-2026:2", "TEST-2026:3"]);
    assert_eq!(pending[0].issued, "2026-01-02T03:04:05Z".parse().ok());
    assert_eq!(pending[0].origin, "base");
}

#[test]
fn exact_versions_are_installed_and_what_comes_along_is_rehearsed() {
    let scratch = scratch();
    let changes = scratch.rehearse(&wanted(&["app=1.1-1"])).expect("a rehearsal");
    let along = format!("{LONG}: none -> 1.0-1");
    assert_eq!(lines(&changes), ["app: 1.0-1 -> 1.1-1", along.as_str(), "lib: 1.0-1 -> 1.1-1"]);
    assert_eq!(scratch.installed(), FIRST, "a rehearsal changes nothing");

    let extra = format!("{LONG}=1.0-1");
    let order = wanted(&["app=1.1-1", &extra, "lib=1.1-1", "other=1:1.1-1"]);
    assert_eq!(scratch.install(&order), (Verdict::Done, String::new()));
    assert_eq!(scratch.installed(), ["app=1.1-1", &extra, "lib=1.1-1", "other=1:1.1-1"]);
    assert_eq!(scratch.rehearse(&order), Ok(vec![]), "nothing is left to do");
    let history =
        scratch.sh("dnf history list | tail -n +3 | head -n 1 | awk '{ print $1 }'; dnf history info 2");
    assert!(history.contains("patch-7k2m"), "{history}");
    assert_eq!(
        scratch.sh("dnf -q -C repoquery --userinstalled --qf '%{name}'"),
        "app\nother\n",
        "what came for the sake of others is still not a person's choice"
    );
}

#[test]
fn kept_files_bring_former_versions_back_when_no_repository_has_them() {
    let scratch = scratch();
    let before = scratch.packages();
    let (verdict, cause, told) = scratch.keep(&before, "kept-1");
    assert_eq!((verdict, cause.as_str()), (Verdict::Done, ""));
    assert_eq!(told["kept"], serde_json::to_value(&before).expect("packages"));
    assert_eq!(scratch.install(&wanted(&["app=1.1-1", "other=1:1.2-1"])).0, Verdict::Done);
    scratch.sh("rm /srv/rpm/*-1.0-1.x86_64.rpm; publish_rpm");
    scratch.refresh();
    let removed = format!("{LONG}-");
    let mut order = back(&["app=1.0-1", "lib=1.0-1", "other=1:1.0-1", &removed]);
    assert_eq!(scratch.rehearse(&order).expect_err("they are gone").0, Verdict::Missing);
    assert_eq!(scratch.install(&order).0, Verdict::Missing);

    order.kept = Some("kept-1".into());
    let changes = scratch.rehearse(&order).expect("a rehearsal");
    let gone = format!("{LONG}: 1.0-1 -> none");
    assert_eq!(
        lines(&changes),
        ["app: 1.1-1 -> 1.0-1", gone.as_str(), "lib: 1.1-1 -> 1.0-1", "other: 1:1.2-1 -> 1:1.0-1"]
    );
    assert_eq!(scratch.install(&order), (Verdict::Done, String::new()));
    assert_eq!(scratch.installed(), FIRST);

    let (verdict, cause, told) = scratch.keep(&before, "kept-again");
    assert_eq!((verdict, cause.as_str()), (Verdict::Done, ""), "the first backup has them");
    assert_eq!(told["kept"], serde_json::to_value(&before).expect("packages"));
}

#[test]
fn a_file_that_is_not_to_be_had_is_missing_and_the_others_are_kept() {
    let scratch = scratch();
    // In the cache, and cut.
    scratch.sh(
        "mkdir -p /var/cache/dnf/base-0/packages; head -c 3000 /srv/rpm/lib-1.0-1.x86_64.rpm >/var/cache/dnf/base-0/packages/lib-1.0-1.x86_64.rpm
         rm /srv/rpm/lib-1.0*; publish_rpm",
    );
    scratch.refresh();
    let (verdict, cause, told) = scratch.keep(&scratch.packages(), "kept-2");
    assert_eq!(verdict, Verdict::Missing);
    assert_eq!(cause, "the package file of lib 1.0-1 is not to be had: no repository and no cache has it");
    assert_eq!(told["missing"][0]["name"], "lib");
    assert_eq!(
        scratch.sh("cd /var/lib/runbook/kept/kept-2; ls -A"),
        "app-1.0-1.x86_64.rpm\nother-1.0-1.x86_64.rpm\n"
    );
}

#[test]
fn what_dnf_refuses_is_told_before_anything_is_done() {
    let scratch = scratch();
    scratch
        .sh("rpm_ picky 1.0-1 'Requires: nowhere'; FILES=app; rpm_ thief 2.0-1; publish_rpm; echo excludepkgs=other >>/etc/dnf/dnf.conf");
    scratch.refresh();
    for (order, verdict, cause) in [
        (wanted(&["app=9-1"]), Verdict::Missing, "unable to find a match: app-9-1.x86_64"),
        (
            wanted(&["picky=1.0-1"]),
            Verdict::Refused,
            "nothing provides nowhere needed by picky-1.0-1.x86_64 from base",
        ),
        (back(&["lib-"]), Verdict::Refused, "it would remove app, which nobody asked for"),
        (
            wanted(&["other=1:1.2-1"]),
            Verdict::Refused,
            "all matches were filtered out by exclude filtering for argument: other-1:1.2-1.x86_64",
        ),
    ] {
        let why = scratch.rehearse(&order).expect_err("it is refused");
        assert_eq!(
            (why.0, why.1.trim_end_matches(" from base")),
            (verdict, cause.trim_end_matches(" from base"))
        );
        let why = scratch.install(&order);
        assert_eq!(
            (why.0, why.1.trim_end_matches(" from base")),
            (verdict, cause.trim_end_matches(" from base"))
        );
    }
    let (verdict, cause) = scratch.install(&wanted(&["thief=2.0-1"]));
    assert_eq!(verdict, Verdict::Refused);
    assert!(cause.starts_with("file /etc/app.conf from install of thief"), "{cause}");
    assert_eq!(scratch.installed(), FIRST);
    let held_too = Order { held_too: true, ..wanted(&["other=1:1.2-1"]) };
    assert_eq!(scratch.install(&held_too), (Verdict::Done, String::new()));

    // Nothing goes down unless that is asked for.
    assert_eq!(scratch.install(&wanted(&["app=1.1-1"])).0, Verdict::Done);
    let why = "it would downgrade app, downgrade lib, which nobody asked for".to_owned();
    assert_eq!(scratch.rehearse(&wanted(&["lib=1.0-1"])), Err((Verdict::Refused, why.clone())));
    assert_eq!(scratch.install(&wanted(&["lib=1.0-1"])), (Verdict::Refused, why));
}

#[test]
fn held_locks_are_told() {
    let scratch = scratch();
    let order = wanted(&["other=1:1.2-1"]);
    let held = scratch.lock("/var/lib/rpm/.rpm.lock");
    let (verdict, cause) = scratch.install(&order);
    assert_eq!(
        (verdict, cause.as_str()),
        (Verdict::Locked, "another process holds the lock of the rpm database")
    );
    drop(held);

    // dnf's own locks are files with the number of a process that lives.
    let other = scratch.lock("/tmp/any");
    scratch.sh(&format!("echo {} >/var/lib/dnf/rpmdb_lock.pid", other.id()));
    let (verdict, cause) = scratch.install(&order);
    assert_eq!(verdict, Verdict::Locked, "{cause}");
    assert!(cause.starts_with("RPMDB already locked by") && cause.ends_with("(python3)"), "{cause}");
    assert_eq!(scratch.installed(), FIRST);
    drop(other);
    assert_eq!(scratch.install(&order), (Verdict::Done, String::new()));
}

#[test]
fn a_script_of_a_package_that_fails_is_told() {
    let scratch = scratch();
    scratch.sh("SPEC='%post -p <lua>\nerror(\"cannot start\")'; rpm_ other 1:1.3-1; SPEC='%pre -p <lua>\nerror(\"not here\")'; rpm_ early 1.0-1; publish_rpm");
    scratch.refresh();
    let (verdict, cause) = scratch.install(&wanted(&["other=1:1.3-1"]));
    assert_eq!(verdict, Verdict::Partly, "{cause}");
    assert_eq!(cause, "error in POSTIN scriptlet in rpm package other");
    assert!(scratch.installed().contains(&"other=1:1.3-1".to_owned()));

    let (verdict, cause) = scratch.install(&wanted(&["early=1.0-1"]));
    assert_eq!(verdict, Verdict::Failed, "{cause}");
    assert!(cause.contains("early"), "{cause}");
}

#[test]
fn a_full_disk_is_told() {
    let scratch = scratch();
    scratch.sh("SIZE=4000000; rpm_ other 1:1.3-1; publish_rpm");
    scratch.refresh();
    scratch.sh("mkdir -p /usr/share/other; mount -t tmpfs -o size=1m tmpfs /usr/share/other");
    let (verdict, cause) = scratch.install(&wanted(&["other=1:1.3-1"]));
    assert_eq!(verdict, Verdict::DiskFull, "{cause}");
    assert_eq!(scratch.installed(), FIRST);
}

#[test]
fn configuration_files_that_were_changed_here_stay() {
    let scratch = scratch();
    scratch.sh("echo mine >/etc/other.conf");
    assert_eq!(scratch.install(&wanted(&["other=1:1.2-1"])).0, Verdict::Done);
    assert_eq!(scratch.sh("cat /etc/other.conf /etc/other.conf.rpmnew"), "mine\nversion=1.2\n");
}

#[test]
fn a_repository_that_is_gone_makes_a_refresh_fail() {
    let scratch = scratch();
    scratch.sh("mv /srv/rpm /srv/gone");
    let (verdict, cause, _) = scratch.work(&Work::Refresh { lock_wait: NO_WAIT });
    assert_eq!(verdict, Verdict::Failed);
    assert!(cause.contains("base"), "{cause}");
}

#[test]
fn two_versions_of_one_package_are_broken_and_repaired() {
    let scratch = scratch();
    let broken = || {
        let printed = scratch.run(facts::SCRIPT);
        facts::read(&printed.stdout).unwrap_or_else(|why| panic!("{why}: {printed:#?}"))
    };
    scratch.sh("printf 'ID=rocky\\nID_LIKE=\"rhel centos fedora\"\\nVERSION_ID=\"9.4\"\\n' >/etc/os-release
         echo excludepkgs=app, lib >>/etc/dnf/dnf.conf");
    let facts = broken();
    assert_eq!((facts.manager, facts.platform().as_str()), (Manager::Dnf, "rocky-9-x86_64"));
    assert_eq!(facts.holds, ["app", "lib"]);
    assert_eq!(facts.broken, Vec::<String>::new());
    assert!(facts.last_patched.is_some());

    scratch.sh("printf '[main]\\n' >/etc/dnf/dnf.conf; rpm -i --force /srv/rpm/other-1.2-1.x86_64.rpm");
    assert_eq!(broken().broken, ["other.x86_64"]);
    let (verdict, cause, _) = scratch.work(&Work::Repair { lock_wait: NO_WAIT });
    assert_eq!((verdict, cause.as_str()), (Verdict::Done, ""));
    assert_eq!(broken().broken, Vec::<String>::new());
    let versions: Vec<Package> = scratch.packages().into_iter().filter(|one| one.name == "other").collect();
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0].version, "1:1.2-1");
}

#[test]
fn of_several_kernels_the_one_that_came_last_goes_and_never_the_one_that_runs() {
    let scratch = scratch();
    scratch.sh("kernel='Provides: installonlypkg(kernel)'; FILES=kernel-5.1; rpm_ kernel-core 5.1-1 \"$kernel\"; publish_rpm
         dnf -q makecache --refresh; dnf -q -y install kernel-core
         FILES=kernel-5.2; rpm_ kernel-core 5.2-1 \"$kernel\"; publish_rpm");
    scratch.refresh();
    let new = wanted(&["kernel-core=5.2-1"]);
    assert_eq!(lines(&scratch.rehearse(&new).expect("a rehearsal")), ["kernel-core: none -> 5.2-1"]);
    assert_eq!(scratch.install(&new), (Verdict::Done, String::new()));
    let kernels = || scratch.sh("rpm -q kernel-core --qf '%{VERSION}\n' | sort");
    assert_eq!(kernels(), "5.1\n5.2\n");

    let order = back(&["kernel-core-", "other=1:1.0-1"]);
    assert_eq!(lines(&scratch.rehearse(&order).expect("a rehearsal")), ["kernel-core: 5.2-1 -> none"]);
    assert_eq!(scratch.install(&order), (Verdict::Done, String::new()));
    assert_eq!(kernels(), "5.1\n");

    scratch.sh(
        "BOOT=yes; FILES=kernel-5.3; rpm_ kernel-core 5.3-1 'Provides: installonlypkg(kernel)'; publish_rpm",
    );
    scratch.refresh();
    assert_eq!(scratch.install(&wanted(&["kernel-core=5.3-1"])), (Verdict::Done, String::new()));
    scratch.sh("printf 'ID=rocky\\nVERSION_ID=\"9.4\"\\n' >/etc/os-release");
    let facts = facts::read(&scratch.run(facts::SCRIPT).stdout).expect("facts");
    let running: Vec<_> = facts.running.iter().map(|one| format!("{}={}", one.name, one.version)).collect();
    assert_eq!(
        (running, facts.several),
        (vec!["kernel-core=5.3-1".to_owned()], vec!["kernel-core".to_owned()])
    );
    let why = (Verdict::Refused, "it would remove kernel-core-5.3-1.x86_64, the kernel that runs".to_owned());
    assert_eq!(scratch.rehearse(&order), Err(why.clone()));
    assert_eq!(scratch.install(&order), why);
    assert_eq!(kernels(), "5.1\n5.3\n");
}

/// dnf keeps three by itself, and counts them on a host that has been there for a while.
#[test]
fn a_fourth_kernel_comes_and_no_other_goes() {
    let scratch = scratch();
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
