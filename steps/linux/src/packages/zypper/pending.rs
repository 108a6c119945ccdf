//! What could be upgraded, and what the patches say of it.

use jiff::Timestamp;
use runbook_steps::ports::linux::{Severity, Update};

use super::xml::{Element, elements};
use crate::packages::{Sections, rpm};

/// What may stand behind the last point of a name: SUSE's architectures.
const ARCHITECTURES: [&str; 9] =
    ["noarch", "x86_64", "aarch64", "ppc64le", "s390x", "i586", "i686", "armv7hl", "riscv64"];

struct Patch {
    name: String,
    security: bool,
    severity: Option<Severity>,
    issued: Option<Timestamp>,
    /// Name, architecture (empty: any), and the version that it wants at least.
    wants: Vec<(String, String, String)>,
}

pub(super) fn read(printed: &str) -> Result<Vec<Update>, String> {
    let said = Sections::of(printed);
    if !said.has("end") {
        return Err("the answer of zypper is cut off".into());
    }
    let installed = rpm::installed_of(&said);
    let patches = patches(&said);
    let free: Vec<(String, String, String)> = updates(&said, "free").iter().map(key).collect();
    let mut found: Vec<Update> = updates(&said, "everything")
        .iter()
        .map(|element| {
            let (name, arch, to) = key(element);
            let from = Some(rpm::without_zero(element.get("edition-old")))
                .filter(|old| !old.is_empty())
                .or_else(|| rpm::installed(&installed, &name, &arch).map(|one| one.version.clone()));
            let of_it: Vec<&Patch> = patches
                .iter()
                .filter(|patch| {
                    patch.wants.iter().any(|(wanted, of, version)| {
                        *wanted == name
                            && (of.is_empty() || *of == arch)
                            && rpm::compare(version, &to).is_le()
                            && from.as_deref().is_none_or(|from| rpm::compare(version, from).is_gt())
                    })
                })
                .collect();
            let security = || of_it.iter().filter(|patch| patch.security);
            let mut advisories: Vec<String> = of_it.iter().map(|patch| patch.name.clone()).collect();
            advisories.sort();
            Update {
                security: security().next().is_some(),
                severity: security().filter_map(|patch| patch.severity).max(),
                issued: of_it.iter().filter_map(|patch| patch.issued).min(),
                held: !free.contains(&(name.clone(), arch.clone(), to.clone())),
                origin: element.get("origin").to_owned(),
                advisories,
                from,
                name,
                arch,
                to,
            }
        })
        .collect();
    // Where one comes from is an element of its own, after it.
    let sources: Vec<((String, String, String), String)> = sources(&said);
    for update in &mut found {
        let key = (update.name.clone(), update.arch.clone(), update.to.clone());
        if let Some((_, source)) = sources.iter().find(|(of, _)| *of == key) {
            update.origin.clone_from(source);
        }
    }
    found.sort_by(|a, b| (&a.name, &a.arch).cmp(&(&b.name, &b.arch)));
    found.dedup();
    Ok(found)
}

fn updates(said: &Sections<'_>, part: &str) -> Vec<Element> {
    elements(&said.text(part))
        .into_iter()
        .filter(|element| !element.end && element.name == "update" && element.get("kind") == "package")
        .collect()
}

fn key(element: &Element) -> (String, String, String) {
    (element.get("name").into(), element.get("arch").into(), rpm::without_zero(element.get("edition")))
}

fn sources(said: &Sections<'_>) -> Vec<((String, String, String), String)> {
    let mut sources = Vec::new();
    let mut last = None;
    for element in elements(&said.text("everything")) {
        match element.name.as_str() {
            "update" if !element.end => last = Some(key(&element)),
            "source" if !element.end => {
                sources.extend(last.take().map(|of| (of, element.get("alias").to_owned())))
            }
            _ => {}
        }
    }
    sources
}

fn patches(said: &Sections<'_>) -> Vec<Patch> {
    let mut patches: Vec<Patch> = Vec::new();
    for element in elements(&said.text("patches")) {
        if element.name == "update" && !element.end && element.get("kind") == "patch" {
            let security = element.get("category") == "security";
            patches.push(Patch {
                name: element.get("name").into(),
                security,
                severity: match element.get("severity") {
                    "critical" => Some(Severity::Critical),
                    "important" => Some(Severity::Important),
                    "moderate" => Some(Severity::Moderate),
                    "low" => Some(Severity::Low),
                    _ => None,
                },
                issued: None,
                wants: Vec::new(),
            });
        } else if element.name == "issue-date"
            && let Some(patch) = patches.last_mut()
        {
            patch.issued = element.get("time_t").parse().ok().and_then(|at| Timestamp::from_second(at).ok());
        }
    }
    // A patch conflicts with everything below what it brings: `app.x86_64 < 1.1-1`, and where no architecture matters
    // (noarch; seen with zypper 1.14.42) `app < 1.1-1`.
    // One stands on the line of its heading, more are indented below it.
    let mut at: Option<usize> = None;
    let mut inside = false;
    for line in said.lines("conflicts") {
        if let Some(name) = line.strip_prefix("Name ").and_then(|rest| rest.trim_start().strip_prefix(':')) {
            at = patches.iter().position(|patch| patch.name == name.trim());
        }
        let relation = line.strip_prefix("Conflicts").map(|rest| rest.trim_start_matches([' ', ':']));
        inside = relation.is_some() || (inside && line.starts_with(' '));
        if inside
            && let Some(at) = at
            && let Some((package, version)) = relation.unwrap_or(line).trim().split_once(" < ")
            && !package.contains(':')
        {
            let (name, arch) = package
                .rsplit_once('.')
                .filter(|(_, arch)| ARCHITECTURES.contains(arch))
                .unwrap_or((package, ""));
            patches[at].wants.push((name.into(), arch.into(), rpm::without_zero(version.trim())));
        }
    }
    patches
}
