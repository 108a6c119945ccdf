//! What could be upgraded, and what the advisories say of it.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use runbook_steps::ports::linux::{Package, Severity, Update};
use serde_json::Value;

use crate::packages::{Sections, rpm};

/// One package of an advisory.
struct Advice {
    id: String,
    security: bool,
    severity: Option<Severity>,
    name: String,
    arch: String,
    version: String,
    issued: Option<Timestamp>,
}

pub(super) fn read(printed: &str) -> Result<Vec<Update>, String> {
    let said = Sections::of(printed);
    if !said.has("end") {
        return Err("the answer of the package manager is cut off".into());
    }
    let installed = rpm::installed_of(&said);
    let advices = advices(&said)?;
    let free: Vec<&str> = said.lines("free").collect();
    let everything: Vec<(String, String, String, String, bool)> = if said.has("check-update") {
        check_update(&said)
    } else {
        said.lines("everything")
            .filter_map(|line| {
                let [name, arch, version, origin] = line.split('\t').collect::<Vec<_>>()[..] else {
                    return None;
                };
                let held = said.has("free") && !free.contains(&line);
                Some((name.into(), arch.into(), rpm::without_zero(version), origin.into(), held))
            })
            .collect()
    };
    let mut updates: Vec<Update> = everything
        .into_iter()
        .map(|(name, arch, to, origin, held)| {
            let from = rpm::installed(&installed, &name, &arch);
            let of_it: Vec<&Advice> =
                advices.iter().filter(|advice| repairs(advice, &name, &arch, &to, from)).collect();
            let security = || of_it.iter().filter(|advice| advice.security);
            let mut ids: Vec<String> = of_it.iter().map(|advice| advice.id.clone()).collect();
            ids.sort();
            ids.dedup();
            Update {
                from: from.map(|package| package.version.clone()),
                security: security().next().is_some(),
                severity: security().filter_map(|advice| advice.severity).max(),
                advisories: ids,
                issued: of_it.iter().filter_map(|advice| advice.issued).min(),
                name,
                arch,
                to,
                origin,
                held,
            }
        })
        .collect();
    updates.sort_by(|a, b| (&a.name, &a.arch).cmp(&(&b.name, &b.arch)));
    updates.dedup();
    Ok(updates)
}

/// It is of this package, above what is installed, and not above what would be installed.
fn repairs(advice: &Advice, name: &str, arch: &str, to: &str, from: Option<&Package>) -> bool {
    advice.name == name
        && advice.arch == arch
        && rpm::compare(&advice.version, to).is_le()
        && from.is_none_or(|from| rpm::compare(&advice.version, &from.version).is_gt())
}

/// yum 3: `name.arch  version  repository`, where long ones go over several lines; packages that replace others stand
/// behind a heading, and are in the list already.
fn check_update(said: &Sections<'_>) -> Vec<(String, String, String, String, bool)> {
    let words: Vec<&str> = said
        .lines("check-update")
        .take_while(|line| !line.starts_with("Obsoleting Packages"))
        .flat_map(str::split_whitespace)
        .collect();
    words
        .chunks_exact(3)
        .filter_map(|row| {
            let (name, arch) = row[0].rsplit_once('.')?;
            Some((name.into(), arch.into(), rpm::without_zero(row[1]), row[2].into(), false))
        })
        .collect()
}

fn advices(said: &Sections<'_>) -> Result<Vec<Advice>, String> {
    if said.has("advisories-json") {
        let text = said.text("advisories-json");
        if text.trim().is_empty() {
            return Ok(Vec::new());
        }
        let list: Vec<Value> = serde_json::from_str(&text)
            .map_err(|error| format!("dnf5 printed advisories that were not understood: {error}"))?;
        return Ok(list.iter().filter_map(of_json).collect());
    }
    let issued = issued(said);
    // `RHSA-2026:1 Important/Sec. app-1.1-1.x86_64`
    Ok(said
        .lines("advisories")
        .filter_map(|line| {
            let [id, kind, package] = line.split_whitespace().collect::<Vec<_>>()[..] else { return None };
            let (name, arch, version) = rpm::nevra(package)?;
            let word = kind.split('/').next().unwrap_or(kind);
            let security = kind.ends_with("/Sec.") || kind == "security";
            Some(Advice {
                id: id.into(),
                security,
                severity: security.then(|| severity(word)).flatten(),
                name: name.into(),
                arch: arch.into(),
                version,
                issued: issued.get(id).copied(),
            })
        })
        .collect())
}

/// dnf 5: `name`, `type`, `severity`, `nevra`, `buildtime` (text before dnf 5.3, seconds from then on).
fn of_json(value: &Value) -> Option<Advice> {
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    let (name, arch, version) = rpm::nevra(text("nevra"))?;
    let security = text("type") == "security";
    Some(Advice {
        id: text("name").into(),
        security,
        severity: security.then(|| severity(text("severity"))).flatten(),
        name: name.into(),
        arch: arch.into(),
        version,
        issued: match &value["buildtime"] {
            Value::Number(seconds) => {
                seconds.as_i64().and_then(|seconds| Timestamp::from_second(seconds).ok())
            }
            Value::String(text) => time(text),
            _ => None,
        },
    })
}

fn severity(word: &str) -> Option<Severity> {
    match word.to_ascii_lowercase().as_str() {
        "critical" => Some(Severity::Critical),
        "important" => Some(Severity::Important),
        "moderate" | "medium" => Some(Severity::Moderate),
        "low" => Some(Severity::Low),
        _ => None,
    }
}

/// When each advisory was issued or last changed: dnf 4 and yum print only the latter where there is one.
fn issued(said: &Sections<'_>) -> BTreeMap<String, Timestamp> {
    let mut times = BTreeMap::new();
    let mut id = "";
    for line in said.lines("details") {
        let Some((key, value)) = line.split_once(':') else { continue };
        // What goes on from the line above has no key.
        match key.trim() {
            "Update ID" => id = value.trim(),
            "Issued" | "Updated" => {
                if let Some(time) = time(value.trim()) {
                    let first = times.entry(id.to_owned()).or_insert(time);
                    *first = (*first).min(time);
                }
            }
            _ => {}
        }
    }
    times
}

/// `2026-02-02 03:04:05`, in UTC.
fn time(text: &str) -> Option<Timestamp> {
    let time: DateTime = text.trim_end_matches('Z').trim().replace(' ', "T").parse().ok()?;
    time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}
