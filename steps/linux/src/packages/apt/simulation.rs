//! What `apt-get -s` prints.

use runbook_steps::ports::linux::{Change, Verdict};

use crate::packages::Sections;

/// A line `Inst NAME [OLD] (NEW Origin:Version/suite, more [ARCH])`; without `[OLD]` it comes newly.
pub(super) struct Inst<'a> {
    pub(super) name: &'a str,
    pub(super) arch: &'a str,
    pub(super) from: Option<&'a str>,
    pub(super) to: &'a str,
    /// `Debian-Security:12/stable-security`.
    pub(super) releases: Vec<&'a str>,
}

impl<'a> Inst<'a> {
    pub(super) fn read(line: &'a str) -> Option<Self> {
        let rest = line.strip_prefix("Inst ")?;
        let (head, rest) = rest.split_once(" (")?;
        // What stands behind the bracket is what is broken until later lines are carried out.
        let (inner, _) = rest.split_once(')')?;
        let (name, from) = match head.split_once(" [") {
            Some((name, from)) => (name, Some(from.strip_suffix(']')?)),
            None => (head, None),
        };
        let (inner, arch) = inner.rsplit_once(" [")?;
        let arch = arch.strip_suffix(']')?;
        let (to, releases) = inner.split_once(' ').unwrap_or((inner, ""));
        // A foreign architecture stands behind the name too.
        let name = name.split_once(':').map_or(name, |(name, _)| name);
        let releases = releases.split(", ").map(str::trim).filter(|release| !release.is_empty()).collect();
        Some(Self { name, arch, from, to, releases })
    }
}

/// Everything that would be changed.
///
/// # Errors
/// It would remove what nobody asked for.
pub(super) fn changes(printed: &str) -> Result<Vec<Change>, (Verdict, String)> {
    let said = Sections::of(printed);
    if !said.has("end") {
        return Err((Verdict::Failed, "the answer of apt-get is cut off".into()));
    }
    let unasked: Vec<&str> = said.lines("unasked").map(str::trim).collect();
    if !unasked.is_empty() {
        let cause = format!("it would remove {}, which nobody asked for", unasked.join(", "));
        return Err((Verdict::Refused, cause));
    }
    let mut changes: Vec<Change> = said
        .lines("simulation")
        .filter_map(Inst::read)
        .filter(|inst| inst.from != Some(inst.to))
        .map(|inst| Change {
            name: inst.name.into(),
            arch: inst.arch.into(),
            from: inst.from.map(str::to_owned),
            to: Some(inst.to.into()),
        })
        .collect();
    for line in said.lines("removed") {
        if let [name, arch, version] = line.split('\t').collect::<Vec<_>>()[..] {
            changes.push(Change {
                name: name.into(),
                arch: arch.into(),
                from: Some(version.into()),
                to: None,
            });
        }
    }
    changes.sort();
    Ok(changes)
}
