//! zypper: SLES, openSUSE (facts: zypper).

mod pending;
mod verdict;
mod xml;

use runbook_steps::ports::linux::{Change, Order, Package, Update, Verdict};
use serde_json::Value;

use super::{Kind, PackageManager, Printed, Sections, Work, rpm, seconds};
use crate::shell::Script;

/// zypper, on a root that can be written.
pub(super) struct Zypper;

/// How long a question waits for zypper's lock: it takes it for reading too.
const QUESTION: &str = "60";

/// `name.arch=[epoch:]version-release`.
fn ask(name: &str, arch: &str, version: Option<&str>) -> String {
    match version {
        Some(version) => format!("{name}.{arch}={version}"),
        None => format!("{name}.{arch}"),
    }
}

fn script(lock_wait: &str) -> Script {
    Script::new().set("lock_wait", lock_wait).with(include_str!("tool.sh"))
}

fn order_script(order: &Order, lock_wait: &str, marker: &str) -> Script {
    rpm::wanted(script(lock_wait), order, ask)
        .set("passed_over", if order.held_too { "yes" } else { "" })
        .set("marker", marker)
        .with(include_str!("../rpm/state.sh"))
        .with(include_str!("order.sh"))
}

impl PackageManager for Zypper {
    fn packages(&self) -> String {
        Script::new().body(include_str!("../rpm/packages.sh"))
    }

    fn read_packages(&self, printed: &str) -> Result<Vec<Package>, String> {
        rpm::read_packages(printed.lines())
    }

    fn pending(&self) -> String {
        script(QUESTION)
            .set("wanted", "")
            .with(include_str!("../rpm/state.sh"))
            .body(include_str!("pending.sh"))
    }

    fn read_pending(&self, printed: &Printed) -> Result<Vec<Update>, (Verdict, String)> {
        if printed.code != 0 {
            return Err(verdict::of(Kind::Refresh, printed));
        }
        pending::read(&printed.stdout).map_err(|cause| (Verdict::Failed, cause))
    }

    fn rehearse(&self, order: &Order) -> String {
        order_script(order, QUESTION, "").body(include_str!("rehearse.sh"))
    }

    fn read_rehearsal(&self, printed: &Printed) -> Result<Vec<Change>, (Verdict, String)> {
        // 102, 103, 106 and 107 say something besides.
        if !matches!(printed.code, 0 | 100..=103 | 106 | 107) {
            return Err(verdict::of(Kind::Install, printed));
        }
        if let Some(cause) = verdict::lower(printed) {
            return Err((Verdict::Refused, cause));
        }
        changes(&Sections::of(&printed.stdout))
    }

    fn job(&self, work: &Work<'_>) -> String {
        let waiting =
            |script: Script| script.with(include_str!("../waiting.sh")).with(include_str!("../rpm/lock.sh"));
        match work {
            Work::Refresh { lock_wait } => {
                waiting(script(&seconds(*lock_wait))).body(include_str!("refresh.sh"))
            }
            Work::Install { order, marker } => {
                waiting(order_script(order, &seconds(order.lock_wait), marker))
                    .body(include_str!("install.sh"))
            }
            Work::Repair { lock_wait } => {
                waiting(script(&seconds(*lock_wait)).set("wanted", "").with(include_str!("../rpm/state.sh")))
                    .body(include_str!("repair.sh"))
            }
            Work::Keep { packages, folder } => script(QUESTION)
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

/// The `install-summary`: solvables under `to-upgrade`, `to-install`, `to-downgrade`, `to-remove` and the like.
fn changes(said: &Sections<'_>) -> Result<Vec<Change>, (Verdict, String)> {
    if !said.has("end") {
        return Err((Verdict::Failed, "the answer of zypper is cut off".into()));
    }
    let installed = rpm::installed_of(said);
    let mut changes: Vec<Change> = Vec::new();
    let mut heading = String::new();
    for element in xml::elements(&said.text("summary")) {
        if element.name.starts_with("to-") {
            heading = if element.end { String::new() } else { element.name };
            continue;
        }
        if element.end || element.name != "solvable" || element.get("type") != "package" {
            continue;
        }
        let (name, arch) = (element.get("name"), element.get("arch"));
        let version = rpm::without_zero(element.get("edition"));
        let old = Some(rpm::without_zero(element.get("edition-old"))).filter(|old| !old.is_empty());
        let old = old.or_else(|| rpm::installed(&installed, name, arch).map(|one| one.version.clone()));
        let (from, to) = match heading.as_str() {
            "to-install" => (None, Some(version)),
            "to-remove" => (Some(version), None),
            "to-reinstall" | "" => continue,
            // to-upgrade, to-downgrade, and where it also comes from another vendor or has another architecture.
            _ => (old, Some(version)),
        };
        changes.push(Change { name: name.into(), arch: arch.into(), from, to });
    }
    changes.sort();
    changes.dedup();
    Ok(changes)
}
