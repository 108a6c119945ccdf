//! Small phrases that several pages share: counts, lists of names, times, gates.

use jiff::{Timestamp, tz::TimeZone};
use runbook_engine::{
    duration::Span,
    ids::TargetId,
    plan::{Gate, LinkKind, OnExpiry, OnReject, Plan, Window},
};

/// `1 machine`, `3 machines`.
pub fn count(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// The first few names, and how many more there are.
pub fn some(names: &[String], most: usize) -> String {
    if names.len() <= most {
        return names.join(", ");
    }
    format!("{} and {} more", names[..most].join(", "), names.len() - most)
}

/// Names in their order: all of a few, else the first and the last.
pub fn span(names: &[String], most: usize) -> String {
    match names {
        [first, .., last] if names.len() > most => format!("{first} … {last}"),
        _ => names.join(", "),
    }
}

/// A machine for a person: its name, and its id where that is another word.
pub fn machine(plan: &Plan, id: &TargetId) -> String {
    match plan.targets.get(id) {
        Some(target) if target.name != id.as_str() => format!("{} ({id})", target.name),
        _ => id.to_string(),
    }
}

/// The machines' names alone.
pub fn names(plan: &Plan, ids: &[TargetId]) -> Vec<String> {
    ids.iter()
        .map(|id| plan.targets.get(id).map_or_else(|| id.to_string(), |target| target.name.clone()))
        .collect()
}

/// `2026-11-22 01:02:03 UTC`.
pub fn moment(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `01:02:03`, for lines that follow each other.
pub fn clock(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%H:%M:%S").to_string()
}

/// The time between two moments, to its two largest units: `2d 3h`, `4m 5s`, `0s`.
pub fn between(from: Timestamp, to: Timestamp) -> String {
    length(u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0))
}

/// So many seconds, to their two largest units.
pub fn length(secs: u64) -> String {
    Span::from_secs(secs).in_words()
}

/// What a gate waits for.
pub fn gate(gate: &Gate) -> String {
    match gate {
        Gate::Approval { approvers, quorum, expires, on_expiry, on_reject } => {
            let expiry = match on_expiry {
                OnExpiry::Fail => "fails",
                OnExpiry::Pause => "pauses",
            };
            let reject = match on_reject {
                OnReject::Fail => "",
                OnReject::Rollback => "; a rejection restores what was changed",
            };
            format!("{quorum} of {} within {expires}, else it {expiry}{reject}", approvers.join(", "))
        }
        Gate::WaitFor { span } => format!("waits {span}"),
        Gate::WaitUntil { until } => format!("waits until {}", moment(*until)),
        Gate::Window(window) => self::window(window),
        Gate::Manual { instructions, evidence } => {
            let line = instructions.lines().next().unwrap_or_default();
            match evidence {
                Some(evidence) => format!("\"{line}\" (evidence: {evidence})"),
                None => format!("\"{line}\""),
            }
        }
    }
}

/// When a window is open.
pub fn window(window: &Window) -> String {
    let cutoff = match window.cutoff.as_secs() {
        0 => String::new(),
        _ => format!(", nothing starts in the last {}", window.cutoff),
    };
    format!("{} {} for {}{cutoff}", window.cron, window.timezone, window.duration)
}

/// `rollback`, `retry`.
pub fn link(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Rollback => "rollback",
        LinkKind::Retry => "retry",
    }
}
