//! What holds for every package manager of rpm, on dnf 4.14 and zypper 1.14 with rpm 4.18, as Debian 12 has them.

use runbook_linux::packages::Work;
use runbook_steps::ports::linux::{Order, Severity, Verdict};

use super::{
    family::{FIRST, Family, LONG, back, facts, pending, wanted},
    scratch::{NO_WAIT, lines},
};

/// The cases, each against each family.
macro_rules! cases {
    ($($case:ident)*) => {
        mod dnf {
            $(#[test] fn $case() { super::$case(&super::Family::dnf()); })*
        }
        mod zypper {
            $(#[test] fn $case() { super::$case(&super::Family::zypper()); })*
        }
    };
}

cases! {
    pending_updates_come_with_their_advisories
    exact_versions_are_installed_and_what_comes_along_is_rehearsed
    kept_files_bring_former_versions_back_when_no_repository_has_them
    a_file_that_is_not_to_be_had_is_missing_and_the_others_are_kept
    a_file_of_what_is_held_is_kept_too
    what_is_refused_is_told_before_anything_is_done
    what_is_held_stays_unless_the_order_passes_it_over
    nothing_goes_down_unless_that_is_asked_for
    a_held_lock_of_the_database_is_told
    a_script_of_a_package_that_fails_is_told
    a_full_disk_is_told
    configuration_files_that_were_changed_here_stay
    a_repository_that_is_gone_makes_a_refresh_fail
    two_versions_of_one_package_are_broken_and_repaired
    of_several_kernels_the_one_that_came_last_goes_and_never_the_one_that_runs
}

const DONE: (Verdict, String) = (Verdict::Done, String::new());

fn pending_updates_come_with_their_advisories(family: &Family) {
    let scratch = family.scratch();
    scratch.sh(&format!("{} lib", family.hold));
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
            ("app", Some("1.0-1"), "1.1-1", true, Some(Severity::Important), family.holds_dependents),
            ("lib", Some("1.0-1"), "1.1-1", false, None, true),
            ("other", Some("1:1.0-1"), "1:1.2-1", true, Some(Severity::Low), false), // 1:1.1 was a security update
        ]
    );
    let (dash, _) = family.advisory;
    assert_eq!(pending[2].advisories, [format!("TEST-2026{dash}2"), format!("TEST-2026{dash}3")]);
    assert_eq!(pending[0].issued, "2026-01-02T03:04:05Z".parse().ok());
    assert_eq!(pending[0].origin, "base");
}

fn exact_versions_are_installed_and_what_comes_along_is_rehearsed(family: &Family) {
    let scratch = family.scratch();
    let changes = scratch.rehearse(&wanted(&["app=1.1-1"])).expect("a rehearsal");
    let along = format!("{LONG}: none -> 1.0-1");
    assert_eq!(lines(&changes), ["app: 1.0-1 -> 1.1-1", along.as_str(), "lib: 1.0-1 -> 1.1-1"]);
    assert_eq!(scratch.installed(), FIRST, "a rehearsal changes nothing");

    // Not the newest of them.
    let extra = format!("{LONG}=1.0-1");
    let order = wanted(&["app=1.1-1", &extra, "lib=1.1-1", "other=1:1.1-1"]);
    assert_eq!(scratch.install(&order), DONE);
    assert_eq!(scratch.installed(), ["app=1.1-1", &extra, "lib=1.1-1", "other=1:1.1-1"]);
    assert_eq!(scratch.rehearse(&order), Ok(vec![]), "nothing is left to do");
    let history = scratch.sh(family.history);
    assert!(history.contains("patch-7k2m"), "{history}");
    let (script, marks) = &family.marks;
    assert_eq!(&scratch.sh(script), marks, "what came for the sake of others is still not a person's choice");
}

fn kept_files_bring_former_versions_back_when_no_repository_has_them(family: &Family) {
    let scratch = family.scratch();
    let before = scratch.packages();
    let (verdict, cause, told) = scratch.keep(&before, "kept-1");
    assert_eq!((verdict, cause.as_str()), (Verdict::Done, ""));
    assert_eq!(told["kept"], serde_json::to_value(&before).expect("packages"));
    assert_eq!(scratch.install(&wanted(&["app=1.1-1", "other=1:1.2-1"])).0, Verdict::Done);
    scratch.sh(&format!("rm /srv/rpm/*-1.0-1.x86_64.rpm; publish_rpm; {}", family.clean));
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
    assert_eq!(scratch.install(&order), DONE);
    assert_eq!(scratch.installed(), FIRST);

    let (verdict, cause, told) = scratch.keep(&before, "kept-again");
    assert_eq!((verdict, cause.as_str()), (Verdict::Done, ""), "the first backup has them");
    assert_eq!(told["kept"], serde_json::to_value(&before).expect("packages"));
}

fn a_file_that_is_not_to_be_had_is_missing_and_the_others_are_kept(family: &Family) {
    let scratch = family.scratch();
    // In the cache, and cut.
    let Family { cache, clean, .. } = family;
    scratch.sh(&format!(
        "{clean}
         mkdir -p {cache}; head -c 3000 /srv/rpm/lib-1.0-1.x86_64.rpm >{cache}/lib-1.0-1.x86_64.rpm
         rm /srv/rpm/lib-1.0*; publish_rpm"
    ));
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

fn a_file_of_what_is_held_is_kept_too(family: &Family) {
    let scratch = family.scratch();
    scratch.sh(&format!("{} other; {}", family.hold, family.clean));
    let (verdict, cause, told) = scratch.keep(&scratch.packages(), "kept-3");
    assert_eq!((verdict, cause.as_str()), (Verdict::Done, ""));
    assert_eq!(told["kept"][2]["name"], "other");
}

fn what_is_refused_is_told_before_anything_is_done(family: &Family) {
    let scratch = family.scratch();
    scratch.sh("rpm_ picky 1.0-1 'Requires: nowhere'; FILES=app; rpm_ thief 2.0-1; publish_rpm");
    scratch.refresh();
    let why = &family.refuses;
    for (order, verdict, cause) in [
        (wanted(&["app=9-1"]), Verdict::Missing, why.no_version),
        (wanted(&["picky=1.0-1"]), Verdict::Refused, why.unmet),
        (back(&["lib-"]), Verdict::Refused, why.needed),
    ] {
        let rehearsed = scratch.rehearse(&order).expect_err("it is refused");
        for (code, told) in [rehearsed, scratch.install(&order)] {
            assert_eq!((code, told.trim_end_matches(" from base")), (verdict, cause));
        }
    }
    let (verdict, cause) = scratch.install(&wanted(&["thief=2.0-1"]));
    assert_eq!(verdict, Verdict::Refused);
    assert!(cause.starts_with(why.same_file), "{cause}");
    assert_eq!(scratch.installed(), FIRST);
}

fn what_is_held_stays_unless_the_order_passes_it_over(family: &Family) {
    let scratch = family.scratch();
    scratch.sh(&format!("{} other", family.hold));
    assert_eq!(facts(&scratch).holds, ["other"]);
    let order = wanted(&["other=1:1.2-1"]);
    let why = (Verdict::Refused, family.refuses.held.to_owned());
    assert_eq!(scratch.rehearse(&order), Err(why.clone()));
    assert_eq!(scratch.install(&order), why);
    assert_eq!(scratch.installed(), FIRST);
    assert_eq!(scratch.install(&Order { held_too: true, ..order }), DONE);
    assert_eq!(scratch.installed()[2], "other=1:1.2-1");
    // Going back passes over it, too.
    let back = Order { held_too: true, ..back(&["other=1:1.0-1"]) };
    assert_eq!(scratch.install(&back), DONE);
    assert_eq!(scratch.installed(), FIRST);
    assert!(scratch.sh(family.holds).contains("other"), "the hold stays");
}

fn nothing_goes_down_unless_that_is_asked_for(family: &Family) {
    let scratch = family.scratch();
    assert_eq!(scratch.install(&wanted(&["app=1.1-1"])).0, Verdict::Done);
    let lower = wanted(&["app=1.0-1", "lib=1.0-1"]);
    let why = (Verdict::Refused, family.refuses.lower.to_owned());
    assert_eq!(scratch.rehearse(&lower), Err(why.clone()));
    assert_eq!(scratch.install(&lower), why);
    // Somebody deleted the files of the backup: a repository still has them.
    assert_eq!(scratch.install(&Order { back: true, kept: Some("deleted".into()), ..lower }), DONE);
    let extra = format!("{LONG}=1.0-1");
    assert_eq!(scratch.installed(), [FIRST[0], &extra, FIRST[1], FIRST[2]], "nobody said that it is to go");
}

fn a_held_lock_of_the_database_is_told(family: &Family) {
    let scratch = family.scratch();
    let order = wanted(&["other=1:1.2-1"]);
    let held = scratch.lock("/var/lib/rpm/.rpm.lock");
    let why = (Verdict::Locked, "another process holds the lock of the rpm database".to_owned());
    assert_eq!(scratch.install(&order), why);
    assert_eq!(scratch.installed(), FIRST);
    drop(held);
    // A lock of another file, which has the same number on its own file system, is none.
    scratch.sh("mkdir /srv/other; mount -t tmpfs tmpfs /srv/other");
    let number = scratch.sh("stat -c %i /var/lib/rpm/.rpm.lock").trim().to_owned();
    let twin = scratch.sh(&format!(
        "for i in $(seq 5000); do [ $i != {number} ] && : >/srv/other/$i || break; done
         for i in /srv/other/*; do [ $(stat -c %i $i) != {number} ] || echo $i; done"
    ));
    let twin = twin.trim().to_owned();
    assert!(!twin.is_empty(), "no file of number {number}");
    let _held = scratch.lock(&twin);
    assert_eq!(scratch.install(&order), DONE);
}

fn a_script_of_a_package_that_fails_is_told(family: &Family) {
    let scratch = family.scratch();
    scratch.sh("SPEC='%post -p <lua>\nerror(\"cannot start\")'; rpm_ other 1:1.3-1; SPEC='%pre -p <lua>\nerror(\"not here\")'; rpm_ early 1.0-1; publish_rpm");
    scratch.refresh();
    let (verdict, cause) = scratch.install(&wanted(&["other=1:1.3-1"]));
    assert_eq!(verdict, Verdict::Partly, "{cause}");
    assert!(cause.contains(family.refuses.post), "{cause}");
    assert!(scratch.installed().contains(&"other=1:1.3-1".to_owned()));

    let (verdict, cause) = scratch.install(&wanted(&["early=1.0-1"]));
    assert_eq!(verdict, Verdict::Failed, "{cause}");
    assert!(cause.contains(family.refuses.pre), "{cause}");
}

fn a_full_disk_is_told(family: &Family) {
    let scratch = family.scratch();
    scratch.sh("SIZE=4000000; rpm_ other 1:1.3-1; publish_rpm");
    scratch.refresh();
    scratch.sh("mkdir -p /usr/share/other; mount -t tmpfs -o size=1m tmpfs /usr/share/other");
    let (verdict, cause) = scratch.install(&wanted(&["other=1:1.3-1"]));
    assert_eq!(verdict, Verdict::DiskFull, "{cause}");
    assert_eq!(scratch.installed(), FIRST);
}

fn configuration_files_that_were_changed_here_stay(family: &Family) {
    let scratch = family.scratch();
    scratch.sh("echo mine >/etc/other.conf");
    assert_eq!(scratch.install(&wanted(&["other=1:1.2-1"])).0, Verdict::Done);
    assert_eq!(scratch.sh("cat /etc/other.conf /etc/other.conf.rpmnew"), "mine\nversion=1.2\n");
}

fn a_repository_that_is_gone_makes_a_refresh_fail(family: &Family) {
    let scratch = family.scratch();
    scratch.sh("mv /srv/rpm /srv/gone");
    let (verdict, cause, _) = scratch.work(&Work::Refresh { lock_wait: NO_WAIT });
    assert_eq!(verdict, Verdict::Failed);
    assert!(cause.contains("base"), "{cause}");
}

fn two_versions_of_one_package_are_broken_and_repaired(family: &Family) {
    let scratch = family.scratch();
    scratch.sh(&format!("{} app", family.hold));
    let told = facts(&scratch);
    assert_eq!((told.manager, told.platform().as_str()), (family.manager, family.platform));
    assert_eq!((told.holds, told.broken, told.reboot_needed), (vec!["app".to_owned()], vec![], vec![]));
    assert!(told.last_patched.is_some());

    scratch.sh(&format!("{}; rpm -i --force /srv/rpm/other-1.2-1.x86_64.rpm", family.unhold));
    assert_eq!(facts(&scratch).broken, ["other.x86_64"]);
    let (verdict, cause, _) = scratch.work(&Work::Repair { lock_wait: NO_WAIT });
    assert_eq!((verdict, cause.as_str()), (Verdict::Done, ""));
    assert_eq!(facts(&scratch).broken, Vec::<String>::new());
    assert_eq!(scratch.installed(), ["app=1.0-1", "lib=1.0-1", "other=1:1.2-1"]);
}

fn of_several_kernels_the_one_that_came_last_goes_and_never_the_one_that_runs(family: &Family) {
    let scratch = family.scratch();
    let (name, provides, setting) = family.kernel;
    let kernel = |version: &str| {
        scratch.sh(&format!(
            "FILES=kernel-{version}; rpm_ {name} {version}-1 'Provides: {provides}'; publish_rpm"
        ));
        scratch.refresh();
        wanted(&[&format!("{name}={version}-1")])
    };
    let kernels = || scratch.sh(&format!("rpm -q {name} --qf '%{{VERSION}}\\n' | sort | tr '\\n' ' '"));
    scratch.sh(setting);
    assert_eq!(scratch.install(&kernel("5.1")), DONE);
    let new = kernel("5.2");
    assert_eq!(lines(&scratch.rehearse(&new).expect("a rehearsal")), [format!("{name}: none -> 5.2-1")]);
    assert_eq!(scratch.install(&new), DONE);
    assert_eq!(kernels(), "5.1 5.2 ");

    let order = back(&[&format!("{name}-"), "other=1:1.0-1"]);
    assert_eq!(lines(&scratch.rehearse(&order).expect("a rehearsal")), [format!("{name}: 5.2-1 -> none")]);
    assert_eq!(scratch.install(&order), DONE);
    assert_eq!(kernels(), "5.1 ");

    // The host runs on it.
    scratch.sh(&format!("BOOT=yes; FILES=kernel-5.3; rpm_ {name} 5.3-1 'Provides: {provides}'; publish_rpm"));
    scratch.refresh();
    assert_eq!(scratch.install(&wanted(&[&format!("{name}=5.3-1")])), DONE);
    let told = facts(&scratch);
    let running: Vec<_> = told.running.iter().map(|one| format!("{}={}", one.name, one.version)).collect();
    assert_eq!((running, told.several), (vec![format!("{name}=5.3-1")], vec![name.to_owned()]));
    let why = (Verdict::Refused, format!("it would remove {name}-5.3-1.x86_64, the kernel that runs"));
    assert_eq!(scratch.rehearse(&order), Err(why.clone()));
    assert_eq!(scratch.install(&order), why);
    assert_eq!(kernels(), "5.1 5.3 ");
}
