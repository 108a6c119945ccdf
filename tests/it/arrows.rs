//! Crates follow the arrow of ARCHITECTURE.md.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

/// What each crate may depend on, of ours, beside its tests.
const ARROWS: [(&str, &[&str]); 9] = [
    ("runbook-engine", &[]),
    ("runbook-state", &["runbook-engine"]),
    ("runbook-steps", &["runbook-engine"]),
    ("runbook-aws", &["runbook-engine", "runbook-steps"]),
    ("runbook-http", &["runbook-steps"]),
    ("runbook-linux", &["runbook-engine", "runbook-steps"]),
    ("runbook-sandbox", &["runbook-engine", "runbook-steps"]),
    (
        "runbook",
        &[
            "runbook-engine",
            "runbook-state",
            "runbook-steps",
            "runbook-aws",
            "runbook-http",
            "runbook-linux",
            "runbook-sandbox",
        ],
    ),
    ("runbook-bench", &["runbook", "runbook-engine", "runbook-state", "runbook-steps"]),
];

#[test]
fn crates_follow_the_arrow() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut found = BTreeMap::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
        let ours: Vec<_> = dependencies
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|name| name.starts_with("runbook"))
            .map(str::to_owned)
            .collect();
        found.insert(name.to_owned(), ours);
    }
    for (name, allowed) in ARROWS {
        let ours = found.get(name).unwrap_or_else(|| panic!("no crate `{name}`"));
        for dependency in ours {
            assert!(allowed.contains(&dependency.as_str()), "`{name}` must not depend on `{dependency}`");
        }
    }
}
