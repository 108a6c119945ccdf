//! Same patches from dev to production: what is locked, what is barred, and what each machine is given.

mod document;
mod laws;
mod linked;
mod locked;

use std::collections::BTreeMap;

use runbook_engine::{
    patchset::{Part, Tested},
    plan::Plan,
    run::{
        Status,
        event::{Event, RunEnd},
    },
};
use serde_json::{Value, json};

use crate::drive::{Drive, Reply};

pub const BLOCK: &str = "  patch-and-verify:
    backup: { uses: aws/snapshot }
    patch: { needs: [backup], uses: linux/patch, on_failure: [restore] }
    healthy: { needs: [patch], uses: check/http, on_failure: [restore] }
    restore: { uses: aws/restore, targets: { failed_in: [patch, healthy] }, with: { from: backup } }
";

pub const STAGES: &str = "  dev: { run: patch-and-verify, targets: dev, rollout: { waves: [50%, 100%], max_failures: 5, soak: 10m } }
  staging: { needs: [dev], run: patch-and-verify, targets: staging, rollout: { max_failures: 5 } }
  production: { needs: [staging], run: patch-and-verify, targets: production, rollout: { waves: [1, 100%], max_failures: 5 } }
";

pub fn text(stages: &str) -> String {
    let mut text = String::from("runbook: patch\npatchset: { from: dev }\ntargets:\n");
    for group in ["dev", "staging", "production", "other"] {
        if stages.contains(&format!("targets: {group}")) {
            text += &format!("  {group}: {{ aws: {{ tags: {{ Stage: {group} }} }} }}\n");
        }
    }
    format!("{text}blocks:\n{BLOCK}steps:\n{stages}")
}

/// The outputs of a machine that installed these.
pub fn outputs(platform: &str, packages: &[(&str, &str)]) -> Value {
    let changed: Vec<_> = packages
        .iter()
        .map(|(name, to)| json!({ "name": name, "arch": "amd64", "from": "1", "to": to }))
        .collect();
    json!({ "platform": platform, "changed": changed })
}

/// What a machine installs that takes a patchset: all of it but what is barred.
pub fn exactly(platform: &str, given: &Value) -> Value {
    let none = serde_json::Map::new();
    let wanted = given["platforms"][platform].as_object().unwrap_or(&none);
    let wanted = wanted.iter().map(|(name, version)| (name.as_str(), version.as_str().expect("a version")));
    let wanted: Vec<_> = wanted.filter(|(name, version)| !bars(given, platform, name, version)).collect();
    outputs(platform, &wanted)
}

pub fn bars(given: &Value, platform: &str, name: &str, version: &str) -> bool {
    let barred = given["barred"][platform].as_array().into_iter().flatten();
    barred.into_iter().any(|one| one["name"] == name && one["version"] == version)
}

/// What a machine that tests installs of these: all but what is barred.
pub fn found(given: &Value, packages: &[(&str, &str)]) -> Value {
    assert!(given.get("platforms").is_none(), "who tests is not told what to install: {given}");
    let left = packages.iter().filter(|(name, version)| !bars(given, DEBIAN, name, version));
    outputs(DEBIAN, &left.copied().collect::<Vec<_>>())
}

pub const DEBIAN: &str = "debian-12-amd64";

/// Dev machines find these packages; every other machine installs what it is given. These checks fail.
pub fn drive(
    plan: Plan,
    finds: impl Fn(&str) -> Vec<(&'static str, &'static str)> + 'static,
    sick: &'static [(&'static str, &'static str)],
) -> Drive {
    Drive::new(plan)
        .script(move |task, target, _| {
            let fails = sick.iter().any(|(name, id)| {
                task.name.as_str() == *name && target.is_some_and(|target| target.as_str() == *id)
            });
            if fails { Reply::failed(60, "it broke") } else { Reply::ok(60) }
        })
        .packages(move |task, target, given| match task.patchset {
            Some(Part::Tests) => found(given, &finds(target.as_str())),
            _ => exactly(DEBIAN, given),
        })
}

pub fn end(drive: &Drive) -> RunEnd {
    match drive.run.status() {
        Status::Ended(end) => end,
        other => panic!("{other:?}"),
    }
}

pub fn locked(drive: &Drive) -> Tested {
    let locked: Vec<_> = drive
        .journal
        .iter()
        .filter_map(|(_, event)| match event {
            Event::PatchsetLocked { from, tested } => {
                assert_eq!(from.as_str(), "dev");
                Some(tested.clone())
            }
            _ => None,
        })
        .collect();
    assert_eq!(locked.len(), 1, "a patchset is locked once");
    locked.into_iter().next().expect("one")
}

pub fn versions(packages: &[(&str, &str)]) -> BTreeMap<String, String> {
    packages.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect()
}

pub fn given<'d>(drive: &'d Drive, task: &str, target: &str) -> &'d Value {
    let found =
        drive.installed.iter().find(|((name, _, id), _)| name.as_str() == task && id.as_str() == target);
    &found.unwrap_or_else(|| panic!("{task} did not start on {target}")).1.given
}
