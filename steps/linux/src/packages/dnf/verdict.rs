//! What the words of dnf and yum mean: they exit with 1 for nearly everything, dnf 4 with 200 for locks.

use runbook_steps::ports::linux::Verdict;
use serde_json::Value;

use crate::packages::{Kind, Printed, Sections, keep_verdict, words::no_room, words::plain};

pub(super) fn judge(work: Kind, printed: &Printed) -> (Verdict, String, Value) {
    let said = Sections::of(&printed.stdout);
    if work == Kind::Keep && said.has("end") {
        return keep_verdict(&said, &printed.stderr);
    }
    if printed.code != 0 {
        let (verdict, cause) = of(work, printed);
        return (verdict, cause, Value::Null);
    }
    let (verdict, cause) = match work {
        Kind::Install | Kind::Repair if !said.has("end") => {
            (Verdict::Partly, "the script did not come to its end".to_owned())
        }
        Kind::Keep => (Verdict::Failed, "the script did not come to its end".to_owned()),
        // rpm only warns of it: the package counts as installed.
        Kind::Install | Kind::Repair => match lines(printed).find(|line| is_scriptlet(line)) {
            Some(line) => (Verdict::Partly, scriptlet(line)),
            None => (Verdict::Done, String::new()),
        },
        Kind::Refresh => match lines(printed).find(|line| line.starts_with("Ignoring repositories:")) {
            Some(line) => (Verdict::Failed, error(printed).unwrap_or_else(|| plain(line))),
            None => (Verdict::Done, String::new()),
        },
    };
    (verdict, cause, Value::Null)
}

fn lines(printed: &Printed) -> impl Iterator<Item = &str> {
    printed.stderr.lines().chain(printed.stdout.lines())
}

/// Why a command failed.
pub(super) fn of(work: Kind, printed: &Printed) -> (Verdict, String) {
    let said = Sections::of(&printed.stdout);
    let changed = said.word("changed") == "yes";
    if let Some(line) = lines(printed).find(|line| no_room(line)) {
        return (
            Verdict::DiskFull,
            plain(line.trim().trim_start_matches("- ").trim_start_matches("Error: ")),
        );
    }
    let lock = lines(printed).find(|line| is_lock(line));
    if (lock.is_some() || printed.code == 200) && !changed {
        // `RPMDB already locked by 7`, and on the next line `The application with PID 7 is: dnf`.
        let holder = lines(printed)
            .find_map(|line| line.trim().strip_prefix("The application with PID ")?.split(" is: ").nth(1));
        let line = plain(lock.unwrap_or("another process holds a lock").trim_start_matches("Error: "));
        let cause = match holder {
            Some(holder) => format!("{line} ({})", holder.trim()),
            None => line,
        };
        return (Verdict::Locked, cause);
    }
    let scriptlet_line = lines(printed).find(|line| is_scriptlet(line));
    let cause = match scriptlet_line {
        Some(line) => scriptlet(line),
        None => error(printed).unwrap_or_else(|| {
            lines(printed)
                .find(|line| !line.trim().is_empty() && !line.starts_with('#'))
                .filter(|_| printed.stdout.is_empty())
                .map_or_else(|| format!("the package manager ended with code {}", printed.code), plain)
        }),
    };
    let verdict = match work {
        _ if changed => Verdict::Partly,
        Kind::Install if lines(printed).any(is_held) => Verdict::Refused,
        Kind::Install if lines(printed).any(is_missing) => Verdict::Missing,
        Kind::Install if lines(printed).any(is_refusal) => Verdict::Refused,
        _ => Verdict::Failed,
    };
    (verdict, cause)
}

fn is_lock(line: &str) -> bool {
    [
        "already locked by",
        "Existing lock /",
        "Another app is currently holding",
        "lock of the rpm database",
        "transaction lock on",
    ]
    .iter()
    .any(|words| line.contains(words))
        || (line.contains("Failed to obtain") && line.contains("lock"))
}

/// Excluded, or its version is locked.
fn is_held(line: &str) -> bool {
    line.contains("exclude filtering") || line.contains("filtered out by")
}

fn is_missing(line: &str) -> bool {
    [
        "Unable to find a match",
        "No match for argument",
        "No packages marked for",
        "Cannot download",
        "Error downloading packages",
        "Status code: 404",
        "HTTP Error 404",
        "Could not open",
    ]
    .iter()
    .any(|words| line.contains(words))
        || (line.starts_with("No package ") && line.trim_end().trim_end_matches('.').ends_with("available"))
        || line.trim() == "Error: Nothing to do"
}

fn is_refusal(line: &str) -> bool {
    [
        " Problem",
        "conflicting requests",
        "Error: It would",
        "GPG check FAILED",
        "is not signed",
        "Public key",
        "protected packages",
        "Transaction test error",
        "Transaction Check Error",
        "Requires: ",
        "Failed to resolve the transaction",
    ]
    .iter()
    .any(|words| line.contains(words))
}

fn is_scriptlet(line: &str) -> bool {
    line.contains("scriptlet failed") || line.starts_with("Error in POST") || line.starts_with("Error in PRE")
}

fn scriptlet(line: &str) -> String {
    plain(line.trim().trim_start_matches("warning: ").trim_start_matches("error: "))
}

/// The first line that says what is wrong.
fn error(printed: &Printed) -> Option<String> {
    // Under ` Problem: conflicting requests` stands why.
    let mut under = lines(printed).skip_while(|line| !line.trim_start().starts_with("Problem"));
    if let Some(problem) = under.next() {
        let why = under.next().and_then(|line| line.trim_start().strip_prefix("- "));
        return Some(plain(why.unwrap_or_else(|| problem.trim_start())));
    }
    // yum: `Error: Package: app-1.1-1.x86_64 (base)`, and on the next line `Requires: …`.
    let mut under = lines(printed).skip_while(|line| !line.starts_with("Error: Package: "));
    if let Some(package) = under.next() {
        let why = under.next().map(str::trim).unwrap_or_default();
        let package = package.trim_start_matches("Error: Package: ");
        return Some(plain(&format!("{package}: {why}")));
    }
    // `Error: Transaction test error:`, and on the next line `  file /etc/a.conf from install of … conflicts with …`.
    let mut under = lines(printed).skip_while(|line| !line.contains("ransaction test error:"));
    if under.next().is_some()
        && let Some(why) = under.find(|line| !line.trim().is_empty())
    {
        return Some(plain(why));
    }
    // yum says `Nothing to do` after it has said why.
    if let Some(line) =
        lines(printed).find(|line| line.starts_with("No package ") && line.contains("available"))
    {
        return Some(plain(line));
    }
    if let Some(line) = lines(printed).find(|line| is_held(line)) {
        return Some(plain(line));
    }
    let of = |mark: &str| {
        lines(printed)
            .filter_map(|line| line.strip_prefix(mark).map(str::trim))
            .find(|rest| !rest.is_empty() && *rest != "Operation aborted.")
            .map(plain)
    };
    of("Error: ")
        .or_else(|| of("error: "))
        .or_else(|| of("No match for argument: ").map(|what| format!("no match for {what}")))
        .or_else(|| {
            lines(printed)
                .find(|line| line.contains("GPG check FAILED") || line.contains("Curl error"))
                .map(|line| plain(line.trim_start_matches("  - ")))
        })
}
