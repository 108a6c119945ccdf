//! What of a host's packages belongs to the kernel that it runs on: that stays where the others go back, or the host would
//! not start again.

use super::kept::Kept;
use crate::ports::linux::{Change, Facts, Manager};

/// Changes of a way back in those that are made, and those that are left. What may be installed in several versions is
/// never taken from one version to another: a kernel that came goes, one that was cleared away since is not missed.
pub(super) fn sort(facts: &Facts, backup: &Kept, changes: Vec<Change>) -> (Vec<Change>, Vec<Change>) {
    let beside = |change: &Change| facts.several.contains(&change.name);
    let (pairs, mut changes): (Vec<_>, Vec<_>) = changes.into_iter().partition(beside);
    changes.extend(pairs.iter().flat_map(halves));
    changes.sort();
    let stays = |change: &Change| is_of_running(facts, change) || is_cleared_away(facts, backup, change);
    let (mut left, changes): (Vec<_>, Vec<_>) = changes.into_iter().partition(stays);
    // Debian: headers want tools for building that are as new as they.
    let headers = left.iter().any(|change| change.name.contains("-headers-") && change.to.is_none());
    let (tools, changes) = changes.into_iter().partition(|change| {
        facts.manager == Manager::Apt
            && headers
            && ["linux-kbuild-", "linux-compiler-"].iter().any(|prefix| change.name.starts_with(prefix))
    });
    left.extend(tools);
    (changes, left)
}

/// What goes, and what comes.
pub(super) fn halves(change: &Change) -> Vec<Change> {
    let gone = change.from.as_ref().map(|_| Change { to: None, ..change.clone() });
    let came = change.to.as_ref().map(|_| Change { from: None, ..change.clone() });
    gone.into_iter().chain(came).collect()
}

/// It came newly, and the kernel that runs is in it, or was built with it.
fn is_of_running(facts: &Facts, change: &Change) -> bool {
    let Some(from) = change.from.as_ref().filter(|_| change.to.is_none()) else { return false };
    if facts.kernel.is_empty() {
        return false;
    }
    if facts.manager == Manager::Apt {
        return of_build(&change.name, build(&facts.kernel));
    }
    let without_epoch = from.rsplit(':').next().unwrap_or(from);
    let of_same_build =
        change.name.starts_with("kernel") && facts.running.iter().any(|running| running.version == *from);
    let holds_it =
        facts.running.iter().any(|running| running.name == change.name && running.version == *from);
    holds_it || of_same_build || format!("{without_epoch}.{}", change.arch) == facts.kernel
}

/// An old kernel that the host itself cleared away (purge-kernels, unattended-upgrades), and whose file was not kept.
fn is_cleared_away(facts: &Facts, backup: &Kept, change: &Change) -> bool {
    let Some(to) = change.to.as_ref().filter(|_| change.from.is_none()) else { return false };
    let is_kernel = match facts.manager {
        Manager::Apt => is_numbered(&change.name),
        _ => facts.several.contains(&change.name),
    };
    is_kernel && !backup.kept.iter().any(|kept| kept.name == change.name && kept.version == *to)
}

/// `6.8.0-45-generic` is `6.8.0-45`, `6.12.9+deb13-cloud-amd64` is `6.12.9+deb13`.
fn build(kernel: &str) -> &str {
    let numbers = kernel.split('-').take_while(|part| part.starts_with(|sign: char| sign.is_ascii_digit()));
    let length: usize = numbers.map(|part| part.len() + 1).sum();
    &kernel[..length.saturating_sub(1)]
}

/// `linux-headers-6.8.0-45`, `linux-modules-extra-6.8.0-45-generic`.
fn of_build(name: &str, build: &str) -> bool {
    let rests = name.match_indices(build).map(|(at, _)| (&name[..at], &name[at + build.len()..]));
    let mut rests =
        rests.filter(|(before, after)| before.ends_with('-') && (after.is_empty() || after.starts_with('-')));
    !build.is_empty() && rests.next().is_some()
}

/// Packages of a kernel have its number in their names.
fn is_numbered(name: &str) -> bool {
    let mut parts = name.split('-');
    parts.next() == Some("linux")
        && parts.any(|part| part.starts_with(|sign: char| sign.is_ascii_digit()) && part.contains('.'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::{Change, Facts, Kept, Manager, sort};
    use crate::ports::linux::Package;

    fn facts(manager: Manager, kernel: &str) -> Facts {
        Facts {
            os: String::new(),
            os_version: String::new(),
            os_name: String::new(),
            arch: String::new(),
            kernel: kernel.into(),
            boot_id: String::new(),
            manager,
            transactional: false,
            systemd: true,
            reboot_needed: Vec::new(),
            failed_units: Vec::new(),
            free: BTreeMap::new(),
            holds: Vec::new(),
            automatic: Vec::new(),
            broken: Vec::new(),
            last_patched: None,
            snapshots: Vec::new(),
            running: Vec::new(),
            several: Vec::new(),
        }
    }

    /// `name from to`, `-` for nothing.
    fn changes(lines: &[&str]) -> Vec<Change> {
        let version = |word: &str| (word != "-").then(|| word.to_owned());
        let change = |line: &&str| {
            let [name, from, to] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            Change { name: name.into(), arch: "x86_64".into(), from: version(from), to: version(to) }
        };
        lines.iter().map(change).collect()
    }

    fn kept(files: &[Package]) -> Kept {
        let kept = json!({ "method": "packages", "platform": "any", "token": "t", "packages": {}, "kept": files,
                           "at": "2026-01-05T00:00:00Z" });
        Kept::read(&kept).expect("a backup")
    }

    fn sorted(facts: &Facts, lines: &[&str]) -> (Vec<String>, Vec<String>) {
        let (made, left) = sort(facts, &kept(&[]), changes(lines));
        let shown = |changes: Vec<Change>| {
            let word = |version: Option<String>| version.unwrap_or_else(|| "-".into());
            changes
                .into_iter()
                .map(|one| format!("{} {} {}", one.name, word(one.from), word(one.to)))
                .collect()
        };
        (shown(made), shown(left))
    }

    #[test]
    fn on_ubuntu_all_packages_of_the_running_build_stay() {
        let own = [
            "linux-headers-6.8.0-45 6.8.0-45.45 -",
            "linux-headers-6.8.0-45-generic 6.8.0-45.45 -",
            "linux-hwe-6.8-headers-6.8.0-45 6.8.0-45.45~22.04.1 -",
            "linux-image-6.8.0-45-generic 6.8.0-45.45 -",
            "linux-modules-extra-6.8.0-45-generic 6.8.0-45.45 -",
        ];
        let others = [
            "linux-generic 6.8.0-45.45 6.8.0-40.40",
            "linux-image-6.8.0-451-generic 6.8.0-451.451 -",
            "linux-libc-dev 6.8.0-45.45 6.8.0-40.40",
            "openssl 3.0.2-2 3.0.2-1",
        ];
        let all: Vec<_> = own.iter().chain(&others).copied().collect();
        let (made, left) = sorted(&facts(Manager::Apt, "6.8.0-45-generic"), &all);
        assert_eq!((made, left), (others.map(str::to_owned).to_vec(), own.map(str::to_owned).to_vec()));
    }

    #[test]
    fn on_debian_what_the_headers_are_built_with_stays_with_them() {
        let lines = [
            "linux-compiler-gcc-12-x86 6.1.115-1 6.1.112-1",
            "linux-headers-6.1.0-25-amd64 6.1.115-1 -",
            "linux-headers-6.1.0-25-common 6.1.115-1 -",
            "linux-image-amd64 6.1.115-1 6.1.112-1",
            "linux-kbuild-6.1 6.1.115-1 6.1.112-1",
        ];
        let (made, left) = sorted(&facts(Manager::Apt, "6.1.0-25-amd64"), &lines);
        assert_eq!((made, left.len()), (vec![lines[3].to_owned()], 4));
        // It still runs on the former kernel: everything goes back.
        let (made, left) = sorted(&facts(Manager::Apt, "6.1.0-23-amd64"), &lines);
        assert_eq!((made.len(), left.len()), (5, 0));
    }

    #[test]
    fn what_the_host_cleared_away_is_not_missed_unless_its_file_was_kept() {
        let facts = facts(Manager::Apt, "6.12.9+deb13-cloud-amd64");
        let lines = ["linux-image-6.12.5+deb13-cloud-amd64 - 6.12.5-1", "linux-perf - 6.12.5-1"];
        let (made, left) = sorted(&facts, &lines);
        assert_eq!((made, left), (vec![lines[1].to_owned()], vec![lines[0].to_owned()]));
        let file = Package {
            name: "linux-image-6.12.5+deb13-cloud-amd64".into(),
            arch: "amd64".into(),
            version: "6.12.5-1".into(),
        };
        assert_eq!(sort(&facts, &kept(&[file]), changes(&lines)).0.len(), 2);
    }

    #[test]
    fn on_sles_versions_of_kernels_are_not_exchanged() {
        let mut facts = facts(Manager::Zypper, "6.4.0-150600.23.25-default");
        facts.running = vec![Package {
            name: "kernel-default".into(),
            arch: "x86_64".into(),
            version: "6.4.0-150600.23.25.1".into(),
        }];
        facts.several = vec!["kernel-default".into(), "kernel-devel".into()];
        let lines = [
            "kernel-default 6.4.0-150600.23.25.1 6.4.0-150600.23.7.3",
            "kernel-devel 6.4.0-150600.23.25.1 -",
            "kernel-firmware-intel 20241018-1 20240712-1",
        ];
        let (made, left) = sorted(&facts, &lines);
        assert_eq!(made, [lines[2]]);
        assert_eq!(
            left,
            [
                "kernel-default - 6.4.0-150600.23.7.3",
                "kernel-default 6.4.0-150600.23.25.1 -",
                "kernel-devel 6.4.0-150600.23.25.1 -"
            ]
        );
        // Not rebooted yet: the new one goes.
        facts.running[0].version = "6.4.0-150600.23.7.3".into();
        facts.kernel = "6.4.0-150600.23.7-default".into();
        let (made, _) = sorted(&facts, &["kernel-default 6.4.0-150600.23.25.1 -"]);
        assert_eq!(made, ["kernel-default 6.4.0-150600.23.25.1 -"]);
    }

    #[test]
    fn on_rhel_the_running_kernel_is_known_by_its_number_too() {
        let facts = facts(Manager::Dnf, "5.14.0-503.11.1.el9_5.x86_64");
        let lines =
            ["kernel-core 5.14.0-503.11.1.el9_5 -", "kernel-tools 5.14.0-503.11.1.el9_5 5.14.0-427.el9"];
        let (made, left) = sorted(&facts, &lines);
        assert_eq!((made, left), (vec![lines[1].to_owned()], vec![lines[0].to_owned()]));
    }
}
