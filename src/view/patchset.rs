//! What was tested and what is barred, in words and as JSON.

use std::fmt::Write as _;

use runbook_engine::{
    patchset::{Barred, Tested, Version},
    plan::Plan,
    run::Run,
};
use serde_json::{Value, json};

use super::words::{count, machine, some};

/// How many versions a line names; `--json` has all of them.
const MOST_VERSIONS: usize = 4;

/// The lines of a plan: where the patchset comes from.
pub fn of_plan(plan: &Plan) -> String {
    let Some(patchset) = &plan.patchset else { return String::new() };
    let mut text = format!("  the patchset comes from {}\n", patchset.from);
    if let Some(carried) = &patchset.carried {
        let of = plan.link.as_ref().map(|link| format!(" by run {}", link.run)).unwrap_or_default();
        let _ = writeln!(text, "  tested{of}: {}", tested(&carried.tested));
        if !carried.barred.is_empty() {
            let _ = writeln!(text, "  barred{of}: {}", barred(plan, &carried.barred));
        }
    }
    text
}

/// The lines of a run: what is locked and what is barred.
pub fn of_run(run: &Run) -> String {
    let Some(patchset) = &run.plan().patchset else { return String::new() };
    let from = &patchset.from;
    let mut text = match run.locked_patchset() {
        Some(locked) => format!("  patchset of {from}: {}\n", tested(locked)),
        None => format!("  patchset of {from}: not locked yet\n"),
    };
    let bars = run.barred_packages();
    if !bars.is_empty() {
        let _ = writeln!(text, "  barred: {}", barred(run.plan(), &bars));
    }
    text
}

/// `debian-12-amd64 12 packages, rocky-9-x86_64 1 package`; that it is empty is news.
pub fn tested(tested: &Tested) -> String {
    let counts: Vec<String> = tested
        .counts()
        .into_iter()
        .map(|(platform, packages)| format!("{platform} {}", count(packages, "package")))
        .collect();
    if counts.is_empty() {
        return "no package, so nothing is installed by the steps that take it".to_owned();
    }
    counts.join(", ")
}

/// `nginx 1.22.1-10 (web-1 failed with it) and 3 more`.
pub fn barred(plan: &Plan, barred: &[Barred]) -> String {
    let all: Vec<String> = barred
        .iter()
        .map(|each| format!("{} ({} failed with it)", version(&each.package), machine(plan, &each.broke)))
        .collect();
    some(&all, MOST_VERSIONS)
}

/// `nginx 1.22.1-9, openssl 3.0.15-1 and 3 more`.
pub fn versions(versions: &[Version]) -> String {
    let all: Vec<String> = versions.iter().map(version).collect();
    some(&all, MOST_VERSIONS)
}

fn version(of: &Version) -> String {
    format!("{} {} on {}", of.name, of.version, of.platform)
}

/// For a program: `from`, `locked` (null before that), `barred`; null where the runbook has no patchset.
pub fn json(run: &Run) -> Value {
    let Some(patchset) = &run.plan().patchset else { return Value::Null };
    let barred: Vec<Value> = run
        .barred_packages()
        .into_iter()
        .map(|each| {
            let Version { platform, name, version } = each.package;
            json!({ "platform": platform, "name": name, "version": version, "broke": each.broke })
        })
        .collect();
    json!({ "from": patchset.from, "locked": run.locked_patchset(), "barred": barred })
}
