//! Who watches a rehearsed run through all of its lives.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashSet, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
};

use jiff::Timestamp;
use runbook_engine::{
    ids::TargetId,
    laws::{Oracle, Violation},
    outcome::{Outcome, TargetOutcome},
    plan::Plan,
    run::{Run, event::Event},
};

use super::margin::{Margin, Margins};
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

/// Hears everything that is durable.
pub(super) struct Witness<'p> {
    oracle: Option<Oracle<'p>>,
    trace: Option<&'p RefCell<Vec<Entry>>>,
    margins: Margins<'p>,
    pub life: u32,
    pub entries: u64,
    /// Besides that a life went on, and what was heard before.
    pub gained: u64,
    /// What was heard, where it is to be told whether lives gain anything.
    heard: Option<HashSet<u64>>,
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// What was told of each machine when the run ended; nothing of a run that did not.
    pub outcomes: Option<BTreeMap<TargetId, TargetOutcome>>,
    /// Machines of which nobody could say at some time what was applied.
    pub unsure: BTreeSet<TargetId>,
    pub violations: Vec<Violation>,
}

impl<'p> Witness<'p> {
    /// `trace`: where every entry goes, so that it is there whatever becomes of the world. `gains`: whether to tell what lives gain.
    pub fn new(plan: &'p Plan, trace: Option<&'p RefCell<Vec<Entry>>>, gains: bool) -> Self {
        Self {
            oracle: Some(Oracle::new(plan)),
            trace,
            margins: Margins::new(plan),
            life: 1,
            entries: 0,
            gained: 0,
            heard: gains.then(HashSet::new),
            started_at: None,
            finished_at: None,
            outcomes: None,
            unsure: BTreeSet::new(),
            violations: Vec::new(),
        }
    }

    /// Whether a trace was asked for.
    pub fn traces(&self) -> bool {
        self.trace.is_some()
    }

    /// What was heard, where a trace was asked for.
    pub fn take_trace(&mut self) -> Vec<Entry> {
        self.trace.take().map(RefCell::take).unwrap_or_default()
    }

    /// How the work behind windows lay to the end of the one that it came nearest to.
    pub fn margin(&self) -> Option<Margin> {
        self.margins.smallest()
    }

    /// No more is to be heard: what the journal broke.
    pub fn conclude(&mut self) {
        let Some(oracle) = self.oracle.take() else { return };
        self.violations.extend(match &self.outcomes {
            Some(outcomes) => oracle.verdict(outcomes.iter().map(|(id, outcome)| (id, *outcome))),
            None => oracle.noted(),
        });
    }

    /// Whether an event gets the run further: what every resume writes does not, nor what an action writes again because it
    /// does not know that it wrote it.
    fn is_gain(&mut self, event: &Event) -> bool {
        let again = matches!(
            event,
            Event::RunResumed { .. }
                | Event::RunUnpaused { .. }
                | Event::TaskLookedUp { .. }
                | Event::AttemptTimedOut { .. }
        );
        self.heard.as_mut().is_some_and(|heard| !again && heard.insert(fingerprint(event)))
    }
}

impl Observer for Witness<'_> {
    fn entries(&mut self, run: &Run, at: Timestamp, events: &[Event]) {
        for event in events {
            self.entries += 1;
            self.gained += u64::from(self.is_gain(event));
            self.margins.hear(at, event);
            if let Some(oracle) = &mut self.oracle {
                oracle.hear(at, event);
            }
            if let Some(trace) = self.trace {
                trace.borrow_mut().push(Entry { life: self.life, at, event: event.clone() });
            }
            match event {
                Event::RunStarted { .. } => self.started_at = Some(at),
                Event::TargetsReported { targets, report, .. } if report.outcome == Outcome::Unknown => {
                    self.unsure.extend(targets.iter().cloned());
                }
                Event::RunFinished { .. } => {
                    self.finished_at = Some(at);
                    let views = run.targets().into_iter();
                    self.outcomes = Some(views.map(|view| (view.id.clone(), view.outcome)).collect());
                }
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
