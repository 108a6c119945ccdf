//! Package managers: what to run, and what their words mean. Pure: no connection, no clock.

mod apt;
mod dnf;
pub(crate) mod rpm;
mod sections;
mod words;
mod zypper;

use std::time::Duration;

use runbook_steps::ports::linux::{Change, Manager, Order, Package, Update, Verdict};
use serde_json::{Value, json};

pub(crate) use sections::Sections;

/// The package manager of this kind.
pub fn of(manager: Manager) -> &'static dyn PackageManager {
    match manager {
        Manager::Apt => &apt::Apt,
        Manager::Dnf => &dnf::Dnf::Four,
        Manager::Dnf5 => &dnf::Dnf::Five,
        Manager::Yum => &dnf::Dnf::Yum,
        Manager::Zypper => &zypper::Zypper,
    }
}

/// Where a host keeps the package files that the job of this token put aside: [`Work::Keep`] wants it there and empty,
/// an order whose [`Order::kept`] is this token reads it.
pub fn kept_folder(token: &str) -> String {
    format!("/var/lib/runbook/kept/{token}")
}

/// One package manager. What it gives are scripts for POSIX sh that run with the rights of root; they set the locale and
/// the PATH themselves. What it reads is what they print: the whole of it, not only its beginning.
///
/// Every script ends with the exit code of the package manager.
pub trait PackageManager: Send + Sync {
    /// Prints every installed package.
    fn packages(&self) -> String;

    /// Reads what [`PackageManager::packages`] printed; sorted.
    ///
    /// # Errors
    /// What was not understood, as one lower-case sentence.
    fn read_packages(&self, printed: &str) -> Result<Vec<Package>, String>;

    /// Prints what newer versions the lists know; changes nothing, takes no lock of a transaction.
    fn pending(&self) -> String;

    /// Reads what [`PackageManager::pending`] printed; sorted by name.
    ///
    /// # Errors
    /// As [`PackageManager::read_rehearsal`]: a script that failed is told in the package manager's own words.
    fn read_pending(&self, printed: &Printed) -> Result<Vec<Update>, (Verdict, String)>;

    /// A dry run of an order; changes nothing.
    fn rehearse(&self, order: &Order) -> String;

    /// Reads what [`PackageManager::rehearse`] printed; sorted.
    ///
    /// # Errors
    /// Why the order cannot be carried out: [`Verdict::Missing`], [`Verdict::Refused`], [`Verdict::Locked`],
    /// [`Verdict::DiskFull`] or [`Verdict::Failed`], with the tool's own words.
    fn read_rehearsal(&self, printed: &Printed) -> Result<Vec<Change>, (Verdict, String)>;

    /// The script of a job that this manager carries out.
    fn job(&self, work: &Work<'_>) -> String;

    /// What the end of such a job means: verdict, cause (empty when it worked), and what it tells.
    fn judge(&self, work: Kind, printed: &Printed) -> (Verdict, String, Value);
}

/// What a script printed, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// Exit code.
    pub code: i32,
    /// Standard output: the whole of it. What it says of the state afterwards stands at its end.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Work of a package manager that changes a host, or takes long.
#[derive(Clone, Copy, Debug)]
pub enum Work<'a> {
    /// [`runbook_steps::ports::linux::Deed::Refresh`].
    Refresh {
        /// How long to wait for locks.
        lock_wait: Duration,
    },
    /// [`runbook_steps::ports::linux::Deed::Install`]; `marker` stands in the manager's own history, where it has one
    /// that takes it.
    Install {
        /// What is asked for.
        order: &'a Order,
        /// The job's token.
        marker: &'a str,
    },
    /// [`runbook_steps::ports::linux::Deed::Repair`].
    Repair {
        /// How long to wait for locks.
        lock_wait: Duration,
    },
    /// [`runbook_steps::ports::linux::Deed::Keep`]. It ends with [`Verdict::Missing`] where a file is not to be had, and
    /// keeps the others.
    Keep {
        /// What is installed now.
        packages: &'a [Package],
        /// Absolute, without spaces: where the files go; it is there and empty. See [`kept_folder`].
        folder: &'a str,
    },
}

/// Which work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Work::Refresh`].
    Refresh,
    /// [`Work::Install`].
    Install,
    /// [`Work::Repair`].
    Repair,
    /// [`Work::Keep`].
    Keep,
}

/// Whole seconds, rounded up: a tool that is told to wait 0 seconds does not wait.
fn seconds(wait: Duration) -> String {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).to_string()
}

/// What [`Kind::Keep`] tells, from the parts `kept` and `missing` of a print; and what is missing.
fn kept(said: &Sections<'_>) -> (Value, Vec<Package>) {
    let package = |line: &str| {
        let mut words = line.split('\t');
        let (name, arch, version) = (words.next()?, words.next()?, words.next()?);
        let package = Package { name: name.into(), arch: arch.into(), version: version.into() };
        Some((package, words.next().and_then(|bytes| bytes.parse::<u64>().ok()).unwrap_or(0)))
    };
    let (kept, bytes): (Vec<Package>, Vec<u64>) = said.lines("kept").filter_map(package).unzip();
    let missing: Vec<Package> =
        said.lines("missing").filter_map(package).map(|(package, _)| package).collect();
    (
        json!({ "kept": kept, "missing": missing, "bytes": bytes.iter().fold(0, |sum: u64, each| sum.saturating_add(*each)) }),
        missing,
    )
}

/// How [`Kind::Keep`] ended, where its script came to its end.
fn keep_verdict(said: &Sections<'_>, stderr: &str) -> (Verdict, String, Value) {
    let (told, missing) = kept(said);
    if let Some(line) = stderr.lines().find(|line| words::no_room(line)) {
        return (Verdict::DiskFull, words::plain(line), told);
    }
    match missing.as_slice() {
        [] => (Verdict::Done, String::new(), told),
        [first, rest @ ..] => {
            let Package { name, version, .. } = first;
            let more = match rest.len() {
                0 => String::new(),
                more => format!(", nor those of {more} more"),
            };
            let cause = format!(
                "the package file of {name} {version} is not to be had: no repository and no cache has it{more}"
            );
            (Verdict::Missing, cause, told)
        }
    }
}
