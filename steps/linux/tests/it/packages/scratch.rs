//! A root folder to try package managers in: this machine's own, seen through a layer that takes every change, with an
//! empty package database and local repositories. It is gone with the test, however that ends.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    time::Duration,
};

use runbook_linux::packages::{self, Kind, PackageManager, Printed, Work};
use runbook_steps::ports::linux::{Change, Manager, Order, Package, Verdict, Wanted};
use serde_json::Value;

pub(super) struct Scratch {
    holder: Child,
    root: tempfile::TempDir,
    pub(super) manager: &'static dyn PackageManager,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The holder ends with its standard input, the mounts with it.
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

impl Scratch {
    pub(super) fn new(manager: Manager) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", include_str!("scratch.sh"), "scratch"])
            .arg(root.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        assert_eq!(
            line, "ready\n",
            "a scratch root needs the rights of root, mount name spaces and overlayfs"
        );
        let scratch = Self { holder, root, manager: packages::of(manager) };
        scratch.sh("mkdir -p /srv/apt /srv/apt-security /srv/rpm");
        scratch
    }

    pub(super) fn command(&self, script: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--mount", "--target", &self.holder.id().to_string(), "/usr/sbin/chroot"])
            .arg(self.root.path().join("merged"))
            .args(["/bin/sh", "-c", script])
            .env_clear()
            // What a host's own environment says must not matter.
            .env("LANG", "de_DE.UTF-8")
            .env("PATH", "/usr/bin:/bin");
        command
    }

    /// Runs a script in it.
    pub(super) fn run(&self, script: &str) -> Printed {
        let out = self.command(script).stdin(Stdio::null()).output().expect("nsenter starts");
        Printed {
            code: out.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&out.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
        }
    }

    /// Runs a script that must work; gives what it printed.
    pub(super) fn sh(&self, script: &str) -> String {
        let script =
            format!("set -e; PATH=/usr/sbin:/usr/bin:/sbin:/bin; export PATH LC_ALL=C\n{TOOLS}\n{script}");
        let printed = self.run(&script);
        assert_eq!(printed.code, 0, "{printed:#?}");
        printed.stdout
    }

    /// Holds an fcntl lock on a file, until what this gives is dropped.
    pub(super) fn lock(&self, path: &str) -> Held {
        let script = format!(
            "exec python3 -c 'import fcntl, sys\nf = open(\"{path}\", \"a\")\nfcntl.lockf(f, fcntl.LOCK_EX)\n\
             print(\"held\", flush=True)\nsys.stdin.read()'"
        );
        let mut child = self
            .command(&script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("nsenter starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        assert_eq!(line, "held\n");
        Held(child)
    }

    pub(super) fn work(&self, work: &Work<'_>) -> (Verdict, String, Value) {
        let kind = match work {
            Work::Refresh { .. } => Kind::Refresh,
            Work::Install { .. } => Kind::Install,
            Work::Repair { .. } => Kind::Repair,
            Work::Keep { .. } => Kind::Keep,
        };
        let printed = self.run(&self.manager.job(work));
        let judged = self.manager.judge(kind, &printed);
        // Seen only where a test fails.
        println!("{kind:?}: {judged:?}\n{printed:#?}");
        judged
    }

    pub(super) fn refresh(&self) {
        let (verdict, cause, _) = self.work(&Work::Refresh { lock_wait: NO_WAIT });
        assert_eq!((verdict, cause.as_str()), (Verdict::Done, ""));
    }

    pub(super) fn install(&self, order: &Order) -> (Verdict, String) {
        let (verdict, cause, _) = self.work(&Work::Install { order, marker: "patch-7k2m" });
        (verdict, cause)
    }

    pub(super) fn rehearse(&self, order: &Order) -> Result<Vec<Change>, (Verdict, String)> {
        let printed = self.run(&self.manager.rehearse(order));
        println!("rehearsal: {printed:#?}");
        self.manager.read_rehearsal(&printed)
    }

    pub(super) fn keep(&self, packages: &[Package], token: &str) -> (Verdict, String, Value) {
        let folder = packages::kept_folder(token);
        self.sh(&format!("mkdir -p {folder}"));
        self.work(&Work::Keep { packages, folder: &folder })
    }

    pub(super) fn packages(&self) -> Vec<Package> {
        let printed = self.run(&self.manager.packages());
        self.manager.read_packages(&printed.stdout).expect("a list")
    }

    /// `name=version` of everything that is installed.
    pub(super) fn installed(&self) -> Vec<String> {
        self.packages().iter().map(|package| format!("{}={}", package.name, package.version)).collect()
    }
}

/// Shell functions for the tests.
const TOOLS: &str = include_str!("tools.sh");

pub(super) const NO_WAIT: Duration = Duration::ZERO;

/// A process that holds a lock.
pub(super) struct Held(Child);

impl Held {
    /// The number of its process: that of nsenter, which becomes it.
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(mut stdin) = self.0.stdin.take() {
            let _ = stdin.flush();
        }
        let _ = self.0.wait();
    }
}

/// An order of `name=version`, or `name-` for what is not to be there.
pub(super) fn order(arch: &str, wanted: &[&str]) -> Order {
    let one = |wanted: &&str| match wanted.split_once('=') {
        Some((name, version)) => {
            Wanted { name: name.into(), arch: arch.into(), version: Some(version.into()) }
        }
        None => Wanted { name: wanted.trim_end_matches('-').into(), arch: arch.into(), version: None },
    };
    Order { wanted: wanted.iter().map(one).collect(), ..Order::default() }
}

/// Changes as `name: from -> to`.
pub(super) fn lines(changes: &[Change]) -> Vec<String> {
    let shown = |version: &Option<String>| version.clone().unwrap_or_else(|| "none".into());
    changes
        .iter()
        .map(|change| format!("{}: {} -> {}", change.name, shown(&change.from), shown(&change.to)))
        .collect()
}
