//! What a host is and how it stands: one script, and how its answer is read.

use std::collections::BTreeMap;

use jiff::Timestamp;
use runbook_steps::ports::linux::{Facts, Manager};

use crate::packages::{Sections, rpm};

/// Prints everything that [`read`] wants. It changes nothing, wants the rights of root for the whole answer (without
/// them some of it is empty), and bounds each of its questions in time.
pub const SCRIPT: &str = concat!(include_str!("shell/head.sh"), include_str!("facts/facts.sh"));

/// Reads what [`SCRIPT`] printed. What a host does not say is empty.
///
/// # Errors
/// One lower-case sentence: the answer is cut off, or the host has no package manager that is known.
pub fn read(printed: &str) -> Result<Facts, String> {
    let said = Sections::of(printed);
    if !said.has("end") {
        return Err("the host's answer about itself is cut off".into());
    }
    let os = OsRelease::of(&said);
    let manager = match said.word("manager") {
        "apt" => Manager::Apt,
        "dnf" => Manager::Dnf,
        "dnf5" => Manager::Dnf5,
        "yum" => Manager::Yum,
        "zypper" => Manager::Zypper,
        _ => return Err("it has no package manager that is known (apt, dnf, yum or zypper)".into()),
    };
    let kernel = said.word("kernel").to_owned();
    Ok(Facts {
        os: os.value("ID").unwrap_or_else(|| "linux".into()),
        os_version: os.value("VERSION_ID").unwrap_or_default(),
        os_name: os.value("PRETTY_NAME").or_else(|| os.value("NAME")).unwrap_or_else(|| "Linux".into()),
        arch: said.word("arch").to_owned(),
        reboot_needed: reboot_needed(&said, &kernel),
        kernel,
        boot_id: said.word("boot").to_owned(),
        manager,
        transactional: said.word("transactional") == "yes",
        systemd: said.word("systemd") == "yes",
        failed_units: said
            .lines("failed-units")
            .filter_map(|line| line.trim_start_matches(['●', '*', ' ']).split_whitespace().next())
            .map(str::to_owned)
            .collect(),
        free: free(&said),
        holds: distinct(said.lines("holds")),
        automatic: distinct(said.lines("automatic")),
        broken: distinct(said.lines("broken")),
        last_patched: last_patched(&said),
        snapshots: distinct(said.lines("snapshots")),
        running: rpm::read_packages(said.lines("running")).unwrap_or_default(),
        several: distinct(said.lines("several")),
    })
}

/// Lines without repetitions, in their order.
fn distinct<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for line in lines.map(str::trim) {
        if !seen.iter().any(|known| known == line) {
            seen.push(line.to_owned());
        }
    }
    seen
}

struct OsRelease<'a>(Vec<(&'a str, &'a str)>);

impl<'a> OsRelease<'a> {
    fn of(said: &Sections<'a>) -> Self {
        Self(said.lines("os").filter_map(|line| line.split_once('=')).collect())
    }

    fn value(&self, key: &str) -> Option<String> {
        let (_, value) = self.0.iter().find(|(name, _)| name.trim() == key)?;
        let value = value.trim();
        let value = ['"', '\'']
            .into_iter()
            .find_map(|mark| value.strip_prefix(mark)?.strip_suffix(mark))
            .unwrap_or(value);
        Some(value.replace("\\\"", "\"")).filter(|value| !value.is_empty())
    }
}

/// `df -P -k`: the last column is the mount point, which may hold spaces; the fourth is what is free.
fn free(said: &Sections<'_>) -> BTreeMap<String, u64> {
    said.lines("free")
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            // The name of a device may hold spaces too: counted from its share in percent.
            let share = words.iter().rposition(|word| {
                word.strip_suffix('%').is_some_and(|share| share.parse::<u32>().is_ok()) || *word == "-"
            })?;
            let free: u64 = words.get(share.checked_sub(1)?)?.parse().ok()?;
            Some((words.get(share + 1..)?.join(" "), free.saturating_mul(1024)))
        })
        .collect()
}

fn last_patched(said: &Sections<'_>) -> Option<Timestamp> {
    let seconds = said.word("last-patched").split('.').next()?.parse().ok()?;
    Timestamp::from_second(seconds).ok()
}

/// Every sign, each in words.
fn reboot_needed(said: &Sections<'_>, kernel: &str) -> Vec<String> {
    let mut why: Vec<String> = Vec::new();
    if said.has("reboot-file") && !said.word("reboot-file").is_empty() {
        let packages: Vec<&str> = said.lines("reboot-packages").map(str::trim).collect();
        if packages.is_empty() {
            why.push(said.word("reboot-file").trim_matches(['*', ' ']).to_lowercase());
        } else {
            why.extend(packages.iter().map(|package| format!("{package} wants it")));
        }
    }
    let newer = |installed: &str| format!("kernel {installed} is installed, {kernel} runs");
    let needrestart = |key: &str| {
        said.lines("needrestart")
            .find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(':').map(str::trim))
    };
    // 2: an upgrade that is compatible, 3: of another version. 0 is unknown, 1 is current.
    if let Some("2" | "3") = needrestart("NEEDRESTART-KSTA") {
        why.push(newer(needrestart("NEEDRESTART-KEXP").filter(|new| !new.is_empty()).unwrap_or("another")));
    } else if let Some(last) = said.lines("kernels").map(str::trim).last()
        && last != kernel
        && said.lines("kernels").any(|known| known.trim() == kernel)
        && flavour(last) == flavour(kernel)
    {
        // A kernel that no package installed says nothing of what comes after it.
        why.push(newer(last));
    }
    // Exit 1 is also what it gives when it fails: only its sentence counts.
    if said.lines("needs-restarting").any(|line| line.contains("Reboot is required")) {
        let parts: Vec<&str> =
            said.lines("needs-restarting").filter_map(|line| line.trim().strip_prefix("* ")).collect();
        match parts.is_empty() {
            true => why.push("core libraries or services have been updated".into()),
            false => why.extend(parts.iter().map(|part| format!("{} has been updated", part.trim()))),
        }
    } else if !said.lines("needs-restarting").any(|line| line.contains("Reboot should not be necessary")) {
        // The plugin is not there.
        let installed: Vec<&str> =
            said.lines("rpm-kernels").filter_map(|line| line.split('\t').nth(1)).map(str::trim).collect();
        if let Some(last) = installed.last()
            && *last != kernel
            && installed.contains(&kernel)
        {
            why.push(newer(last));
        }
    }
    if said.lines("needs-rebooting").any(|line| line.trim() == "exit 102") {
        why.push("core libraries or services have been updated".into());
    }
    distinct(why.iter().map(String::as_str))
}

/// `6.1.0-13-cloud-amd64` is `cloud-amd64`: kernels of another flavour do not follow each other.
fn flavour(kernel: &str) -> String {
    kernel
        .split('-')
        .filter(|part| !part.starts_with(|c: char| c.is_ascii_digit()))
        .collect::<Vec<_>>()
        .join("-")
}

#[cfg(test)]
mod tests;
