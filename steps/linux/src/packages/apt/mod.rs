//! apt and dpkg: Debian, Ubuntu (facts: apt).

mod pending;
mod simulation;
mod verdict;

use runbook_steps::ports::linux::{Change, ConfigFiles, Order, Package, Update, Verdict, Wanted};
use serde_json::Value;

use super::{Kind, PackageManager, Printed, Work, kept_folder, seconds};
use crate::shell::Script;

/// apt-get, apt-cache, apt-mark, dpkg and dpkg-query: `apt` itself has no stable interface.
pub(super) struct Apt;

/// Nothing asks, nothing shows a pager, nothing restarts services besides the packages' own scripts.
const QUIET: &str = "DEBIAN_FRONTEND=noninteractive; DEBIAN_PRIORITY=critical; NEEDRESTART_MODE=l
APT_LISTCHANGES_FRONTEND=none; APT_LISTBUGS_FRONTEND=none
export DEBIAN_FRONTEND DEBIAN_PRIORITY NEEDRESTART_MODE APT_LISTCHANGES_FRONTEND APT_LISTBUGS_FRONTEND
";

impl PackageManager for Apt {
    fn packages(&self) -> String {
        Script::new().body(include_str!("packages.sh"))
    }

    fn read_packages(&self, printed: &str) -> Result<Vec<Package>, String> {
        let mut packages = Vec::new();
        for line in printed.lines().filter(|line| !line.trim().is_empty()) {
            let [state, name, arch, version] = line.split('\t').collect::<Vec<_>>()[..] else {
                return Err(format!("dpkg-query printed a line that was not understood: `{line}`"));
            };
            // The second letter is what it is: not installed, only its configuration, half installed.
            if !matches!(state.chars().nth(1), Some('n' | 'c' | 'H') | None) {
                packages.push(Package { name: name.into(), arch: arch.into(), version: version.into() });
            }
        }
        packages.sort();
        Ok(packages)
    }

    fn pending(&self) -> String {
        Script::new().with(QUIET).body(include_str!("pending.sh"))
    }

    fn read_pending(&self, printed: &Printed) -> Result<Vec<Update>, (Verdict, String)> {
        if printed.code != 0 {
            return Err(verdict::of(Kind::Refresh, printed));
        }
        Ok(pending::read(&printed.stdout))
    }

    fn rehearse(&self, order: &Order) -> String {
        script_of(order).body(include_str!("rehearse.sh"))
    }

    fn read_rehearsal(&self, printed: &Printed) -> Result<Vec<Change>, (Verdict, String)> {
        if printed.code != 0 {
            return Err(verdict::of(Kind::Install, printed));
        }
        simulation::changes(&printed.stdout)
    }

    fn job(&self, work: &Work<'_>) -> String {
        match work {
            Work::Refresh { lock_wait } => Script::new()
                .with(QUIET)
                .set("lock_wait", seconds(*lock_wait))
                .with(include_str!("locked.sh"))
                .with(include_str!("../waiting.sh"))
                .body(include_str!("refresh.sh")),
            Work::Install { order, marker } => script_of(order)
                .set("lock_wait", seconds(order.lock_wait))
                .set("marker", marker)
                .with(include_str!("changed.sh"))
                .with(include_str!("locked.sh"))
                .with(include_str!("../waiting.sh"))
                .body(include_str!("install.sh")),
            Work::Repair { lock_wait } => Script::new()
                .with(QUIET)
                .set("lock_wait", seconds(*lock_wait))
                .set("options", config_files(ConfigFiles::Keep).0)
                .with(include_str!("changed.sh"))
                .with(include_str!("locked.sh"))
                .with(include_str!("../waiting.sh"))
                .body(include_str!("repair.sh")),
            Work::Keep { packages, folder } => Script::new()
                .with(QUIET)
                .set("folder", folder)
                .lines(
                    "packages",
                    packages.iter().map(|Package { name, arch, version }| {
                        format!("{name} {arch} {version} {}", file_name(name, arch, version))
                    }),
                )
                .body(include_str!("keep.sh")),
        }
    }

    fn judge(&self, work: Kind, printed: &Printed) -> (Verdict, String, Value) {
        verdict::judge(work, printed)
    }
}

/// What a kept file is called: as apt itself calls it in its cache.
fn file_name(name: &str, arch: &str, version: &str) -> String {
    format!("{name}_{}_{arch}.deb", version.replace(':', "%3a"))
}

/// Options of apt-get, and what tells ucf the same.
fn config_files(policy: ConfigFiles) -> (&'static str, &'static str) {
    match policy {
        ConfigFiles::Keep => (
            "-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold",
            "UCF_FORCE_CONFFOLD=1; export UCF_FORCE_CONFFOLD\n",
        ),
        ConfigFiles::Replace => {
            ("-o Dpkg::Options::=--force-confnew", "UCF_FORCE_CONFFNEW=1; export UCF_FORCE_CONFFNEW\n")
        }
    }
}

/// What rehearsing and carrying out have in common: the same words to apt.
fn script_of(order: &Order) -> Script {
    let (policy, ucf) = config_files(order.config_files);
    let mut options = policy.to_owned();
    if order.back {
        options += " --allow-downgrades";
    }
    if order.held_too {
        options += " --allow-change-held-packages";
    }
    // A name without its architecture is the host's own, and what has none.
    let name = |name: &str, arch: &str| match arch {
        "all" | "" => name.to_owned(),
        arch => format!("{name}:{arch}"),
    };
    let wanted = order.wanted.iter().map(|Wanted { name: package, arch, version }| match version {
        Some(version) => {
            format!("{}={version} {}", name(package, arch), file_name(package, arch, version))
        }
        None => format!("{}-", name(package, arch)),
    });
    let removed: Vec<String> = order
        .wanted
        .iter()
        .filter(|wanted| wanted.version.is_none())
        .map(|Wanted { name: package, arch, .. }| name(package, arch))
        .collect();
    Script::new()
        .with(QUIET)
        .with(ucf)
        .lines("wanted", wanted)
        .set("removed", removed.join(" "))
        .set("options", options)
        .set("kept", order.kept.as_deref().map(kept_folder).unwrap_or_default())
        .with(include_str!("order.sh"))
}
