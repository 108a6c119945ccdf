//! The package managers of rpm that are run for real, and where what they say or are told is not the same.

use runbook_linux::facts;
use runbook_steps::ports::linux::{Facts, Manager, Order, Update};

use super::scratch::{Scratch, order};

/// It is too long for one line of dnf's tables.
pub(super) const LONG: &str = "extra-with-a-name-that-is-far-too-long-for-one-line-of-the-table";

/// What is installed in a scratch root at first.
pub(super) const FIRST: [&str; 3] = ["app=1.0-1", "lib=1.0-1", "other=1:1.0-1"];

pub(super) struct Family {
    pub(super) manager: Manager,
    pub(super) os_release: &'static str,
    pub(super) platform: &'static str,
    /// Reads the lists and installs what follows.
    pub(super) install: &'static str,
    /// Holds the package that follows.
    pub(super) hold: &'static str,
    /// Puts the holds where the host has them, to see that they stay.
    pub(super) holds: &'static str,
    pub(super) unhold: &'static str,
    /// Whether what needs a held package to be renewed is held, too.
    pub(super) holds_dependents: bool,
    /// What stands between the parts of an advisory's name, and what one that is no security update is.
    pub(super) advisory: (&'static str, &'static str),
    /// Where it puts package files that it got, and how it is made to forget them.
    pub(super) cache: &'static str,
    pub(super) clean: &'static str,
    /// Prints what a transaction is remembered by.
    pub(super) history: &'static str,
    /// Prints what came for the sake of others or what did not, and what is to be printed.
    pub(super) marks: (&'static str, String),
    /// A kernel, what it provides, and what makes several of them stay.
    pub(super) kernel: (&'static str, &'static str, &'static str),
    pub(super) refuses: Refuses,
}

/// Causes, or what is in them.
pub(super) struct Refuses {
    pub(super) no_version: &'static str,
    pub(super) unmet: &'static str,
    pub(super) needed: &'static str,
    pub(super) held: &'static str,
    pub(super) same_file: &'static str,
    pub(super) lower: &'static str,
    pub(super) post: &'static str,
    pub(super) pre: &'static str,
}

impl Family {
    pub(super) fn dnf() -> Self {
        Self {
            manager: Manager::Dnf,
            os_release: "ID=rocky\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\n",
            platform: "rocky-9-x86_64",
            install: "dnf -q makecache --refresh; dnf -q -y install",
            hold: "hold() { echo \"excludepkgs=$1\" >>/etc/dnf/dnf.conf; }; hold",
            holds: "grep excludepkgs /etc/dnf/dnf.conf",
            unhold: "printf '[main]\\ngpgcheck=0\\n' >/etc/dnf/dnf.conf",
            holds_dependents: false,
            advisory: (":", "bugfix None"),
            cache: "/var/cache/dnf/base-0/packages",
            clean: "",
            history: "dnf history info 2",
            marks: ("dnf -q -C repoquery --userinstalled --qf '%{name}'", "app\nother\n".to_owned()),
            kernel: ("kernel-core", "installonlypkg(kernel)", ""),
            refuses: Refuses {
                no_version: "unable to find a match: app-9-1.x86_64",
                unmet: "nothing provides nowhere needed by picky-1.0-1.x86_64",
                needed: "it would remove app, which nobody asked for",
                held: "all matches were filtered out by exclude filtering for argument: other-1:1.2-1.x86_64",
                same_file: "file /etc/app.conf from install of thief",
                lower: "it would downgrade app, downgrade lib, which nobody asked for",
                post: "error in POSTIN scriptlet in rpm package other",
                pre: "early",
            },
        }
    }

    pub(super) fn zypper() -> Self {
        Self {
            manager: Manager::Zypper,
            os_release: "ID=\"sles\"\nID_LIKE=\"suse\"\nVERSION_ID=\"15.6\"\n",
            platform: "sles-15-x86_64",
            install: "zypper -q -n refresh; >/dev/null zypper -q -n install",
            hold: "zypper -q -n addlock",
            holds: "grep solvable_name /etc/zypp/locks",
            unhold: "rm /etc/zypp/locks",
            holds_dependents: true,
            advisory: ("-", "recommended low"),
            cache: "/var/cache/zypp/packages/base",
            clean: "zypper -q -n clean",
            history: "cat /var/log/zypp/history",
            marks: ("grep -v '^#' /var/lib/zypp/AutoInstalled", format!("{LONG}\nlib\n")),
            kernel: (
                "kernel-default",
                "multiversion(kernel)",
                "printf '[main]\\nmultiversion = provides:multiversion(kernel)\\n' >/etc/zypp/zypp.conf",
            ),
            refuses: Refuses {
                no_version: "no provider of 'app.x86_64=9-1' found",
                unmet: "nothing provides nowhere needed by picky-1.0-1.x86_64",
                needed: "app-1.0-1.x86_64 requires lib = 1.0, but this requirement cannot be provided",
                held: "conflicting requests",
                same_file: "two packages have /etc/app.conf",
                lower: "the selected package 'app-1.0-1.x86_64' from repository 'base' has lower version than the installed one",
                post: "%post(other-1:1.3-1.x86_64)",
                pre: "not here",
            },
        }
    }

    /// `app` needs the very same version of `lib`; from 1.1 on also one with a long name, which is not installed.
    pub(super) fn scratch(&self) -> Scratch {
        let scratch = Scratch::new(self.manager);
        let Self { install, advisory: (dash, no_security), os_release, .. } = self;
        scratch.sh(&format!(
            "printf '%s' '{os_release}' >/etc/os-release
             rpm_ lib 1.0-1; rpm_ app 1.0-1 'Requires: lib = 1.0'; rpm_ other 1:1.0-1; rpm_ {LONG} 1.0-1
             publish_rpm; {install} app other
             rpm_ lib 1.1-1; rpm_ app 1.1-1 'Requires: lib = 1.1' 'Requires: {LONG}'; rpm_ other 1:1.1-1; rpm_ other 1:1.2-1
             advisory TEST-2026{dash}1 security Important app 1.1-1; advisory TEST-2026{dash}2 {no_security} other 1:1.2-1
             advisory TEST-2026{dash}3 security Low other 1:1.1-1; publish_rpm"
        ));
        scratch.refresh();
        scratch
    }
}

pub(super) fn wanted(names: &[&str]) -> Order {
    order("x86_64", names)
}

pub(super) fn back(names: &[&str]) -> Order {
    Order { back: true, ..wanted(names) }
}

pub(super) fn pending(scratch: &Scratch) -> Vec<Update> {
    let printed = scratch.run(&scratch.manager.pending());
    scratch.manager.read_pending(&printed).unwrap_or_else(|why| panic!("{why:?}: {printed:#?}"))
}

pub(super) fn facts(scratch: &Scratch) -> Facts {
    let printed = scratch.run(facts::SCRIPT);
    facts::read(&printed.stdout).unwrap_or_else(|why| panic!("{why}: {printed:#?}"))
}
