//! What dnf, yum and zypper have in common: rpm (facts: rpm).

use std::cmp::Ordering;

use runbook_steps::ports::linux::{Manager, Order, Package, version};

use super::{Sections, kept_folder};
use crate::shell::Script;

/// Which of two versions is the higher: dnf, yum and zypper leave that to rpm.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    version::compare(Manager::Dnf, a, b)
}

/// `0:1.2-3` and `(none):1.2-3` are `1.2-3`.
pub(super) fn without_zero(version: &str) -> String {
    ["0:", "(none):"].iter().find_map(|zero| version.strip_prefix(zero)).unwrap_or(version).to_owned()
}

/// Reads `name`, `arch`, `epoch:version-release`, one package a line; sorted. Keys for signatures are no packages.
pub(crate) fn read_packages<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<Package>, String> {
    let mut packages = Vec::new();
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let [name, arch, version] = line.split('\t').collect::<Vec<_>>()[..] else {
            return Err(format!("rpm printed a line that was not understood: `{line}`"));
        };
        if name != "gpg-pubkey" {
            packages.push(Package { name: name.into(), arch: arch.into(), version: without_zero(version) });
        }
    }
    packages.sort();
    Ok(packages)
}

/// Of several installed versions the highest: that is the one that is upgraded.
pub(super) fn installed<'a>(packages: &'a [Package], name: &str, arch: &str) -> Option<&'a Package> {
    let named = || packages.iter().filter(|package| package.name == name);
    let highest = |a: &&Package, b: &&Package| compare(&a.version, &b.version);
    named().filter(|package| package.arch == arch).max_by(highest).or_else(|| named().max_by(highest))
}

/// What is installed, out of the part `installed` of a print.
pub(super) fn installed_of(said: &Sections<'_>) -> Vec<Package> {
    read_packages(said.lines("installed")).unwrap_or_default()
}

/// `name-[epoch:]version-release.arch` in its parts: name, architecture, version.
pub(super) fn nevra(text: &str) -> Option<(&str, &str, String)> {
    let (rest, arch) = text.rsplit_once('.')?;
    let (rest, release) = rest.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    Some((name, arch, without_zero(&format!("{version}-{release}"))))
}

/// What the file of a package is called: the epoch is not in it.
pub(super) fn file_name(name: &str, arch: &str, version: &str) -> String {
    let version = version.split_once(':').map_or(version, |(_, version)| version);
    format!("{name}-{version}.{arch}.rpm")
}

/// The variables that `rpm/state.sh` wants of an order; `ask` says what the manager is asked for.
pub(super) fn wanted(
    script: Script,
    order: &Order,
    ask: impl Fn(&str, &str, Option<&str>) -> String,
) -> Script {
    let lines = order.wanted.iter().map(|wanted| {
        let (name, arch) = (&wanted.name, &wanted.arch);
        let file = wanted.version.as_deref().map(|version| file_name(name, arch, version));
        let version = wanted.version.as_deref().map(without_zero);
        format!(
            "{} {} {name} {arch} {}",
            ask(name, arch, version.as_deref()),
            file.as_deref().unwrap_or("-"),
            version.as_deref().unwrap_or("-")
        )
    });
    script
        .lines("wanted", lines)
        .set("back", if order.back { "yes" } else { "" })
        .set("kept", order.kept.as_deref().map(kept_folder).unwrap_or_default())
}

/// The lines that `rpm/keep.sh` wants.
pub(super) fn to_keep(packages: &[Package], ask: impl Fn(&str, &str, Option<&str>) -> String) -> Vec<String> {
    packages
        .iter()
        .map(|Package { name, arch, version }| {
            let file = file_name(name, arch, version);
            format!("{} {name} {arch} {version} {file}", ask(name, arch, Some(version)))
        })
        .collect()
}
