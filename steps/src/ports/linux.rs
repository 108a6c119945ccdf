//! Hosts of our own: what they are asked and told, in Linux's own terms.
//!
//! Questions only read and may be asked again. What changes a host, or takes long, is a [`Job`]: it is started at most
//! once, runs on without us, and is found again by its token.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use runbook_engine::target::Target;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fault::{Fault, FaultKind};

pub mod version;

/// Hosts of our own.
///
/// What a [`Fault`] means here: `NotSent` no connection was made, nothing ran; `Ambiguous` the connection broke, a job
/// may have been started; `Target` the host is not the one that is known (its host key) or cannot do this; `Denied` it
/// does not let us in, or does not give us the rights (`sudo` wants a password); `Busy` another job of ours, or a
/// package manager, holds the host; `NotFound` what was asked for is not there; `Invalid` the request is wrong.
#[async_trait]
pub trait Linux: Send + Sync {
    /// What the host is, and how it stands.
    ///
    /// # Errors
    /// [`Fault`].
    async fn facts(&self, host: &Target) -> Result<Facts, Fault>;

    /// The boot id alone: the cheapest question there is.
    ///
    /// # Errors
    /// [`Fault`].
    async fn boot(&self, host: &Target) -> Result<String, Fault>;

    /// Every installed package, sorted by name and architecture.
    ///
    /// # Errors
    /// [`Fault`].
    async fn packages(&self, host: &Target) -> Result<Vec<Package>, Fault>;

    /// What newer versions the package manager's lists know, as they are now ([`Deed::Refresh`] brings them up to date).
    /// What is held back by the host's own holds is in it, and says so.
    ///
    /// # Errors
    /// [`Fault`].
    async fn pending(&self, host: &Target) -> Result<Vec<Update>, Fault>;

    /// What the package manager would do for this order: its own dry run. Empty: nothing is to be done.
    ///
    /// # Errors
    /// [`Fault`]; `NotFound` where a version is not to be had, `Invalid` where the order cannot be carried out (it would
    /// remove something, or break a dependency), with the package manager's words.
    async fn rehearse(&self, host: &Target, order: &Order) -> Result<Vec<Change>, Fault>;

    /// How a service stands.
    ///
    /// # Errors
    /// [`Fault`]; `NotFound` where there is none of this name.
    async fn service(&self, host: &Target, name: &str) -> Result<ServiceState, Fault>;

    /// Runs a short script that only reads, now, in the session itself; it is ended after `within`.
    ///
    /// # Errors
    /// [`Fault`]; how the script exits is no fault.
    async fn look(&self, host: &Target, look: &Look) -> Result<Seen, Fault>;

    /// The lines of a log since then that match one of these patterns (extended regular expressions), oldest first, at
    /// most `most`.
    ///
    /// # Errors
    /// [`Fault`]; `NotFound` where there is no such log; a log that cannot be read as a whole is never one without lines.
    async fn log(&self, host: &Target, asked: &LogAsked) -> Result<Vec<String>, Fault>;

    /// Starts a job, unless one was started under its token before; returns when it is started, not when it ended.
    ///
    /// # Errors
    /// [`Fault`]; with `Ambiguous` it may have been started: [`Linux::progress`] knows.
    async fn start(&self, host: &Target, job: &Job) -> Result<(), Fault>;

    /// How the job of this token stands.
    ///
    /// # Errors
    /// [`Fault`].
    async fn progress(&self, host: &Target, token: &str) -> Result<Progress, Fault>;

    /// Asks a job to end (TERM, then KILL, to all of its processes). Never for a package transaction: what is killed in
    /// the middle of one leaves a broken host.
    ///
    /// # Errors
    /// [`Fault`].
    async fn end(&self, host: &Target, token: &str) -> Result<(), Fault>;

    /// Deletes what the host keeps of a job that has ended: its result is journaled, nobody will ask again. What was
    /// never started is forgotten already.
    ///
    /// # Errors
    /// [`Fault`]; `Busy` while it runs.
    async fn forget(&self, host: &Target, token: &str) -> Result<(), Fault>;
}

/// What a host is, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// `ID` of os-release: `debian`, `rocky`, `sles`.
    pub os: String,
    /// `VERSION_ID`: `12`, `9.4`; empty where it has none.
    pub os_version: String,
    /// `PRETTY_NAME`.
    pub os_name: String,
    /// As its package manager calls it: `amd64`, `x86_64`.
    pub arch: String,
    /// `uname -r`.
    pub kernel: String,
    /// Its boot id.
    pub boot_id: String,
    /// What installs packages on it.
    pub manager: Manager,
    /// Its root is read-only and patched by transactional-update: plain zypper refuses.
    pub transactional: bool,
    /// systemd runs.
    pub systemd: bool,
    /// Why it must be rebooted, in the host's words; empty: it must not, as far as it knows.
    pub reboot_needed: Vec<String>,
    /// Units that failed.
    pub failed_units: Vec<String>,
    /// Free bytes by mount point, of `/`, `/var`, `/boot` where they are file systems of their own.
    pub free: BTreeMap<String, u64>,
    /// Packages that are not to be changed (`apt-mark hold`, versionlock, zypper locks), as the host writes them.
    pub holds: Vec<String>,
    /// What installs packages by itself and is active: `unattended-upgrades`, `dnf-automatic`, `packagekit`.
    pub automatic: Vec<String>,
    /// Packages that an earlier transaction left half done.
    pub broken: Vec<String>,
    /// When packages were last changed.
    pub last_patched: Option<Timestamp>,
    /// Ways to bring the host back that are to be had on it, best first: `snapper`, `btrfs`, `lvm-thin`, `lvm`, `restic`.
    pub snapshots: Vec<String>,
    /// The packages that hold the kernel that it runs on, where the host can tell: those of rpm.
    pub running: Vec<Package>,
    /// Names of packages that are installed beside their former versions: kernels of rpm.
    pub several: Vec<String>,
}

impl Facts {
    /// What packages are made for: id, major version and architecture: `debian-12-amd64`. What was tested on one
    /// machine says nothing of a machine of another platform.
    pub fn platform(&self) -> String {
        let major = self.os_version.split('.').next().unwrap_or_default();
        [self.os.as_str(), major, self.arch.as_str()]
            .iter()
            .filter(|part| !part.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join("-")
    }
}

/// What installs packages on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Manager {
    /// Debian, Ubuntu.
    Apt,
    /// RHEL 8 to 10 and its kin, Amazon Linux 2023.
    Dnf,
    /// Fedora 41 and later.
    Dnf5,
    /// RHEL 7, Amazon Linux 2.
    Yum,
    /// SLES, openSUSE.
    Zypper,
}

impl Manager {
    /// Its name, as one types it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apt => "apt",
            Self::Dnf => "dnf",
            Self::Dnf5 => "dnf5",
            Self::Yum => "yum",
            Self::Zypper => "zypper",
        }
    }
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its name, without the architecture.
    pub name: String,
    /// `amd64`, `all`, `x86_64`, `noarch`.
    pub arch: String,
    /// Its whole version: with the epoch where it is not 0, and the release (rpm: `epoch:version-release`).
    pub version: String,
}

/// A newer version that the package manager knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// The package.
    pub name: String,
    /// Its architecture.
    pub arch: String,
    /// What is installed; absent: it would come along newly.
    pub from: Option<String>,
    /// What would be installed.
    pub to: String,
    /// It repairs a vulnerability, by what the distribution says (suite, advisory or patch category).
    pub security: bool,
    /// The highest severity that its advisories state; absent where the distribution states none (apt).
    pub severity: Option<Severity>,
    /// Ids of its advisories.
    pub advisories: Vec<String>,
    /// When the first of them was issued; absent where the distribution does not say (apt).
    pub issued: Option<Timestamp>,
    /// Where it comes from, in the package manager's words.
    pub origin: String,
    /// The host itself holds it back.
    pub held: bool,
}

/// How bad a vulnerability is: the words of Red Hat's and SUSE's advisories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Low.
    Low,
    /// Moderate.
    Moderate,
    /// Important.
    Important,
    /// Critical.
    Critical,
}

/// What packages are to be at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Exactly these versions. What must come along with them is the package manager's choice, and is seen in
    /// [`Linux::rehearse`]; with everything that it named in here, nothing is left to choose.
    pub wanted: Vec<Wanted>,
    /// Going back to a lower version is allowed, and removing what came newly.
    pub back: bool,
    /// Also what the host itself holds back.
    pub held_too: bool,
    /// What to do where a configuration file was changed on the host and the package brings another one.
    pub config_files: ConfigFiles,
    /// Package files that the host keeps, by the token of the [`Deed::Keep`] that put them there, are used before any
    /// repository.
    pub kept: Option<String>,
    /// How long to wait for the locks of package managers.
    pub lock_wait: Duration,
}

/// One package as it is to be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Wanted {
    /// The package.
    pub name: String,
    /// Its architecture.
    pub arch: String,
    /// This very version; absent: it is not to be there.
    pub version: Option<String>,
}

/// What to do where a configuration file was changed on the host and the package brings another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConfigFiles {
    /// The host's own stays; the package's lies beside it (`.dpkg-dist`, `.rpmnew`).
    #[default]
    Keep,
    /// The package's is taken; the host's own lies beside it (`.dpkg-old`, `.rpmsave`). rpm decides by itself which
    /// files it treats so: there it means the same as `keep`, and says so.
    Replace,
}

/// A change of one package, made or to be made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// The package.
    pub name: String,
    /// Its architecture.
    pub arch: String,
    /// What was there; absent: nothing.
    pub from: Option<String>,
    /// What is there then; absent: nothing.
    pub to: Option<String>,
}

/// How a service stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// It runs.
    pub active: bool,
    /// It is started at boot; absent where the host does not say.
    pub enabled: Option<bool>,
    /// In the host's words: `active (running)`, `failed`.
    pub words: String,
}

/// A short script that only reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// POSIX sh.
    pub script: String,
    /// Added to its environment.
    pub env: BTreeMap<String, String>,
    /// With the rights of root.
    pub as_root: bool,
    /// How long it may run.
    pub within: Duration,
    /// This is how it exits where the host is healthy: a simulated world, in which no script runs, answers so.
    pub looks_for: Option<i32>,
}

/// What a [`Look`] saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Exit code; absent: it did not end in time.
    pub code: Option<i32>,
    /// The first 24,000 characters.
    pub stdout: String,
    /// The first 8,000 characters.
    pub stderr: String,
}

/// Which lines of which log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogAsked {
    /// Which log.
    pub log: Log,
    /// Lines from then on, by our own clock. A line of a file has the time that it begins with, or the line before it.
    pub since: Timestamp,
    /// Extended regular expressions; a line that matches one of them is given.
    pub patterns: Vec<String>,
    /// Lines that match one of these are left out.
    pub except: Vec<String>,
    /// At most so many lines.
    pub most: u32,
    /// A healthy host writes these lines, and a sick one does not: a simulated world, in which nothing writes logs,
    /// answers so.
    pub wanted: bool,
}

/// A log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Log {
    /// journald, of this unit; absent: of all.
    Journal {
        /// The unit.
        unit: Option<String>,
    },
    /// A file.
    File {
        /// Its path.
        path: String,
    },
}

/// Work on a host that is done at most once, and goes on without us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// What makes it run at most once: a name made of letters, digits and `-`, at most 64 characters.
    pub token: String,
    /// The run, for whoever looks at the host.
    pub run: String,
    /// It changes the host: one such job at a time on each host, whoever started it.
    pub exclusive: bool,
    /// What is to be done.
    pub deed: Deed,
}

/// What is to be done on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Brings the package manager's lists up to date.
    Refresh {
        /// How long to wait for its locks.
        lock_wait: Duration,
    },
    /// Changes packages.
    Install(Order),
    /// Ends what an interrupted transaction left half done (`dpkg --configure -a` and the like).
    Repair {
        /// How long to wait for locks.
        lock_wait: Duration,
    },
    /// Puts the package files of these versions aside on the host, so that they can be installed again when no
    /// repository has them any more. Its [`Ended::told`]: `{ "kept": [Package…], "missing": [Package…], "bytes": n }`.
    Keep {
        /// What is installed now.
        packages: Vec<Package>,
        /// Until when they are needed.
        until: Option<Timestamp>,
    },
    /// Runs a script of the runbook.
    Script {
        /// POSIX sh, or whatever its first line (`#!`) says.
        script: String,
        /// Added to its environment.
        env: BTreeMap<String, String>,
        /// With the rights of root.
        as_root: bool,
        /// It only looks, and this is how it exits on a healthy host (see [`Look::looks_for`]).
        looks_for: Option<i32>,
    },
    /// Reboots, a few seconds after the job has ended.
    Reboot,
    /// Brings a service into a state: `start`, `stop`, `restart`, `reload`, `enable`, `disable`.
    Service {
        /// The unit or init script.
        name: String,
        /// In systemctl's words.
        verb: String,
    },
    /// Puts a file in its place, whole or not at all. By no link that others than root may have made. Its [`Ended::told`]:
    /// `{ "changed": bool }`.
    File(FileDeed),
    /// Makes a snapshot that the host can be brought back to. Its [`Ended::told`] is what [`Deed::Revert`] wants.
    Capture(Capture),
    /// Brings the host back to a snapshot. Its [`Ended::told`]: `reboot` (`yes`: it takes effect with the next boot), and
    /// where the host can tell, as lists: `lost`, `lost_file` (written since), `former` (where what was there is kept).
    Revert(Revert),
    /// Deletes a snapshot, or kept package files.
    Discard(Revert),
}

/// A file to be put in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDeed {
    /// Absolute.
    pub path: String,
    /// What it holds; absent: it is not to be there.
    pub content: Option<String>,
    /// Octal: `0644`; absent: as before, or `0644`.
    pub mode: Option<String>,
    /// `user` or `user:group`; absent: as before, or root.
    pub owner: Option<String>,
}

/// A snapshot to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// `snapper`, `btrfs`, `lvm`, `lvm-thin`, `restic`, `libvirt`.
    pub method: String,
    /// The marker that finds it again.
    pub token: String,
    /// For people who see it on the host.
    pub description: String,
    /// Until when it is needed.
    pub until: Option<Timestamp>,
    /// What the method wants besides: `size` of an LVM snapshot, `repository` and `paths` of restic, `domain` of libvirt,
    /// `before` and `after` hooks.
    pub options: BTreeMap<String, Value>,
    /// Secrets by the name of the environment variable that holds them on the host (`RESTIC_PASSWORD`): by the NAME of
    /// the secret, which the adapter resolves and hands over in memory.
    pub secrets: BTreeMap<String, String>,
}

/// A snapshot to go back to, or to be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revert {
    /// As in [`Capture::method`], or `packages` for what [`Deed::Keep`] put aside.
    pub method: String,
    /// The marker of what it goes back to.
    pub token: String,
    /// What [`Deed::Capture`] told.
    pub captured: Value,
    /// What the method wants besides.
    pub options: BTreeMap<String, Value>,
    /// As in [`Capture::secrets`].
    pub secrets: BTreeMap<String, String>,
}

/// What is known of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It was never started under this token.
    Absent,
    /// It runs.
    Running {
        /// The last line that it printed.
        last: Option<String>,
    },
    /// It ended.
    Ended(Ended),
    /// It was started, does not run, and left no result: the host went down while it ran, or it was killed.
    Lost {
        /// The host has another boot id than when it was started.
        rebooted: bool,
    },
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Exit code; 128 + signal where a signal ended it.
    pub code: i32,
    /// What that means, by the tool that was run.
    pub verdict: Verdict,
    /// One lower-case sentence in the tool's own words where it failed; empty else.
    pub cause: String,
    /// What it made, as its deed documents; `Null` where it tells nothing.
    pub told: Value,
    /// The first 24,000 characters.
    pub stdout: String,
    /// The first 8,000 characters.
    pub stderr: String,
    /// When it ended, by our clock.
    pub ended_at: Option<Timestamp>,
}

/// What the end of a job means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It worked.
    Done,
    /// Another process held the package manager's lock all the time; nothing was done.
    Locked,
    /// There was no room left.
    DiskFull,
    /// A version, file or snapshot is not to be had; nothing was done.
    Missing,
    /// The tool refused before it changed anything.
    Refused,
    /// Something was changed, not everything.
    Partly,
    /// It failed, and nothing more is known.
    Failed,
}

/// A world without hosts of our own.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHosts;

impl NoHosts {
    fn refused<T>(host: &Target) -> Result<T, Fault> {
        Err(Fault {
            call: "ssh:connect",
            kind: FaultKind::Unsupported,
            code: None,
            message: format!("{} cannot be reached: this world has no hosts of its own", host.name),
        })
    }
}

#[async_trait]
impl Linux for NoHosts {
    async fn facts(&self, host: &Target) -> Result<Facts, Fault> {
        Self::refused(host)
    }
    async fn boot(&self, host: &Target) -> Result<String, Fault> {
        Self::refused(host)
    }
    async fn packages(&self, host: &Target) -> Result<Vec<Package>, Fault> {
        Self::refused(host)
    }
    async fn pending(&self, host: &Target) -> Result<Vec<Update>, Fault> {
        Self::refused(host)
    }
    async fn rehearse(&self, host: &Target, _: &Order) -> Result<Vec<Change>, Fault> {
        Self::refused(host)
    }
    async fn service(&self, host: &Target, _: &str) -> Result<ServiceState, Fault> {
        Self::refused(host)
    }
    async fn look(&self, host: &Target, _: &Look) -> Result<Seen, Fault> {
        Self::refused(host)
    }
    async fn log(&self, host: &Target, _: &LogAsked) -> Result<Vec<String>, Fault> {
        Self::refused(host)
    }
    async fn start(&self, host: &Target, _: &Job) -> Result<(), Fault> {
        Self::refused(host)
    }
    async fn progress(&self, host: &Target, _: &str) -> Result<Progress, Fault> {
        Self::refused(host)
    }
    async fn end(&self, host: &Target, _: &str) -> Result<(), Fault> {
        Self::refused(host)
    }
    async fn forget(&self, host: &Target, _: &str) -> Result<(), Fault> {
        Self::refused(host)
    }
}
