//! When a run will end, as far as anybody can know.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use runbook_engine::{
    ids::{ScopeName, StepPath},
    plan::{Gate, Role, Scope, Work},
    run::{Run, TaskStatus},
};

use super::words::moment;

/// An estimate of the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Estimate {
    /// About then, when everything that is still to come takes as long as it took so far.
    About(Timestamp),
    /// Nobody can know, for this reason.
    Unknown(String),
    /// It is over.
    Over,
}

/// The estimate in words, to stand behind `end`.
pub fn words(estimate: &Estimate) -> String {
    match estimate {
        Estimate::About(at) => format!("about {}", moment(*at)),
        Estimate::Unknown(why) => format!("unknown ({why})"),
        Estimate::Over => "reached".to_owned(),
    }
}

/// Estimates the end of the ordinary way: failures make it longer or shorter.
///
/// A step that ran before (in an earlier wave, or a block's step in another stage) is expected to take as long as it
/// took on average; a soak, a wait and a window take what the plan says. People and steps that never ran are unknown.
pub fn end(run: &Run, now: Timestamp) -> Estimate {
    if run.finished_at().is_some() {
        return Estimate::Over;
    }
    let plan = run.plan();
    let known = Known::from(run);
    let scopes: BTreeMap<&ScopeName, &Scope> = plan.scopes.iter().map(|scope| (&scope.name, scope)).collect();
    // Branches live only after failures; everything else comes one after the other where it must, which the plan's
    // edges say, with waves of one stage behind each other.
    let mut ends: BTreeMap<&str, Timestamp> = BTreeMap::new();
    let mut last = now;
    for view in run.tasks() {
        let task = view.task;
        let outside = matches!(task.role, Role::Branch { .. } | Role::Verify { .. } | Role::Finally);
        if outside || view.status.is_terminal() {
            continue;
        }
        let mut from = now;
        for need in &task.needs {
            from = from.max(end_of(&ends, need));
        }
        // The scope that must be over first: the wave before this one, the soak of it.
        let mut scope = scopes.get(&task.scope);
        while let Some(inner) = scope {
            if let Some(after) = &inner.after {
                from = from.max(end_of(&ends, after.as_str()));
            }
            scope = inner.parent.as_ref().and_then(|name| scopes.get(name));
        }
        let length = match &task.work {
            Work::Gate(Gate::WaitFor { span }) => {
                SignedDuration::from_secs(i64::try_from(span.as_secs()).unwrap_or(i64::MAX))
            }
            Work::Gate(Gate::WaitUntil { until }) => until.duration_since(from).max(SignedDuration::ZERO),
            Work::Gate(Gate::Window(_)) => {
                return Estimate::Unknown(format!("{} waits for its window", task.name));
            }
            Work::Gate(_) => return Estimate::Unknown(format!("{} waits for people", task.name)),
            Work::Action(_) => match known.length(&task.step) {
                Some(length) => length,
                None => {
                    return Estimate::Unknown(format!("{} has not run yet", last_part(task.step.as_str())));
                }
            },
        };
        // What has begun has used some of its time already.
        let begun = if view.status == TaskStatus::Pending { from } else { view.started_at.unwrap_or(from) };
        let end = begun.checked_add(length).unwrap_or(from).max(from);
        ends.insert(task.name.as_str(), end);
        last = last.max(end);
    }
    Estimate::About(last)
}

/// When a task, or everything below a scope, is expected to end.
fn end_of(ends: &BTreeMap<&str, Timestamp>, name: &str) -> Timestamp {
    if let Some(end) = ends.get(name) {
        return *end;
    }
    let below = format!("{name}/");
    ends.range(below.as_str()..)
        .take_while(|(task, _)| task.starts_with(&below))
        .map(|(_, end)| *end)
        .max()
        .unwrap_or(Timestamp::MIN)
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// How long steps took so far.
struct Known {
    by_step: BTreeMap<StepPath, (i64, i64)>,
    by_name: BTreeMap<String, (i64, i64)>,
}

impl Known {
    fn from(run: &Run) -> Self {
        let mut known = Self { by_step: BTreeMap::new(), by_name: BTreeMap::new() };
        for view in run.tasks().filter(|view| view.status == TaskStatus::Succeeded) {
            let (Some(start), Some(end)) = (view.started_at, view.finished_at) else { continue };
            let step = &view.task.step;
            let millis = i64::try_from(end.duration_since(start).as_millis()).unwrap_or(i64::MAX);
            let add = |(sum, n): &mut (i64, i64)| {
                *sum = sum.saturating_add(millis);
                *n += 1;
            };
            add(known.by_step.entry(step.clone()).or_default());
            add(known.by_name.entry(last_part(step.as_str()).to_owned()).or_default());
        }
        known
    }

    fn length(&self, step: &StepPath) -> Option<SignedDuration> {
        let (sum, n) = self.by_step.get(step).or_else(|| self.by_name.get(last_part(step.as_str())))?;
        Some(SignedDuration::from_millis(sum / n))
    }
}
