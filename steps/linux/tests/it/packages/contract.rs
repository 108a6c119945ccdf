//! dnf 5 and yum 3, which cannot be had on Debian, and codes that zypper does not give here: stand-ins that know the documented command lines, and print what the
//! real ones are documented, or were seen, to print. A command line that they do not know ends them with code 64.

use runbook_linux::{facts, packages::Work};
use runbook_steps::ports::linux::{Manager, Order, Severity, Verdict};

use super::scratch::{NO_WAIT, Scratch, lines, order};

fn scratch(manager: Manager, name: &str, stand_in: &str) -> Scratch {
    let scratch = Scratch::new(manager);
    scratch.sh(&format!(
        "rpm_ app 1.0-1; rpm_ lib 1.0-1; rpm_ other 1:1.0-1; rpm_ app 1.1-1; rpm -i --nodeps /srv/rpm/*-1.0-1.x86_64.rpm
         mkdir -p /usr/local/bin; cat >/usr/local/bin/{name} <<'STAND_IN'\n#!/bin/sh\n{stand_in}\nSTAND_IN
         chmod +x /usr/local/bin/{name}"
    ));
    scratch
}

const DNF5: &str = r#"
case "$*" in
--version) echo 'dnf5 version 5.2.6.2' ;;
*' repoquery --upgrades '*)
    printf 'app\tx86_64\t0:1.1-1\tupdates\nother\tx86_64\t1:1.2-1\tupdates\n' ;;
*' advisory list --updates --json') cat <<'END'
[
  {"name":"FEDORA-2026-1","type":"security","severity":"Important","nevra":"app-1.1-1.x86_64","buildtime":"2026-01-02 03:04:05"},
  {"name":"FEDORA-2026-2","type":"bugfix","severity":"None","nevra":"other-1:1.2-1.x86_64","buildtime":1767323045}
]
END
    ;;
*' --assumeno --setopt=installonly_limit=0 install --allow-downgrade app-1.1-1.x86_64') cat <<'END'
Updating and loading repositories:
 Fedora 41 - x86_64 - Updates           100% |   1.2 MiB/s |   5.5 MiB |  00m04s
Repositories loaded.
Package            Arch   Version       Repository      Size
Upgrading:
 app               x86_64 1.1-1         updates    807.4 KiB
   replacing app   x86_64 1.0-1         <unknown>  807.5 KiB
Installing dependencies:
 extra             noarch 2:0.5-3.fc41  fedora      50.0 KiB

Transaction Summary:
 Installing:        1 package
 Upgrading:         1 package
 Replacing:         1 package

Total size of inbound packages is 300 KiB. Need to download 300 KiB.
END
    echo 'Operation aborted by the user.' >&2; exit 1 ;;
*' -y --comment=patch-7k2m --setopt=installonly_limit=0 install --allow-downgrade app-1.1-1.x86_64') rpm -U /srv/rpm/app-1.1-1.x86_64.rpm ;;
*' install --allow-downgrade app-9-1.x86_64')
    printf 'Failed to resolve the transaction:\nNo match for argument: app-9-1.x86_64\nYou can try to add to command line:\n  --skip-unavailable to skip unavailable packages\n' >&2; exit 1 ;;
*' makecache') echo 'Metadata cache created.' ;;
*' needs-restarting') printf 'Core libraries or services have been updated since boot-up:\n  * kernel-core\n\nReboot is required to fully utilize these updates.\nMore information: https://access.redhat.com/solutions/27943\n'; exit 1 ;;
*) echo "unknown: $*" >&2; exit 64 ;;
esac
"#;

#[test]
fn dnf_5_by_its_documents() {
    let scratch = scratch(Manager::Dnf5, "dnf5", DNF5);
    let printed = scratch.run(&scratch.manager.pending());
    let pending =
        scratch.manager.read_pending(&printed).unwrap_or_else(|why| panic!("{why:?}: {printed:#?}"));
    let shown: Vec<_> = pending
        .iter()
        .map(|one| (one.name.as_str(), one.from.as_deref(), one.to.as_str(), one.security, one.severity))
        .collect();
    assert_eq!(
        shown,
        [
            ("app", Some("1.0-1"), "1.1-1", true, Some(Severity::Important)),
            ("other", Some("1:1.0-1"), "1:1.2-1", false, None),
        ]
    );
    // Text before dnf 5.3, seconds since.
    assert_eq!(pending[0].issued, pending[1].issued);

    let app = order("x86_64", &["app=1.1-1"]);
    let changes = scratch.rehearse(&app).expect("a rehearsal");
    assert_eq!(lines(&changes), ["app: 1.0-1 -> 1.1-1", "extra: none -> 2:0.5-3.fc41"]);
    assert_eq!(scratch.install(&app), (Verdict::Done, String::new()));
    let (verdict, cause) = scratch.install(&order("x86_64", &["app=9-1"]));
    assert_eq!((verdict, cause.as_str()), (Verdict::Missing, "no match for app-9-1.x86_64"));
    let (verdict, _, _) = scratch.work(&Work::Refresh { lock_wait: NO_WAIT });
    assert_eq!(verdict, Verdict::Done);

    scratch.sh("printf 'ID=fedora\\nVERSION_ID=41\\n' >/etc/os-release; mv /usr/bin/dnf /usr/bin/dnf-there
         ln -s dnf5 /usr/local/bin/dnf");
    let printed = scratch.run(facts::SCRIPT);
    let facts = facts::read(&printed.stdout).expect("facts");
    assert_eq!(facts.manager, Manager::Dnf5);
    assert_eq!(facts.reboot_needed, ["kernel-core has been updated"]);
}

const YUM: &str = r#"
case "$*" in
'-q -C check-update') cat <<'END'

app.x86_64                       1.1-1                                   updates
a-package-with-a-name-that-is-too-long-for-it.noarch
                                 20200101-1.el7                          base
other.x86_64                     1:1.2-1                                 updates
Obsoleting Packages
app.x86_64                       1.1-1                                   updates
    old-app.x86_64               0.9-1                                   installed
END
    exit 100 ;;
'-q -C updateinfo list updates') printf 'RHSA-2026:1 Critical/Sec. app-1.1-1.x86_64\nRHBA-2026:2 bugfix        other-1:1.2-1.x86_64\n' ;;
'-q -C updateinfo info updates') cat <<'END'
===============================================================================
  Critical: app security update
===============================================================================
  Update ID : RHSA-2026:1
    Release : 0
       Type : security
     Status : final
     Issued : 2026-01-02 03:04:05
       CVEs : CVE-2026-1
Description : Says: much
   Severity : Critical
END
    ;;
'--setopt=exit_on_lock=1 --assumeno --setopt=installonly_limit=0 install app-1.1-1.x86_64') cat <<'END'
Resolving Dependencies
--> Running transaction check

Dependencies Resolved

================================================================================
 Package
      Arch   Version        Repository                                     Size
================================================================================
Updating:
 app  x86_64 1.1-1          updates                                       1.0 M
Installing for dependencies:
 a-package-with-a-name-that-is-too-long-for-it
      noarch 20200101-1.el7 base                                           10 k

Transaction Summary
================================================================================
Install             ( 1 Dependent package)
Upgrade  1 Package

Total download size: 1.0 M
Exiting on user command
Your transaction was saved, rerun it with:
 yum load-transaction /tmp/yum_save_tx.2026-01-02.03-04.abc.yumtx
END
    exit 1 ;;
'--setopt=exit_on_lock=1 -y --setopt=installonly_limit=0 install app-1.1-1.x86_64') rpm -U /srv/rpm/app-1.1-1.x86_64.rpm ;;
*' install app-9-1.x86_64') printf 'No package app-9-1.x86_64 available.\n'; echo 'Error: Nothing to do' >&2; exit 1 ;;
*' install other-1:1.2-1.x86_64')
    printf 'Existing lock /var/run/yum.pid: another copy is running as pid 7.\n' >&2; exit 200 ;;
'--setopt=exit_on_lock=1 --assumeno --setopt=installonly_limit=0 --setopt=clean_requirements_on_remove=False shell '*)
    grep -q -x 'downgrade app-1.0-1.x86_64' "$6" && grep -q -x 'remove lib-1.0-1.x86_64' "$6" || exit 64
    printf 'Dependencies Resolved\n\n====\n Package Arch Version Repository Size\n====\nRemoving:\n lib x86_64 1.0-1 @base 16\nDowngrading:\n app x86_64 1.0-1 base 1.0 M\n\nTransaction Summary\n====\nExiting on user command\n' ;;
*) echo "unknown: $*" >&2; exit 64 ;;
esac
"#;

#[test]
fn yum_3_by_its_documents() {
    let scratch = scratch(Manager::Yum, "yum", YUM);
    let printed = scratch.run(&scratch.manager.pending());
    let pending =
        scratch.manager.read_pending(&printed).unwrap_or_else(|why| panic!("{why:?}: {printed:#?}"));
    let shown: Vec<_> = pending
        .iter()
        .map(|one| (one.name.as_str(), one.from.as_deref(), one.to.as_str(), one.severity))
        .collect();
    assert_eq!(
        shown,
        [
            ("a-package-with-a-name-that-is-too-long-for-it", None, "20200101-1.el7", None),
            ("app", Some("1.0-1"), "1.1-1", Some(Severity::Critical)),
            ("other", Some("1:1.0-1"), "1:1.2-1", None),
        ]
    );
    assert_eq!(pending[1].issued, "2026-01-02T03:04:05Z".parse().ok());

    let app = order("x86_64", &["app=1.1-1"]);
    let changes = scratch.rehearse(&app).expect("a rehearsal");
    assert_eq!(
        lines(&changes),
        ["a-package-with-a-name-that-is-too-long-for-it: none -> 20200101-1.el7", "app: 1.0-1 -> 1.1-1"]
    );
    assert_eq!(scratch.install(&app), (Verdict::Done, String::new()));
    let (verdict, cause) = scratch.install(&order("x86_64", &["app=9-1"]));
    assert_eq!((verdict, cause.as_str()), (Verdict::Missing, "no package app-9-1.x86_64 available"));
    let (verdict, cause) = scratch.install(&order("x86_64", &["other=1:1.2-1"]));
    assert_eq!(verdict, Verdict::Locked);
    assert_eq!(cause, "existing lock /var/run/yum.pid: another copy is running as pid 7");

    let mut back = order("x86_64", &["app=1.0-1", "lib-"]);
    back.back = true;
    let changes = scratch.rehearse(&back).expect("a rehearsal");
    assert_eq!(lines(&changes), ["app: 1.1-1 -> 1.0-1", "lib: 1.0-1 -> none"]);
}

/// What it is to end with stands in /tmp/codes, a line for each time that it is asked to install; the last time it does.
const ZYPPER: &str = r#"
case "$*" in
'help install') cat /tmp/help ;;
*' install --auto-agree-with-licenses '*)
    echo "$*" >>/tmp/asked
    code=$(head -n 1 /tmp/codes)
    sed -i 1d /tmp/codes
    [ -s /tmp/codes ] || rpm -U /srv/rpm/app-1.1-1.x86_64.rpm 2>/dev/null
    exit "$code" ;;
*needs-rebooting) echo 'Reboot is suggested to ensure that your system benefits from these updates.'; exit 102 ;;
*) echo "unknown: $*" >&2; exit 64 ;;
esac
"#;

#[test]
fn what_the_codes_of_zypper_mean() {
    let app = order("x86_64", &["app=1.1-1"]);
    for (codes, verdict, cause, asked) in [
        ("0", Verdict::Done, "", 1),
        ("102", Verdict::Done, "", 1),
        // zypper itself was renewed: the rest is still to be done.
        ("103\\n103\\n0", Verdict::Done, "", 3),
        ("106", Verdict::Done, "", 1),
        ("107", Verdict::Partly, "the script of a package failed", 1),
        ("8", Verdict::Partly, "zypper ended with code 8", 1),
        // It never ends, and nothing was installed.
        ("103\\n103\\n103\\n103\\n103\\n103", Verdict::Failed, "zypper ended with code 103", 5),
        ("5\\n5", Verdict::Failed, "zypper ended with code 5", 1),
        ("105\\n5", Verdict::Failed, "zypper ended with code 105", 1),
    ] {
        let scratch = scratch(Manager::Zypper, "zypper", ZYPPER);
        scratch.sh(&format!("printf '{codes}\\n' >/tmp/codes"));
        assert_eq!(scratch.install(&app), (verdict, cause.to_owned()), "{codes}");
        assert_eq!(scratch.sh("wc -l </tmp/asked").trim(), asked.to_string(), "{codes}");
    }
    let scratch = scratch(Manager::Zypper, "zypper", ZYPPER);
    scratch.sh("printf 'ID=sles\\nVERSION_ID=15.6\\n' >/etc/os-release");
    let facts = facts::read(&scratch.run(facts::SCRIPT).stdout).expect("facts");
    assert_eq!(facts.reboot_needed, ["core libraries or services have been updated"]);
}

#[test]
fn zypper_is_told_only_what_its_version_knows() {
    let scratch = scratch(Manager::Zypper, "zypper", ZYPPER);
    scratch.sh("mkdir -p /var/lib/runbook/kept/kept-1; cp /srv/rpm/app-1.1-1.x86_64.rpm /var/lib/runbook/kept/kept-1");
    let repository = order("x86_64", &["app=1.1-1"]);
    let kept = Order { kept: Some("kept-1".into()), back: true, ..repository.clone() };
    let option = "    --allow-unsigned-rpm    Silently install unsigned rpm packages";
    for (help, order, is_told) in [("", &kept, false), (option, &repository, false), (option, &kept, true)] {
        scratch.sh(&format!("echo '{help}' >/tmp/help; echo 0 >/tmp/codes; rm -f /tmp/asked"));
        scratch.install(order);
        let asked = scratch.sh("cat /tmp/asked");
        assert_eq!(asked.contains("--allow-unsigned-rpm"), is_told, "{help}: {asked}");
        assert_eq!(asked.contains("/var/lib/runbook/kept/kept-1/app-1.1-1.x86_64.rpm"), order.kept.is_some());
    }
}
