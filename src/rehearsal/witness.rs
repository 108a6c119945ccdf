//! Who watches a rehearsed run through all of its lives.

use std::{
    collections::{BTreeMap, HashMap, HashSet, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
};

use jiff::Timestamp;
use runbook_engine::{
    ids::{TargetId, TaskName},
    laws::{Law, Oracle, Violation},
    outcome::TargetOutcome,
    plan::{Gate, Plan, Window, Work},
    run::{
        Run,
        event::{Event, RunEnd},
    },
};

use crate::coordinator::observer::Observer;

/// An entry of a rehearsed journal.
#[derive(Clone, Debug)]
pub struct Entry {
    /// In which life, from 1.
    pub life: u32,
    /// When, by the world's clock.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// How the last change behind a window lay to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margin {
    /// When the window closed that everything began in.
    pub closes: Timestamp,
    /// When the last machine behind it was done.
    pub done: Timestamp,
}

impl Margin {
    /// How many seconds were left; less than nothing: it took longer than the window was open.
    pub fn left_s(&self) -> i64 {
        self.closes.duration_since(self.done).as_secs()
    }
}

/// Hears everything that is durable.
pub(super) struct Witness<'p> {
    plan: &'p Plan,
    oracle: Option<Oracle<'p>>,
    trace: Option<Vec<Entry>>,
    windows: HashMap<&'p TaskName, &'p Window>,
    pub life: u32,
    pub entries: u64,
    /// Besides that a life went on, and what was heard before.
    pub gained: u64,
    heard: HashSet<u64>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    pub end: Option<RunEnd>,
    pub cause: Option<String>,
    pub outcomes: BTreeMap<TargetId, TargetOutcome>,
    pub margin: Option<Margin>,
    pub violations: Vec<Violation>,
}

impl<'p> Witness<'p> {
    pub fn new(plan: &'p Plan, trace: bool) -> Self {
        let windows = plan.tasks.iter().filter_map(|task| match &task.work {
            Work::Gate(Gate::Window(window)) => Some((&task.name, window)),
            _ => None,
        });
        Self {
            plan,
            oracle: Some(Oracle::new(plan)),
            trace: trace.then(Vec::new),
            windows: windows.collect(),
            life: 1,
            entries: 0,
            gained: 0,
            heard: HashSet::new(),
            started_at: None,
            finished_at: None,
            end: None,
            cause: None,
            outcomes: BTreeMap::new(),
            margin: None,
            violations: Vec::new(),
        }
    }

    /// Whether a trace was asked for.
    pub fn traces(&self) -> bool {
        self.trace.is_some()
    }

    /// What was heard, where a trace was asked for.
    pub fn take_trace(&mut self) -> Vec<Entry> {
        self.trace.take().unwrap_or_default()
    }

    /// No more is to be heard: what the journal broke. `run` is where it stood at last, if it did not end.
    pub fn conclude(&mut self) {
        if let Some(oracle) = self.oracle.take() {
            let outcomes = self.outcomes.iter().map(|(id, outcome)| (id, *outcome));
            self.violations.extend(oracle.verdict(outcomes));
        }
    }

    /// Where the run stands.
    fn note(&mut self, run: &Run) {
        self.cause = run.cause();
        self.outcomes = run.targets().into_iter().map(|view| (view.id.clone(), view.outcome)).collect();
        if run.plan().targets.len() != self.plan.targets.len() {
            let detail = "the run has other machines than its plan";
            self.violations.push(Violation::of(Law::OnlyListedMachines, detail));
        }
    }

    fn timed(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::TaskSucceeded { task } => {
                if let Some(opening) = self.windows.get(task).and_then(|window| window.now_or_next(at)) {
                    self.margin = Some(Margin { closes: opening.closes, done: at });
                }
            }
            Event::TargetsReported { .. } => {
                if let Some(margin) = &mut self.margin {
                    margin.done = at;
                }
            }
            _ => {}
        }
    }
}

impl Observer for Witness<'_> {
    fn entries(&mut self, run: &Run, at: Timestamp, events: &[Event]) {
        for event in events {
            self.entries += 1;
            // What every resume writes gets the run no further.
            let again = matches!(
                event,
                Event::RunResumed { .. }
                    | Event::RunUnpaused { .. }
                    | Event::TaskLookedUp { .. }
                    | Event::AttemptTimedOut { .. }
            );
            // So does what an action writes again because it does not know that it wrote it.
            self.gained += u64::from(!again && self.heard.insert(fingerprint(event)));
            self.timed(at, event);
            if let Some(oracle) = &mut self.oracle {
                oracle.hear(at, event);
            }
            if let Some(trace) = &mut self.trace {
                trace.push(Entry { life: self.life, at, event: event.clone() });
            }
            match event {
                Event::RunStarted { .. } => self.started_at = Some(at),
                Event::RunFinished { status } => {
                    self.end = Some(*status);
                    self.finished_at = Some(at);
                    self.note(run);
                }
                Event::RunPaused { .. } => self.note(run),
                _ => {}
            }
        }
    }

    fn notice(&mut self, _text: &str) {}
}

/// Two events that say the same have the same.
fn fingerprint(event: &Event) -> u64 {
    let mut hasher = DefaultHasher::new();
    serde_json::to_string(event).unwrap_or_default().hash(&mut hasher);
    hasher.finish()
}
