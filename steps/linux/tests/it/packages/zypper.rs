//! zypper 1.14 and rpm 4.18, as Debian 12 has them.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use runbook_linux::{facts, packages::Work};
use runbook_steps::ports::linux::{Manager, Order, Severity, Update, Verdict};

use super::scratch::{NO_WAIT, Scratch, lines, order};

/// `app` needs the very same version of `lib`; from 1.1 on also `extra`, which is not installed.
fn scratch() -> Scratch {
    let scratch = Scratch::new(Manager::Zypper);
    scratch.sh(
        "rpm_ lib 1.0-1; rpm_ app 1.0-1 'Requires: lib = 1.0'; rpm_ other 1:1.0-1; rpm_ extra 1.0-1
         publish_rpm; zypper -q -n refresh; zypper -q -n install app other >/dev/null
         rpm_ lib 1.1-1; rpm_ app 1.1-1 'Requires: lib = 1.1' 'Requires: extra'; rpm_ other 1:1.1-1; rpm_ other 1:1.2-1
         advisory TEST-2026-1 security important app 1.1-1; advisory TEST-2026-2 recommended low other 1:1.2-1
         advisory TEST-2026-3 security low other 1:1.1-1; publish_rpm",
    );
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
const SECOND: [&str; 4] = ["app=1.1-1", "extra=1.0-1", "lib=1.1-1", "other=1:1.0-1"];

#[test]
fn pending_updates_come_with_their_patches() {
    let scratch = scratch();
    scratch.sh("zypper -q -n addlock lib");
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
            ("app", Some("1.0-1"), "1.1-1", true, Some(Severity::Important), true), // it needs what is locked
            ("lib", Some("1.0-1"), "1.1-1", false, None, true),
            ("other", Some("1:1.0-1"), "1:1.2-1", true, Some(Severity::Low), false), // 1:1.1 was a security update
        ]
    );
    assert_eq!(pending[2].advisories, ["TEST-2026-2", "TEST-2026-3"]);
    assert_eq!(pending[0].issued, "2026-01-02T03:04:05Z".parse().ok());
    assert_eq!(pending[0].origin, "base");
}

#[test]
fn exact_versions_are_installed_and_what_comes_along_is_rehearsed() {
    let scratch = scratch();
    let changes = scratch.rehearse(&wanted(&["app=1.1-1"])).expect("a rehearsal");
    assert_eq!(lines(&changes), ["app: 1.0-1 -> 1.1-1", "extra: none -> 1.0-1", "lib: 1.0-1 -> 1.1-1"]);
    assert_eq!(scratch.installed(), FIRST, "a rehearsal changes nothing");

    let order = wanted(&["app=1.1-1", "extra=1.0-1", "lib=1.1-1"]);
    assert_eq!(scratch.install(&order), (Verdict::Done, String::new()));
    assert_eq!(scratch.installed(), SECOND);
    assert_eq!(scratch.rehearse(&order), Ok(vec![]), "nothing is left to do");
    let history = scratch.sh("cat /var/log/zypp/history");
    assert!(history.contains("patch-7k2m"), "{history}");
    assert_eq!(
        scratch.sh("grep -v '^#' /var/lib/zypp/AutoInstalled"),
        "extra\nlib\n",
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
    scratch.sh("rm /srv/rpm/*-1.0-1.x86_64.rpm; publish_rpm; zypper -q -n clean");
    scratch.refresh();
    let mut order = back(&["app=1.0-1", "lib=1.0-1", "other=1:1.0-1", "extra-"]);
    assert_eq!(scratch.rehearse(&order).expect_err("they are gone").0, Verdict::Missing);

    order.kept = Some("kept-1".into());
    let changes = scratch.rehearse(&order).expect("a rehearsal");
    assert_eq!(
        lines(&changes),
        ["app: 1.1-1 -> 1.0-1", "extra: 1.0-1 -> none", "lib: 1.1-1 -> 1.0-1", "other: 1:1.2-1 -> 1:1.0-1"]
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
    scratch.sh("rm /srv/rpm/lib-1.0*; publish_rpm; zypper -q -n clean");
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
fn what_zypper_refuses_is_told_before_anything_is_done() {
    let scratch = scratch();
    scratch.sh("rpm_ picky 1.0-1 'Requires: nowhere'; FILES=app; rpm_ thief 2.0-1; publish_rpm; zypper -q -n addlock other");
    scratch.refresh();
    for (order, verdict, cause) in [
        (wanted(&["app=9-1"]), Verdict::Missing, "no provider of 'app.x86_64=9-1' found"),
        (wanted(&["picky=1.0-1"]), Verdict::Refused, "nothing provides nowhere needed by picky-1.0-1.x86_64"),
        (
            back(&["lib-"]),
            Verdict::Refused,
            "app-1.0-1.x86_64 requires lib = 1.0, but this requirement cannot be provided",
        ),
        (wanted(&["other=1:1.2-1"]), Verdict::Refused, "conflicting requests"),
    ] {
        assert_eq!(scratch.rehearse(&order), Err((verdict, cause.to_owned())));
        assert_eq!(scratch.install(&order), (verdict, cause.to_owned()));
    }
    let (verdict, cause) = scratch.install(&wanted(&["thief=2.0-1"]));
    assert_eq!((verdict, cause.as_str()), (Verdict::Refused, "two packages have /etc/app.conf"));
    assert_eq!(scratch.installed(), FIRST);
    let held_too = Order { held_too: true, ..wanted(&["other=1:1.2-1"]) };
    assert_eq!(scratch.install(&held_too), (Verdict::Done, String::new()));
    assert!(scratch.sh("cat /etc/zypp/locks").contains("solvable_name: other"), "the lock stays");

    // Nothing goes down unless that is asked for.
    let lower = wanted(&["app=1.0-1", "lib=1.0-1"]);
    assert_eq!(scratch.install(&wanted(&["app=1.1-1"])).0, Verdict::Done);
    let why = "the selected package 'app-1.0-1.x86_64' from repository 'base' has lower version than the installed one";
    assert_eq!(scratch.rehearse(&lower), Err((Verdict::Refused, why.to_owned())));
    assert_eq!(scratch.install(&lower), (Verdict::Refused, why.to_owned()));
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

    // A zypper that waits for its next command holds its lock.
    let mut other = scratch
        .command("exec zypper -n shell")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("nsenter starts");
    let mut stdin = other.stdin.take().expect("its input");
    std::io::Write::write_all(&mut stdin, b"repos\n").expect("a command");
    let mut said = BufReader::new(other.stdout.take().expect("its output")).lines();
    said.find(|line| line.as_ref().is_ok_and(|line| line.contains("base"))).expect("it works").expect("text");
    let (verdict, cause) = scratch.install(&order);
    assert_eq!(verdict, Verdict::Locked, "{cause}");
    assert!(cause.starts_with("system management is locked by the application with pid"), "{cause}");
    assert_eq!(scratch.installed(), FIRST);
    drop(stdin);
    other.wait().expect("it ends");
    assert_eq!(scratch.install(&order), (Verdict::Done, String::new()));
}

#[test]
fn a_script_of_a_package_that_fails_is_told() {
    let scratch = scratch();
    scratch.sh("SPEC='%post -p <lua>\nerror(\"cannot start\")'; rpm_ other 1:1.3-1; SPEC='%pre -p <lua>\nerror(\"not here\")'; rpm_ early 1.0-1; publish_rpm");
    scratch.refresh();
    let (verdict, cause) = scratch.install(&wanted(&["other=1:1.3-1"]));
    assert_eq!(verdict, Verdict::Partly, "{cause}");
    assert!(cause.contains("%post(other-1:1.3-1.x86_64)") && cause.ends_with("cannot start"), "{cause}");
    let (verdict, cause) = scratch.install(&wanted(&["early=1.0-1"]));
    assert_eq!(verdict, Verdict::Failed, "{cause}");
    assert!(cause.contains("not here"), "{cause}");
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
fn a_repository_that_is_gone_makes_a_refresh_fail() {
    let scratch = scratch();
    scratch.sh("mv /srv/rpm /srv/gone");
    let (verdict, cause, _) = scratch.work(&Work::Refresh { lock_wait: NO_WAIT });
    assert_eq!(verdict, Verdict::Failed);
    assert!(cause.contains("base"), "{cause}");
}

#[test]
fn facts_are_those_of_the_host_and_two_versions_of_one_package_are_repaired() {
    let scratch = scratch();
    scratch.sh("printf 'ID=\"sles\"\\nID_LIKE=\"suse\"\\nVERSION_ID=\"15.6\"\\n' >/etc/os-release
         zypper -q -n addlock app; rpm -i --force /srv/rpm/other-1.2-1.x86_64.rpm");
    let facts = || {
        let printed = scratch.run(facts::SCRIPT);
        facts::read(&printed.stdout).unwrap_or_else(|why| panic!("{why}: {printed:#?}"))
    };
    let before = facts();
    assert_eq!((before.manager, before.platform().as_str()), (Manager::Zypper, "sles-15-x86_64"));
    assert_eq!(before.holds, ["app"]);
    assert_eq!(before.broken, ["other.x86_64"]);
    assert_eq!(before.reboot_needed, Vec::<String>::new());
    let (verdict, cause, _) = scratch.work(&Work::Repair { lock_wait: NO_WAIT });
    assert_eq!((verdict, cause.as_str()), (Verdict::Done, ""));
    assert_eq!(facts().broken, Vec::<String>::new());
    assert_eq!(scratch.installed(), ["app=1.0-1", "lib=1.0-1", "other=1:1.2-1"]);
}

#[test]
fn of_several_kernels_the_one_that_came_last_goes_and_never_the_one_that_runs() {
    let scratch = scratch();
    scratch.sh("printf '[main]\\nmultiversion = provides:multiversion(kernel)\\n' >/etc/zypp/zypp.conf
         kernel='Provides: multiversion(kernel)'; FILES=kernel-5.1; rpm_ kernel-default 5.1-1 \"$kernel\"; publish_rpm
         zypper -q -n refresh; zypper -q -n install kernel-default >/dev/null
         FILES=kernel-5.2; rpm_ kernel-default 5.2-1 \"$kernel\"; publish_rpm");
    scratch.refresh();
    let new = wanted(&["kernel-default=5.2-1"]);
    assert_eq!(lines(&scratch.rehearse(&new).expect("a rehearsal")), ["kernel-default: none -> 5.2-1"]);
    assert_eq!(scratch.install(&new), (Verdict::Done, String::new()));
    let kernels = || scratch.sh("rpm -q kernel-default --qf '%{VERSION}\n' | sort");
    assert_eq!(kernels(), "5.1\n5.2\n");

    let order = back(&["kernel-default-"]);
    assert_eq!(lines(&scratch.rehearse(&order).expect("a rehearsal")), ["kernel-default: 5.2-1 -> none"]);
    assert_eq!(scratch.install(&order), (Verdict::Done, String::new()));
    assert_eq!(kernels(), "5.1\n");

    scratch.sh(
        "BOOT=yes; FILES=kernel-5.3; rpm_ kernel-default 5.3-1 'Provides: multiversion(kernel)'; publish_rpm",
    );
    scratch.refresh();
    assert_eq!(scratch.install(&wanted(&["kernel-default=5.3-1"])), (Verdict::Done, String::new()));
    let why =
        (Verdict::Refused, "it would remove kernel-default-5.3-1.x86_64, the kernel that runs".to_owned());
    assert_eq!(scratch.rehearse(&order), Err(why.clone()));
    assert_eq!(scratch.install(&order), why);
    assert_eq!(kernels(), "5.1\n5.3\n");
}
