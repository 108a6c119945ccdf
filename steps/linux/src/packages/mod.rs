//! Package managers: what to run, and what their words mean. Pure: no connection, no clock.

use runbook_steps::ports::linux::{Change, Order, Package, Update, Verdict};
use serde_json::Value;

/// One package manager. What it gives are scripts for POSIX sh that run with the rights of root, with `LC_ALL=C` and a
/// PATH that has the sbin folders; what it reads is what they print.
pub trait PackageManager: Send + Sync {
    /// Prints every installed package.
    fn packages(&self) -> String;

    /// Reads what [`PackageManager::packages`] printed.
    ///
    /// # Errors
    /// What was not understood, as one lower-case sentence.
    fn read_packages(&self, printed: &str) -> Result<Vec<Package>, String>;

    /// Prints what newer versions the lists know; changes nothing, takes no lock.
    fn pending(&self) -> String;

    /// Reads what [`PackageManager::pending`] printed.
    ///
    /// # Errors
    /// What was not understood, as one lower-case sentence.
    fn read_pending(&self, printed: &str) -> Result<Vec<Update>, String>;

    /// A dry run of an order; changes nothing.
    fn rehearse(&self, order: &Order) -> String;

    /// Reads what [`PackageManager::rehearse`] printed.
    ///
    /// # Errors
    /// Why the order cannot be carried out: [`Verdict::Missing`], [`Verdict::Refused`], [`Verdict::Locked`] or
    /// [`Verdict::Failed`], with the tool's own words.
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
    /// Standard output.
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
        lock_wait: std::time::Duration,
    },
    /// [`runbook_steps::ports::linux::Deed::Install`]; `marker` stands in the manager's own history.
    Install {
        /// What is asked for.
        order: &'a Order,
        /// The job's token.
        marker: &'a str,
    },
    /// [`runbook_steps::ports::linux::Deed::Repair`].
    Repair {
        /// How long to wait for locks.
        lock_wait: std::time::Duration,
    },
    /// [`runbook_steps::ports::linux::Deed::Keep`].
    Keep {
        /// What is installed now.
        packages: &'a [Package],
        /// Absolute: where the files go; it is there and empty.
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
