//! dnf 4 (RHEL 8 to 10 and kin, Amazon Linux 2023), dnf 5 (Fedora 41 and later), yum 3 (RHEL 7, Amazon
//! Linux 2) (facts: dnf and yum).

mod pending;
mod verdict;

use runbook_steps::ports::linux::{Change, Order, Package, Update, Verdict};
use serde_json::Value;

use super::{Kind, PackageManager, Printed, Sections, Work, rpm, seconds};
use crate::shell::Script;

/// Which of the three: they are asked in other words, and print their lists in other forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dnf {
    /// dnf 4.
    Four,
    /// dnf 5.
    Five,
    /// yum 3.
    Yum,
}

/// `name-[epoch:]version-release.arch`; without a version `name.arch`.
fn ask(name: &str, arch: &str, version: Option<&str>) -> String {
    match version {
        Some(version) => format!("{name}-{version}.{arch}"),
        None => format!("{name}.{arch}"),
    }
}

impl Dnf {
    fn tool(self) -> &'static str {
        match self {
            Self::Four => "dnf",
            Self::Five => "dnf5",
            Self::Yum => "yum",
        }
    }

    fn script(self) -> Script {
        Script::new().set("tool", self.tool()).with(include_str!("tool.sh"))
    }

    fn waiting(script: Script, lock_wait: &str) -> Script {
        script
            .set("lock_wait", lock_wait)
            .with(include_str!("../waiting.sh"))
            .with(include_str!("../rpm/lock.sh"))
    }

    fn order(self, order: &Order, lock_wait: &str) -> Script {
        let script = rpm::wanted(self.script(), order, ask)
            .set("passed_over", if order.held_too { "yes" } else { "" })
            .with(include_str!("../rpm/state.sh"));
        Self::waiting(script, lock_wait).with(include_str!("table.sh")).with(include_str!("order.sh"))
    }
}

impl PackageManager for Dnf {
    fn packages(&self) -> String {
        Script::new().body(include_str!("../rpm/packages.sh"))
    }

    fn read_packages(&self, printed: &str) -> Result<Vec<Package>, String> {
        rpm::read_packages(printed.lines())
    }

    fn pending(&self) -> String {
        self.script().set("wanted", "").with(include_str!("../rpm/state.sh")).body(include_str!("pending.sh"))
    }

    fn read_pending(&self, printed: &Printed) -> Result<Vec<Update>, (Verdict, String)> {
        if printed.code != 0 {
            return Err(verdict::of(Kind::Refresh, printed));
        }
        pending::read(&printed.stdout).map_err(|cause| (Verdict::Failed, cause))
    }

    fn rehearse(&self, order: &Order) -> String {
        self.order(order, "0").body(include_str!("rehearse.sh"))
    }

    fn read_rehearsal(&self, printed: &Printed) -> Result<Vec<Change>, (Verdict, String)> {
        if printed.code != 0 {
            return Err(verdict::of(Kind::Install, printed));
        }
        changes(&Sections::of(&printed.stdout))
    }

    fn job(&self, work: &Work<'_>) -> String {
        match work {
            Work::Refresh { lock_wait } => {
                Self::waiting(self.script(), &seconds(*lock_wait)).body(include_str!("refresh.sh"))
            }
            Work::Install { order, marker } => self
                .order(order, &seconds(order.lock_wait))
                .set("marker", marker)
                .body(include_str!("install.sh")),
            Work::Repair { lock_wait } => {
                let script = self.script().set("wanted", "").with(include_str!("../rpm/state.sh"));
                Self::waiting(script, &seconds(*lock_wait)).body(include_str!("repair.sh"))
            }
            Work::Keep { packages, folder } => self
                .script()
                .set("folder", folder)
                .lines("packages", rpm::to_keep(packages, ask))
                .with(include_str!("fetch.sh"))
                .body(include_str!("../rpm/keep.sh")),
        }
    }

    fn judge(&self, work: Kind, printed: &Printed) -> (Verdict, String, Value) {
        verdict::judge(work, printed)
    }
}

/// The rows of a transaction's table: heading, name, architecture, version.
fn changes(said: &Sections<'_>) -> Result<Vec<Change>, (Verdict, String)> {
    if !said.has("end") {
        return Err((Verdict::Failed, "the answer of the package manager is cut off".into()));
    }
    let unasked: Vec<&str> = said.lines("unasked").map(str::trim).collect();
    if !unasked.is_empty() {
        return Err((Verdict::Refused, format!("it would {}, which nobody asked for", unasked.join(", "))));
    }
    let installed = rpm::installed_of(said);
    let mut changes: Vec<Change> = Vec::new();
    for line in said.lines("rows") {
        let [heading, name, arch, version] = line.split('\t').collect::<Vec<_>>()[..] else { continue };
        let version = rpm::without_zero(version);
        let before = rpm::installed(&installed, name, arch).map(|package| package.version.clone());
        let (from, to) = match heading.split(' ').next().unwrap_or_default() {
            // What is installed beside others (a kernel) replaces nothing.
            "Installing" => (None, Some(version)),
            "Upgrading" | "Updating" | "Downgrading" => (before, Some(version)),
            "Removing" | "Erasing" | "Replaced" => (Some(version), None),
            _ => continue,
        };
        // dnf 5 lists under what replaces it also the former version of the same package.
        if heading == "Replaced"
            && said
                .lines("rows")
                .any(|row| row.split('\t').nth(1) == Some(name) && !row.starts_with("Replaced"))
        {
            continue;
        }
        changes.push(Change { name: name.into(), arch: arch.into(), from, to });
    }
    changes.sort();
    changes.dedup();
    Ok(changes)
}
