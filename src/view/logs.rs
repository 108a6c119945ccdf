//! What steps put out, and what machines printed.

use std::fmt::Write as _;

use jiff::Timestamp;
use runbook_engine::{
    ids::{TargetId, TaskName},
    plan::Plan,
    run::event::Event,
};
use runbook_state::store::Entry;
use serde_json::{Value, json};

use super::{
    paint::Paint,
    words::{machine, moment},
};

/// Which outputs are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// This task, or those below this part of the plan.
    pub task: Option<&'a str>,
    /// This machine.
    pub target: Option<&'a str>,
}

/// One output.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// When it was journaled.
    pub at: Timestamp,
    /// The task.
    pub task: TaskName,
    /// The machine; absent: the task as a whole.
    pub target: Option<TargetId>,
    /// What it put out.
    pub outputs: Value,
}

impl Wanted<'_> {
    /// Whether what a task puts out about a machine, or about none, is wanted.
    pub fn has(&self, plan: &Plan, task: &TaskName, target: Option<&TargetId>) -> bool {
        let is_called = |id: &TargetId, wanted: &str| {
            id.as_str() == wanted || plan.targets.get(id).is_some_and(|machine| machine.name == wanted)
        };
        self.task.is_none_or(|wanted| is_below(task.as_str(), wanted))
            && self.target.is_none_or(|wanted| target.is_some_and(|id| is_called(id, wanted)))
    }
}

/// The outputs in a journal, oldest first, and what jobs on hosts printed.
pub fn outputs(plan: &Plan, entries: &[Entry], wanted: Wanted<'_>) -> Vec<Output> {
    entries.iter().flat_map(|entry| of_entry(plan, entry, wanted)).collect()
}

/// Those of one entry.
pub fn of_entry(plan: &Plan, entry: &Entry, wanted: Wanted<'_>) -> Vec<Output> {
    let output = |task: &TaskName, target: Option<TargetId>, outputs: Value| {
        let is_wanted = wanted.has(plan, task, target.as_ref()) && !outputs.is_null();
        is_wanted.then(|| Output { at: entry.at, task: task.clone(), target, outputs })
    };
    match &entry.event {
        Event::OutputsRecorded { task, outputs } => {
            let named = |id: &TargetId| (!id.as_str().is_empty()).then(|| id.clone());
            outputs.iter().filter_map(|(id, value)| output(task, named(id), value.clone())).collect()
        }
        Event::CheckpointRecorded { task, key, value, .. } => {
            let log = value.get("log").and_then(Value::as_str).filter(|log| !log.is_empty());
            let machine = key.rsplit_once('/').map(|(id, job)| (TargetId::from(id), job));
            let machine = machine.filter(|(id, _)| plan.targets.contains_key(id));
            let (Some(log), Some((id, job))) = (log, machine) else { return Vec::new() };
            output(task, Some(id), json!({ "job": job, "log": log })).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn is_below(task: &str, wanted: &str) -> bool {
    let wanted = wanted.trim_end_matches('/');
    task.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Output {
    /// For a program.
    pub fn to_json(&self) -> Value {
        json!({ "at": self.at, "task": self.task, "target": self.target, "outputs": self.outputs })
    }

    /// For a person: a heading, then texts as they were put out, then the rest as `name: value`.
    pub fn to_text(&self, plan: &Plan, paint: Paint) -> String {
        let mut heading = self.task.to_string();
        if let Some(target) = &self.target {
            let _ = write!(heading, " on {}", machine(plan, target));
        }
        let mut text = format!("{}  {}\n", paint.bold(&heading), paint.dim(&moment(self.at)));
        let Value::Object(values) = &self.outputs else {
            let _ = writeln!(text, "{}\n", plain(&self.outputs));
            return text;
        };
        let is_stream = |name: &str| matches!(name, "stdout" | "stderr" | "log");
        for (name, value) in values.iter().filter(|(name, _)| !is_stream(name)) {
            let _ = writeln!(text, "  {name}: {}", plain(value));
        }
        for (name, value) in values.iter().filter(|(name, _)| is_stream(name)) {
            let stream = plain(value);
            if !stream.trim().is_empty() {
                let _ = writeln!(text, "  {}\n{}", paint.dim(name), visible(stream.trim_end()));
            }
        }
        text.push('\n');
        text
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A machine's output must not steer the terminal of the person who reads it.
pub fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect()
}
