//! What came of tests, as JSON.

use serde_json::{Value, json};

use super::test_page::Told;

/// The whole: `runbook test --json`.
pub fn page(told: &[Told]) -> Value {
    json!({
        "cases": told.len(),
        "failed": told.iter().filter(|told| !told.holds()).count(),
        "worlds": told.iter().map(|told| told.tried.worlds).sum::<u64>(),
        "results": told.iter().map(case).collect::<Vec<_>>(),
    })
}

fn case(told: &Told) -> Value {
    let first = told.tried.first.as_ref();
    let unmet = first.map(|first| first.unmet.as_slice()).unwrap_or_default();
    let unmet: Vec<Value> = unmet
        .iter()
        .map(|unmet| {
            json!({
                "line": unmet.place.line, "column": unmet.place.column,
                "expected": unmet.expected, "came": unmet.came,
            })
        })
        .collect();
    let broken = told.tried.broken.as_ref().map(|broken| {
        json!({ "seed": broken.seed, "violations": broken.violations, "again": told.command(broken.seed) })
    });
    json!({
        "file": told.file,
        "case": told.name,
        "ok": told.holds(),
        "worlds": told.tried.worlds,
        "failed_worlds": told.tried.failed,
        "seed": first.map(|first| first.seed),
        "unmet": unmet,
        "violations": first.map(|first| first.violations.as_slice()).unwrap_or_default(),
        "again": first.map(|first| told.command(first.seed)),
        "broken": broken,
    })
}
