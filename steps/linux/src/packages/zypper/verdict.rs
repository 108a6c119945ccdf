//! What zypper's codes and words mean: from 100 on its codes are no errors, but for 104 and 105.

use runbook_steps::ports::linux::Verdict;
use serde_json::Value;

use super::xml::elements;
use crate::packages::{Kind, Printed, Sections, keep_verdict, words::no_room, words::plain};

pub(super) fn judge(work: Kind, printed: &Printed) -> (Verdict, String, Value) {
    let said = Sections::of(&printed.stdout);
    if work == Kind::Keep && said.has("end") {
        return keep_verdict(&said, &printed.stderr);
    }
    let unfulfilled = said.lines("unfulfilled").next().is_some();
    let half = said.lines("half").next().is_some();
    let whole = said.has("end") || work == Kind::Refresh;
    let (verdict, cause) = match printed.code {
        _ if !whole => (Verdict::Failed, "the script did not come to its end".to_owned()),
        // 106: a repository was left out. For a refresh that is what went wrong.
        0 | 100..=103 | 106 | 107
            if !unfulfilled && !half && (printed.code != 106 || work != Kind::Refresh) =>
        {
            match script_failed(printed) {
                Some(cause) => (Verdict::Partly, cause),
                None if printed.code == 107 => (Verdict::Partly, "the script of a package failed".to_owned()),
                None => (Verdict::Done, String::new()),
            }
        }
        _ => of(work, printed),
    };
    (verdict, cause, Value::Null)
}

/// Why a command failed.
pub(super) fn of(work: Kind, printed: &Printed) -> (Verdict, String) {
    let changed = Sections::of(&printed.stdout).word("changed") == "yes";
    if let Some(line) = lines(printed).find(|line| no_room(line)) {
        return (Verdict::DiskFull, plain(line.trim().trim_start_matches("error: ")));
    }
    let lock = lines(printed).find(|line| {
        line.contains("System management is locked") || line.contains("lock of the rpm database")
    });
    if (printed.code == 7 || lock.is_some()) && !changed {
        return (Verdict::Locked, plain(lock.as_deref().unwrap_or("another process holds zypper's lock")));
    }
    if let Some(line) = printed.stderr.lines().find(|line| line.starts_with("Error: It would remove")) {
        return (Verdict::Refused, plain(line.trim_start_matches("Error: ")));
    }
    if !changed && let Some(file) = conflict(printed) {
        return (Verdict::Refused, format!("two packages have {file}"));
    }
    let problem =
        lines(printed).find(|line| line.starts_with("Problem: ") && !line.contains("during or after"));
    let cause = script_failed(printed)
        .or_else(|| problem.as_deref().map(|line| plain(line.trim_start_matches("Problem: "))))
        .or_else(|| lower(printed))
        .or_else(|| failed(printed))
        .or_else(|| error(printed))
        .unwrap_or_else(|| format!("zypper ended with code {}", printed.code));
    let verdict = match (work, printed.code) {
        _ if changed => Verdict::Partly,
        (Kind::Install, 104) => Verdict::Missing,
        (Kind::Install, _) if problem.is_some() || lower(printed).is_some() => Verdict::Refused,
        _ => Verdict::Failed,
    };
    (verdict, cause)
}

/// It passes over a lower version without a word of error.
pub(super) fn lower(printed: &Printed) -> Option<String> {
    let line = lines(printed).find(|line| line.contains("has lower version than the installed one"))?;
    Some(plain(line.split(". Use ").next().unwrap_or(&line)))
}

/// All lines, with those of messages and prompts as they are meant.
fn lines(printed: &Printed) -> impl Iterator<Item = String> {
    let messages = elements(&printed.stdout).into_iter().map(|element| element.text);
    let text: Vec<String> = printed
        .stderr
        .lines()
        .map(str::to_owned)
        .chain(messages.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()))
        .chain(printed.stdout.lines().filter(|line| !line.starts_with(['<', '#'])).map(str::to_owned))
        .collect();
    text.into_iter()
}

/// The first file that two packages have, where that stopped it.
fn conflict(printed: &Printed) -> Option<String> {
    let mut elements =
        elements(&printed.stdout).into_iter().skip_while(|element| element.name != "fileconflict");
    elements.find(|element| element.name == "file" && !element.end).map(|element| element.text)
}

/// `warning: %post(other-1.3-1.x86_64) scriptlet failed, exit status 1`: the package counts as installed.
fn script_failed(printed: &Printed) -> Option<String> {
    let line =
        lines(printed).find(|line| line.contains("scriptlet failed") || line.contains("script failed:"))?;
    Some(plain(line.trim().trim_start_matches("warning: ").trim_start_matches("error: ")))
}

/// `Installation of early-1.0-1.x86_64 failed:`, and on the next line why.
fn failed(printed: &Printed) -> Option<String> {
    let mut lines = lines(printed)
        .skip_while(|line| !(line.contains("nstallation of ") && line.trim_end().ends_with("failed:")));
    let what = lines.next()?;
    let why = lines.find(|line| !line.trim().is_empty()).unwrap_or_default();
    Some(plain(&format!("{} {}", what.trim(), why.trim().trim_start_matches("error: "))))
}

/// The first message of error.
fn error(printed: &Printed) -> Option<String> {
    elements(&printed.stdout)
        .iter()
        .find(|element| {
            element.name == "message" && element.get("type") == "error" && !element.text.is_empty()
        })
        .map(|element| plain(&element.text.lines().collect::<Vec<_>>().join(" ")))
        .or_else(|| {
            lines(printed)
                .find(|line| {
                    line.contains("not found") || line.contains("is invalid") || line.starts_with("Error")
                })
                .map(|line| plain(&line))
        })
        .or_else(|| printed.stderr.lines().find(|line| !line.trim().is_empty()).map(plain))
}
