//! What apt's and dpkg's words mean: apt-get exits with 100 for everything.

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
    let cause = match work {
        // Without the end of the script nobody knows how packages stand.
        Kind::Install | Kind::Repair if !said.has("end") => {
            Some("the script did not come to its end".to_owned())
        }
        Kind::Install | Kind::Repair => unfinished(&said),
        // Versions of apt before 2.1 know no error mode: a list that did not come is a warning there.
        Kind::Refresh => printed
            .stderr
            .lines()
            .filter_map(|line| line.strip_prefix("W: "))
            .find(|line| line.starts_with("Failed to fetch") || line.starts_with("Some index files failed"))
            .map(plain),
        Kind::Keep => Some("the script did not come to its end".to_owned()),
    };
    match (cause, work) {
        (None, _) => (Verdict::Done, String::new(), Value::Null),
        (Some(cause), Kind::Install | Kind::Repair) => (Verdict::Partly, cause, Value::Null),
        (Some(cause), _) => (Verdict::Failed, cause, Value::Null),
    }
}

/// What is not as it should be after a transaction.
fn unfinished(said: &Sections<'_>) -> Option<String> {
    let half: Vec<&str> = said.lines("half").map(str::trim).collect();
    if !half.is_empty() {
        return Some(format!("half done: {}", half.join(", ")));
    }
    said.lines("check")
        .find_map(|line| line.strip_prefix("E: "))
        .map(|line| unmet(&said.text("check")).unwrap_or_else(|| plain(line)))
}

/// Why a command failed.
pub(super) fn of(work: Kind, printed: &Printed) -> (Verdict, String) {
    let said = Sections::of(&printed.stdout);
    let errors = || printed.stderr.lines().chain(printed.stdout.lines());
    let changed = said.word("changed") == "yes";

    if let Some(line) = errors().find(|line| no_room(line)) {
        return (Verdict::DiskFull, plain(stripped(line)));
    }
    if let Some(line) = errors().find(|line| is_lock(line))
        && !changed
    {
        // `Waiting for cache lock: Could not get lock …. It is held by process 7 (apt-get)...`
        let line = line.find("Could not get lock").map_or(stripped(line), |at| &line[at..]);
        return (Verdict::Locked, plain(line));
    }
    let cause = cause(printed);
    let verdict = match work {
        _ if changed => Verdict::Partly,
        Kind::Refresh | Kind::Keep | Kind::Repair => Verdict::Failed,
        Kind::Install if errors().any(is_missing) => Verdict::Missing,
        Kind::Install if errors().any(is_refusal) => Verdict::Refused,
        Kind::Install => Verdict::Failed,
    };
    (verdict, cause)
}

fn is_lock(line: &str) -> bool {
    [
        "Could not get lock",
        "Unable to lock",
        "dpkg frontend lock",
        "was locked by another process",
        "database area is locked",
    ]
    .iter()
    .any(|words| line.contains(words))
}

fn is_missing(line: &str) -> bool {
    (line.starts_with("E: Version '") && line.contains("was not found"))
        || line.starts_with("E: Unable to locate package")
        || (line.starts_with("E: Package '") && line.contains("has no installation candidate"))
        || (line.starts_with("E: Failed to fetch") && line.contains("404"))
        || (line.starts_with("E: Failed to fetch") && line.contains("File not found"))
        || line.starts_with("E: Unsupported file")
}

fn is_refusal(line: &str) -> bool {
    [
        "E: Held packages were changed",
        "E: Packages were downgraded",
        "E: Packages need to be removed",
        "E: It would remove",
        "E: Essential packages were removed",
        "E: Unable to correct problems",
        "E: Unmet dependencies",
        "E: dpkg was interrupted",
        "E: There were unauthenticated packages",
        "E: Release '",
        "E: Trivial Only specified",
    ]
    .iter()
    .any(|start| line.starts_with(start))
}

/// The first line that says what is wrong, and not what followed from it.
fn cause(printed: &Printed) -> String {
    let lines: Vec<&str> = printed.stderr.lines().collect();
    // `dpkg: error processing package NAME (--configure):`, and on the next line why.
    for pair in lines.windows(2) {
        let [line, why] = pair else { continue };
        if let Some(rest) = line.strip_prefix("dpkg: error processing ")
            && why.starts_with(' ')
        {
            let what =
                rest.strip_prefix("package ").or_else(|| rest.strip_prefix("archive ")).unwrap_or(rest);
            let what = what.split(" (--").next().unwrap_or(what);
            return plain(&format!("dpkg: {what}: {}", why.trim()));
        }
    }
    if let Some(line) = lines.iter().find_map(|line| line.strip_prefix("dpkg: error: ")) {
        return plain(line);
    }
    if let Some(unmet) = unmet(&printed.stdout) {
        return unmet;
    }
    let error = |line: &&str| {
        line.strip_prefix("E: ").filter(|rest| !rest.starts_with("Sub-process")).map(str::to_owned)
    };
    lines
        .iter()
        .find_map(error)
        .or_else(|| printed.stdout.lines().find_map(|line| error(&line)))
        .or_else(|| lines.iter().find_map(|line| line.strip_prefix("W: ").map(str::to_owned)))
        .or_else(|| {
            lines.iter().rev().find(|line| !line.trim().is_empty()).map(|line| stripped(line).to_owned())
        })
        .map_or_else(|| format!("apt-get ended with code {}", printed.code), |line| plain(&line))
}

/// `The following packages have unmet dependencies:`, and on the next line which.
fn unmet(text: &str) -> Option<String> {
    let mut lines = text.lines().skip_while(|line| !line.contains("have unmet dependencies"));
    lines.next()?;
    let line = lines.next().filter(|line| line.starts_with(' '))?;
    Some(plain(&line.split_whitespace().collect::<Vec<_>>().join(" ")))
}

fn stripped(line: &str) -> &str {
    let line = line.trim();
    ["E: ", "W: ", "dpkg: error: "].iter().find_map(|mark| line.strip_prefix(mark)).unwrap_or(line)
}
