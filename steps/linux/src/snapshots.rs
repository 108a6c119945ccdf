//! Snapshots and backups of hosts: what to run, and what its words mean. Pure: no connection, no clock.
//!
//! Each method is a file of sh beside this one with three functions, `capture`, `revert` and `discard`, each of which
//! may be run again: what has our token is found before anything is made. What they tell are lines `@told KEY WORDS`;
//! why they failed is one line `@fail KIND WORDS`.

use runbook_steps::ports::linux::{Capture, Revert, Verdict};
use serde_json::{Map, Value};

use crate::{packages::Printed, shell::Script};

const HEAD: &str = include_str!("snapshots/head.sh");

/// How a host is brought back, beside its packages.
const METHODS: [(&str, &str); 6] = [
    ("snapper", include_str!("snapshots/snapper.sh")),
    ("btrfs", include_str!("snapshots/btrfs.sh")),
    ("lvm", include_str!("snapshots/lvm.sh")),
    ("lvm-thin", include_str!("snapshots/lvm.sh")),
    ("restic", include_str!("snapshots/restic.sh")),
    ("libvirt", include_str!("snapshots/libvirt.sh")),
];

/// What a runbook may say besides; an option that is not stated is an empty variable. Lists become lines.
const OPTIONS: [&str; 15] = [
    "after",
    "at",
    "before",
    "config",
    "device",
    "domain",
    "into",
    "losing",
    "mode",
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
    script(&asked.method, "capture", &asked.token, run, &asked.description, options)
}

/// The script that goes back to one.
///
/// # Errors
/// The method is not known, as one lower-case sentence.
pub fn revert(asked: &Revert, run: &str) -> Result<String, String> {
    back("revert", asked, run)
}

/// The script that deletes one.
///
/// # Errors
/// The method is not known, as one lower-case sentence.
pub fn discard(asked: &Revert, run: &str) -> Result<String, String> {
    back("discard", asked, run)
}

fn back(verb: &str, asked: &Revert, run: &str) -> Result<String, String> {
    // What the backup said of itself goes before what the step says: a path or a time is the backup's.
    let captured = asked.captured.as_object().into_iter().flatten();
    let captured = captured.map(|(key, value)| (key.as_str(), value));
    let options = asked.options.iter().map(|(key, value)| (key.as_str(), value)).chain(captured);
    script(&asked.method, verb, &asked.token, run, "", options)
}

fn script<'a>(
    method: &str,
    verb: &str,
    token: &str,
    run: &str,
    description: &str,
    options: impl Iterator<Item = (&'a str, &'a Value)>,
) -> Result<String, String> {
    let body = METHODS.iter().find(|(name, _)| *name == method).map(|(_, body)| body);
    let body = body.ok_or_else(|| format!("`{method}` is no way to bring a host back"))?;
    let mut script =
        Script::new().with(HEAD).set("token", token).set("run", run).set("description", description);
    for option in OPTIONS {
        script = script.set(option, "");
    }
    for (key, value) in options.filter(|(key, _)| OPTIONS.contains(key)) {
        script = script.set(key, text(value));
    }
    if method == "lvm-thin" {
        script = script.set("thin", "yes");
    }
    Ok(script.with(body).body(&format!("{verb}\n")))
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
    let fail = printed.stdout.lines().rev().find_map(|line| line.strip_prefix("@fail ")?.split_once(' '));
    if printed.code == 0 && fail.is_none() {
        return (Verdict::Done, String::new(), told);
    }
    let Some((kind, words)) = fail else {
        let last = printed.stderr.lines().rev().map(str::trim).find(|line| !line.is_empty());
        let cause = last.map_or_else(|| format!("it exited with {}", printed.code), str::to_owned);
        return (Verdict::Failed, cause, told);
    };
    let verdict = match kind {
        "missing" => Verdict::Missing,
        "refused" => Verdict::Refused,
        "full" => Verdict::DiskFull,
        "partly" => Verdict::Partly,
        _ => Verdict::Failed,
    };
    (verdict, words.trim().to_owned(), told)
}

/// What is a list even where there is one.
const LISTS: [&str; 6] = ["paths", "lost", "lost_file", "former", "left_out", "in_place"];

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
