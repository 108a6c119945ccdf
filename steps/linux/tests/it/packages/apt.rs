//! apt 2.6 and dpkg 1.21 (Debian 12).

use std::thread;

use runbook_linux::{facts, packages::Work};
use runbook_steps::ports::linux::{ConfigFiles, Facts, Manager, Order, Package, Update, Verdict};

use super::scratch::{NO_WAIT, Scratch, lines, order};

/// `app` needs the very same version of `lib`; from 1.1 on also `extra`, which is not installed.
fn scratch() -> Scratch {
    let scratch = Scratch::new(Manager::Apt);
    scratch.sh(
        "deb /srv/apt lib 1.0; deb /srv/apt app 1.0 'Depends: lib (= 1.0)'; deb /srv/apt other 1:1.0; deb /srv/apt extra 1.0
         publish; apt-get -qq update; DEBIAN_FRONTEND=noninteractive apt-get -qqy install app other </dev/null
         deb /srv/apt-security lib 1.1; deb /srv/apt-security app 1.1 'Depends: lib (= 1.1), extra'
         deb /srv/apt other 1:1.2; deb /srv/apt-security other 1:1.1
         publish",
    );
    scratch.refresh();
    scratch
}

fn wanted(names: &[&str]) -> Order {
    order("amd64", names)
}

fn pending(scratch: &Scratch) -> Vec<Update> {
    let printed = scratch.run(&scratch.manager.pending());
    scratch.manager.read_pending(&printed).unwrap_or_else(|why| panic!("{why:?}: {printed:#?}"))
}

fn facts_of(scratch: &Scratch) -> Facts {
    let printed = scratch.run(facts::SCRIPT);
    facts::read(&printed.stdout).unwrap_or_else(|why| panic!("{why}: {printed:#?}"))
}

const FIRST: [&str; 3] = ["app=1.0", "lib=1.0", "other=1:1.0"];
const SECOND: [&str; 4] = ["app=1.1", "extra=1.0", "lib=1.1", "other=1:1.0"];

#[test]
fn pending_updates_say_where_they_come_from_and_what_holds_them() {
    let scratch = scratch();
    scratch.sh("apt-mark hold lib");
    let pending = pending(&scratch);
    let shown: Vec<_> = pending
        .iter()
        .map(|one| (one.name.as_str(), one.from.as_deref(), one.to.as_str(), one.security, one.held))
        .collect();
    assert_eq!(
        shown,
        [
            ("app", Some("1.0"), "1.1", true, true), // it needs what is held
            ("extra", None, "1.0", false, true),
            ("lib", Some("1.0"), "1.1", true, true),
            ("other", Some("1:1.0"), "1:1.2", true, false), // 1:1.1 was a security update
        ]
    );
    assert_eq!(pending[0].origin, "Debian-Security:12/stable-security");
    assert_eq!(pending[0].arch, "amd64");
}

#[test]
fn exact_versions_are_installed_and_what_comes_along_is_rehearsed() {
    let scratch = scratch();
    let order = wanted(&["app=1.1"]);
    let changes = scratch.rehearse(&order).expect("a rehearsal");
    assert_eq!(lines(&changes), ["app: 1.0 -> 1.1", "extra: none -> 1.0", "lib: 1.0 -> 1.1"]);
    assert_eq!(scratch.installed(), FIRST, "a rehearsal changes nothing");

    let order = wanted(&["app=1.1", "extra=1.0", "lib=1.1"]);
    assert_eq!(scratch.install(&order), (Verdict::Done, String::new()));
    assert_eq!(scratch.installed(), SECOND);
    assert_eq!(scratch.rehearse(&order), Ok(vec![]), "nothing is left to do");
    let history = scratch.sh("cat /var/log/apt/history.log");
    assert!(history.contains("runbook::attempt=patch-7k2m"), "{history}");
    assert_eq!(
        scratch.sh("apt-mark showauto"),
        "extra\nlib\n",
        "what came for the sake of others is still not a person's choice"
    );
}

#[test]
fn kept_files_bring_former_versions_back_when_no_repository_has_them() {
    let scratch = scratch();
    let before: Vec<Package> =
        scratch.packages().into_iter().filter(|package| package.name != "other").collect();
    let (verdict, cause, told) = scratch.keep(&before, "kept-1");
    assert_eq!((verdict, cause.as_str()), (Verdict::Done, ""));
    assert_eq!(told["kept"], serde_json::to_value(&before).expect("packages"));
    assert!(told["bytes"].as_u64() > Some(1000), "{told}");

    assert_eq!(scratch.install(&wanted(&["app=1.1"])).0, Verdict::Done);
    scratch.sh("rm /srv/apt/app_1.0* /srv/apt/lib_1.0*; publish");
    scratch.refresh();
    let mut back = wanted(&["app=1.0", "lib=1.0", "extra-"]);
    back.back = true;
    assert_eq!(scratch.rehearse(&back).expect_err("they are gone").0, Verdict::Missing);

    back.kept = Some("kept-1".into());
    let changes = scratch.rehearse(&back).expect("a rehearsal");
    assert_eq!(lines(&changes), ["app: 1.1 -> 1.0", "extra: 1.0 -> none", "lib: 1.1 -> 1.0"]);
    assert_eq!(scratch.install(&back), (Verdict::Done, String::new()));
    assert_eq!(scratch.installed(), FIRST);

    let (verdict, cause, told) = scratch.keep(&before, "kept-again");
    assert_eq!((verdict, cause.as_str()), (Verdict::Done, ""), "the first backup has them");
    assert_eq!(told["kept"], serde_json::to_value(&before).expect("packages"));
}

#[test]
fn a_file_that_is_not_to_be_had_is_missing_and_the_others_are_kept() {
    let scratch = scratch();
    scratch.sh("rm /srv/apt/lib_1.0*; publish");
    scratch.refresh();
    let (verdict, cause, told) = scratch.keep(&scratch.packages(), "kept-2");
    assert_eq!(verdict, Verdict::Missing);
    assert_eq!(cause, "the package file of lib 1.0 is not to be had: no repository and no cache has it");
    assert_eq!(told["missing"][0]["name"], "lib");
    assert_eq!(told["kept"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        scratch.sh("cd /var/lib/runbook/kept/kept-2; ls -A"),
        "app_1.0_amd64.deb\nother_1%3a1.0_amd64.deb\n",
        "nothing else is left in the folder"
    );
}

#[test]
fn a_cut_file_is_not_kept() {
    let scratch = scratch();
    // In the cache, and nowhere else.
    scratch.sh("head -c 15000 /srv/apt/lib_1.0_amd64.deb >/var/cache/apt/archives/lib_1.0_amd64.deb; rm /srv/apt/lib_1.0*; publish");
    scratch.refresh();
    let lib: Vec<Package> = scratch.packages().into_iter().filter(|one| one.name == "lib").collect();
    assert_eq!(scratch.keep(&lib, "kept-3").0, Verdict::Missing);
}

#[test]
fn what_apt_refuses_is_told_before_anything_is_done() {
    let scratch = scratch();
    scratch.sh("apt-mark hold other; deb /srv/apt rival 1.0 'Conflicts: app'; publish");
    scratch.refresh();
    for (wanted, verdict, cause) in [
        (wanted(&["app=9"]), Verdict::Missing, "version '9' for 'app' was not found"),
        (wanted(&["nope=1"]), Verdict::Missing, "unable to locate package nope:amd64"),
        (
            wanted(&["other=1:1.2"]),
            Verdict::Refused,
            "held packages were changed and -y was used without --allow-change-held-packages",
        ),
        (
            wanted(&["lib=1.1", "app=1.0"]),
            Verdict::Refused,
            "app : Depends: lib (= 1.0) but 1.1 is to be installed",
        ),
    ] {
        assert_eq!(scratch.rehearse(&wanted), Err((verdict, cause.to_owned())));
        assert_eq!(scratch.install(&wanted), (verdict, cause.to_owned()));
    }
    let rival = wanted(&["rival=1.0"]);
    let why = "it would remove app, which nobody asked for".to_owned();
    assert_eq!(scratch.rehearse(&rival), Err((Verdict::Refused, why)));
    assert_eq!(
        scratch.install(&rival),
        (Verdict::Refused, "packages need to be removed but remove is disabled".to_owned())
    );
    // Where something is to be removed, it is that and nothing else.
    let why = "it would remove app, which nobody asked for".to_owned();
    let lib = wanted(&["lib-"]);
    assert_eq!(scratch.rehearse(&lib), Err((Verdict::Refused, why.clone())));
    assert_eq!(scratch.install(&lib), (Verdict::Refused, why));
    assert_eq!(scratch.installed(), FIRST);

    let held_too = Order { held_too: true, ..wanted(&["other=1:1.2"]) };
    assert_eq!(scratch.install(&held_too).0, Verdict::Done);
    assert_eq!(scratch.sh("apt-mark showhold"), "other\n", "the hold stays");
}

#[test]
fn a_held_lock_is_told_with_its_holder_and_waited_for() {
    let scratch = scratch();
    let order = wanted(&["other=1:1.2"]);
    for path in ["/var/lib/dpkg/lock-frontend", "/var/cache/apt/archives/lock"] {
        let held = scratch.lock(path);
        let (verdict, cause) = scratch.install(&order);
        assert_eq!(verdict, Verdict::Locked, "{path}: {cause}");
        assert!(cause.contains(path) && cause.contains("(python3)"), "{cause}");
        drop(held);
    }
    assert_eq!(scratch.installed(), FIRST);

    let held = scratch.lock("/var/lib/apt/lists/lock");
    let (verdict, cause, _) = scratch.work(&Work::Refresh { lock_wait: NO_WAIT });
    assert_eq!(verdict, Verdict::Locked, "{cause}");
    let patient = Work::Refresh { lock_wait: std::time::Duration::from_secs(60) };
    let (verdict, cause, _) = thread::scope(|scope| {
        let waiting = scope.spawn(|| scratch.work(&patient));
        drop(held);
        waiting.join().expect("it ends")
    });
    assert_eq!((verdict, cause.as_str()), (Verdict::Done, ""));
}

#[test]
fn configuration_files_that_were_changed_here_stay_or_are_replaced_as_asked() {
    let scratch = scratch();
    scratch.sh("echo mine >/etc/other.conf");
    assert_eq!(scratch.install(&wanted(&["other=1:1.1"])).0, Verdict::Done);
    assert_eq!(scratch.sh("cat /etc/other.conf /etc/other.conf.dpkg-dist"), "mine\nversion=1:1.1\n");
    let replace = Order { config_files: ConfigFiles::Replace, ..wanted(&["other=1:1.2"]) };
    assert_eq!(scratch.install(&replace).0, Verdict::Done);
    assert_eq!(scratch.sh("cat /etc/other.conf /etc/other.conf.dpkg-old"), "version=1:1.2\nmine\n");
}

#[test]
fn a_package_whose_script_fails_is_half_done_and_told_so() {
    let scratch = scratch();
    scratch.sh("POSTINST='echo cannot start >&2; exit 3'; deb /srv/apt other 1:1.3; publish");
    scratch.refresh();
    assert_eq!(
        scratch.install(&wanted(&["other=1:1.3"])),
        (
            Verdict::Partly,
            "dpkg: other: installed other package post-installation script subprocess returned error exit status 3"
                .to_owned()
        )
    );
    assert_eq!(facts_of(&scratch).broken, ["other"]);
    let (verdict, _, _) = scratch.work(&Work::Repair { lock_wait: NO_WAIT });
    assert_eq!(verdict, Verdict::Failed, "its script still fails");
    // The way back mends it.
    let back = Order { back: true, ..wanted(&["other=1:1.0"]) };
    assert_eq!(scratch.install(&back), (Verdict::Done, String::new()));
    assert_eq!(scratch.installed(), FIRST);
}

#[test]
fn what_a_killed_dpkg_left_is_repaired() {
    let scratch = scratch();
    // The first time it kills dpkg, whose child it is.
    scratch
        .sh("POSTINST='[ -e /killed ] || { : >/killed; kill -9 $PPID; }'; deb /srv/apt other 1:1.3; publish");
    scratch.refresh();
    let order = wanted(&["other=1:1.3"]);
    assert_eq!(scratch.install(&order).0, Verdict::Partly);
    assert!(facts_of(&scratch).broken.contains(&"other".to_owned()));
    let (verdict, cause) = scratch.install(&wanted(&["app=1.1"]));
    assert_eq!(verdict, Verdict::Refused);
    assert!(cause.starts_with("dpkg was interrupted"), "{cause}");
    let (verdict, cause, _) = scratch.work(&Work::Repair { lock_wait: NO_WAIT });
    assert_eq!((verdict, cause.as_str()), (Verdict::Done, ""));
    assert_eq!(facts_of(&scratch).broken, Vec::<String>::new());
    assert_eq!(scratch.installed(), ["app=1.0", "lib=1.0", "other=1:1.3"]);
}

#[test]
fn what_was_torn_while_it_was_unpacked_comes_as_it_was_coming_else_as_it_was() {
    let scratch = scratch();
    // The first time it kills dpkg, whose child it is.
    scratch
        .sh("PREINST='[ -e /killed ] || { : >/killed; kill -9 $PPID; }'; deb /srv/apt other 1:1.3; publish");
    scratch.refresh();
    scratch.sh("apt-mark auto other");
    let order = wanted(&["other=1:1.3"]);
    assert_eq!(scratch.install(&order).0, Verdict::Partly);
    assert!(facts_of(&scratch).broken.contains(&"other".to_owned()));
    scratch.sh("deb /srv/apt other 1:1.4; publish");
    scratch.refresh();
    let (verdict, cause, _) = scratch.work(&Work::Repair { lock_wait: NO_WAIT });
    assert_eq!((verdict, cause.as_str()), (Verdict::Done, ""));
    assert_eq!(scratch.installed(), ["app=1.0", "lib=1.0", "other=1:1.3"], "nobody asked for 1.4");
    assert_eq!(scratch.sh("apt-mark showauto other"), "other\n");

    scratch.sh("rm /killed; PREINST='[ -e /killed ] || { : >/killed; kill -9 $PPID; }'; deb /srv/apt other 1:1.5; publish");
    scratch.refresh();
    assert_eq!(scratch.install(&wanted(&["other=1:1.5"])).0, Verdict::Partly);
    scratch.sh("rm -f /srv/apt/other_1.5*; publish");
    scratch.refresh();
    let (verdict, cause, _) = scratch.work(&Work::Repair { lock_wait: NO_WAIT });
    assert_eq!((verdict, cause.as_str()), (Verdict::Done, ""));
    assert_eq!(scratch.installed(), ["app=1.0", "lib=1.0", "other=1:1.3"]);
}

#[test]
fn a_full_disk_is_told() {
    let scratch = scratch();
    scratch.sh("SIZE=4000000; deb /srv/apt other 1:1.3; publish");
    scratch.refresh();
    scratch.sh("mkdir -p /usr/share/other; mount -t tmpfs -o size=1m tmpfs /usr/share/other");
    let (verdict, cause) = scratch.install(&wanted(&["other=1:1.3"]));
    assert_eq!(verdict, Verdict::DiskFull, "{cause}");
    assert!(
        cause.ends_with("no space left on device") || cause.contains("No space left on device"),
        "{cause}"
    );

    let folder = runbook_linux::packages::kept_folder("small");
    scratch.sh(&format!("mkdir -p {folder}; mount -t tmpfs -o size=32k tmpfs {folder}"));
    assert_eq!(scratch.keep(&scratch.packages(), "small").0, Verdict::DiskFull);
}

#[test]
fn a_repository_that_is_gone_makes_a_refresh_fail() {
    let scratch = scratch();
    scratch.sh("rm -r /srv/apt-security");
    let (verdict, cause, _) = scratch.work(&Work::Refresh { lock_wait: NO_WAIT });
    assert_eq!(verdict, Verdict::Failed);
    assert!(cause.contains("apt-security"), "{cause}");
}

#[test]
fn facts_are_those_of_the_host() {
    let scratch = scratch();
    scratch.sh(
        "apt-mark hold other
         printf 'NAME=\"Debian\"\\nID=debian\\nVERSION_ID=\"12\"\\nPRETTY_NAME=\"Debian 12 (test)\"\\n' >/etc/os-release
         echo '*** System restart required ***' >/run/reboot-required; echo lib >/run/reboot-required.pkgs
         mkdir -p /boot; mount -t tmpfs -o size=1m tmpfs /boot
         printf 'APT::Periodic::Unattended-Upgrade \"1\";\\n' >/etc/apt/apt.conf.d/20auto
         printf '#!/bin/sh\\n' >/usr/bin/unattended-upgrade; chmod +x /usr/bin/unattended-upgrade
         mkdir -p /etc/cron.daily; cp /usr/bin/unattended-upgrade /etc/cron.daily/apt-compat",
    );
    let facts = facts_of(&scratch);
    assert_eq!((facts.os.as_str(), facts.os_version.as_str()), ("debian", "12"));
    assert_eq!(facts.os_name, "Debian 12 (test)");
    assert_eq!(facts.platform(), "debian-12-amd64");
    assert_eq!(facts.manager, Manager::Apt);
    assert_eq!(facts.boot_id.len(), 36);
    assert_eq!(facts.reboot_needed, ["lib wants it"]);
    assert_eq!(facts.holds, ["other"]);
    assert_eq!(facts.automatic, ["unattended-upgrades"]);
    assert_eq!(facts.broken, Vec::<String>::new());
    assert_eq!(facts.free["/boot"], 1 << 20);
    assert!(facts.free["/"] > 0);
    assert!(facts.last_patched.is_some());
}

#[test]
fn the_kernel_that_runs_is_never_removed() {
    let scratch = scratch();
    scratch.sh("BOOT=yes; deb /srv/apt linux-image-new 1.0; publish");
    scratch.refresh();
    assert_eq!(scratch.install(&wanted(&["linux-image-new=1.0"])).0, Verdict::Done);
    let back = Order { back: true, ..wanted(&["linux-image-new-"]) };
    let why = (Verdict::Refused, "it would remove linux-image-new, the kernel that runs".to_owned());
    assert_eq!(scratch.rehearse(&back), Err(why.clone()));
    assert_eq!(scratch.install(&back), why);
}
