//! Snapshots and backups of hosts: what to run, and what its words mean. Pure: no connection, no clock.
//!
//! Each method is a file of sh beside this one with three functions, `capture`, `revert` and `discard`, each of which
//! may be run again: what has our token is found before anything is made. `ready` goes before `revert`: what can be found
//! out and fetched before anything is stopped or touched. What they tell are lines `@told KEY WORDS`; why they failed are
//! lines `@fail KIND WORDS`, the cause first.

use runbook_steps::ports::linux::{Capture, Revert, Verdict};
use serde_json::{Map, Value};

use crate::{packages::Printed, shell::Script};

const HEAD: &str = include_str!("snapshots/head.sh");

/// What those of the root have in common.
const ROOT: &str = include_str!("snapshots/root.sh");

/// How a host is brought back, beside its packages.
const METHODS: [(&str, &str); 6] = [
    ("snapper", include_str!("snapshots/snapper.sh")),
    ("btrfs", include_str!("snapshots/btrfs.sh")),
    ("lvm", include_str!("snapshots/lvm.sh")),
    ("lvm-thin", include_str!("snapshots/lvm.sh")),
    ("restic", include_str!("snapshots/restic.sh")),
    ("libvirt", include_str!("snapshots/libvirt.sh")),
];

/// A drill puts nothing back in its place.
const BACK: &str = "RUNBOOK_RESTORED=no; export RUNBOOK_RESTORED\nready\naround\nrevert\n\
    [ -n \"$into\" ] || RUNBOOK_RESTORED=yes\nover\n";

/// What a runbook may say besides; an option that is not stated is an empty variable. Lists become lines.
const OPTIONS: [&str; 18] = [
    "after",
    "at",
    "before",
    "boot",
    "config",
    "device",
    "domain",
    "into",
    "kernel",
    "losing",
    "mode",
    "origin",
    "path",
    "paths",
    "repository",
    "size",
    "thin",
    "uri",
];

/// The script that makes a snapshot.
///
/// # Errors
/// The method is not known, as one lower-case sentence.
pub fn capture(asked: &Capture, run: &str) -> Result<String, String> {
    let options = asked.options.iter().map(|(key, value)| (key.as_str(), value));
    let names = Names { token: &asked.token, job: "", run, description: &asked.description };
    script(&asked.method, "capture\n", names, options)
}

/// The script that goes back to one, between the hooks of the step. `job` is the token of the job that it is: what is put
/// aside is named by it, so that going back once more goes back once more. The hook `after` is told whether it was put back:
/// it runs in any case.
///
/// # Errors
/// The method is not known, as one lower-case sentence.
pub fn revert(asked: &Revert, run: &str, job: &str) -> Result<String, String> {
    back(BACK, asked, run, job)
}

/// The script that deletes one.
///
/// # Errors
/// The method is not known, as one lower-case sentence.
pub fn discard(asked: &Revert, run: &str) -> Result<String, String> {
    back("discard\n", asked, run, "")
}

/// By what things are known.
struct Names<'a> {
    token: &'a str,
    job: &'a str,
    run: &'a str,
    description: &'a str,
}

fn back(verbs: &str, asked: &Revert, run: &str, job: &str) -> Result<String, String> {
    // What the backup said of itself goes before what the step says: a path or a time is the backup's.
    let captured = asked.captured.as_object().into_iter().flatten();
    let captured = captured.map(|(key, value)| (key.as_str(), value));
    let options = asked.options.iter().map(|(key, value)| (key.as_str(), value)).chain(captured);
    script(&asked.method, verbs, Names { token: &asked.token, job, run, description: "" }, options)
}

fn script<'a>(
    method: &str,
    verbs: &str,
    names: Names<'_>,
    options: impl Iterator<Item = (&'a str, &'a Value)>,
) -> Result<String, String> {
    let body = METHODS.iter().find(|(name, _)| *name == method).map(|(_, body)| body);
    let body = body.ok_or_else(|| format!("`{method}` is no way to bring a host back"))?;
    let Names { token, job, run, description } = names;
    let named = Script::new().set("token", token).set("job", job).set("run", run);
    let mut script = named.set("description", description);
    for option in OPTIONS {
        script = script.set(option, "");
    }
    for (key, value) in options.filter(|(key, _)| OPTIONS.contains(key)) {
        script = script.set(key, text(value));
    }
    if method == "lvm-thin" {
        script = script.set("thin", "yes");
    }
    Ok(script.with(HEAD).with(ROOT).with(body).body(verbs))
}

/// A list is one word a line.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join("\n"),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// What the end of such a script means: verdict, cause (empty when it worked), and what it tells. What is told by several
/// lines, and paths, are lists.
pub fn judge(printed: &Printed) -> (Verdict, String, Value) {
    let told = told(&printed.stdout);
    let fails = printed.stdout.lines().filter_map(|line| line.strip_prefix("@fail ")?.split_once(' '));
    let fails: Vec<_> = fails.collect();
    if printed.code == 0 && fails.is_empty() {
        return (Verdict::Done, String::new(), told);
    }
    let Some((kind, _)) = fails.first() else {
        let last = printed.stderr.lines().rev().map(str::trim).find(|line| !line.is_empty());
        let cause = last.map_or_else(|| format!("it exited with {}", printed.code), str::to_owned);
        return (Verdict::Failed, cause, told);
    };
    let verdict = match *kind {
        "missing" => Verdict::Missing,
        "refused" => Verdict::Refused,
        "full" => Verdict::DiskFull,
        "locked" => Verdict::Locked,
        "partly" => Verdict::Partly,
        _ => Verdict::Failed,
    };
    let words: Vec<_> = fails.iter().map(|(_, words)| words.trim()).collect();
    (verdict, words.join("; "), told)
}

/// What is a list even where there is one.
const LISTS: [&str; 7] = ["paths", "boot", "lost", "lost_file", "former", "left_out", "in_place"];

fn told(printed: &str) -> Value {
    let mut told = Map::new();
    for line in printed.lines() {
        let Some((key, words)) = line.strip_prefix("@told ").and_then(|line| line.split_once(' ')) else {
            continue;
        };
        let value = Value::String(words.to_owned());
        match told.get_mut(key) {
            Some(Value::Array(items)) => items.push(value),
            Some(only) => *only = value,
            None if LISTS.contains(&key) => drop(told.insert(key.to_owned(), Value::Array(vec![value]))),
            None => drop(told.insert(key.to_owned(), value)),
        }
    }
    if told.is_empty() { Value::Null } else { Value::Object(told) }
}
