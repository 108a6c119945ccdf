//! From journals to experience.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Experience, Known};
use crate::{
    duration::Span,
    ids::{ActionName, TargetId, TaskName},
    outcome::Outcome,
    plan::{Plan, Task},
    run::event::{Event, Report},
};

/// An action on a platform.
type Subject = (ActionName, Option<String>);

/// Hears journals and remembers how long machines took.
///
/// What counts is the time from a machine's first start in a task to the report that it worked there, its further
/// attempts included; where the remote side said when it had finished, to that moment. It does not tell how long an
/// action takes, and so is left out, where
/// - the machine did not come out well in the task, or a person said what became of it;
/// - nobody was there in between (the run was interrupted), unless one attempt was all and the remote side said when it
///   had finished.
///
/// Waiting for one's turn in a wave with many machines is part of it; gates are not.
#[derive(Debug, Default)]
pub struct Collector(BTreeMap<Subject, Seen>);

/// How long something took, and how often: whole seconds, so that it stays small.
#[derive(Debug, Default)]
struct Seen {
    lengths: BTreeMap<u64, u64>,
    runs: u32,
}

/// A machine in a task.
#[derive(Debug)]
struct Flight {
    began: Timestamp,
    attempts: u32,
    /// The run was interrupted meanwhile.
    cut: bool,
}

/// One journal that is heard.
#[derive(Debug)]
pub struct Hearing<'c, 'p> {
    collector: &'c mut Collector,
    plan: &'p Plan,
    tasks: BTreeMap<&'p TaskName, &'p Task>,
    flights: BTreeMap<&'p TaskName, BTreeMap<Option<TargetId>, Flight>>,
    counted: BTreeSet<Subject>,
}

impl Collector {
    /// Begins with the journal of another run of this plan.
    pub fn journal<'c, 'p>(&'c mut self, plan: &'p Plan) -> Hearing<'c, 'p> {
        let tasks = plan.tasks.iter().chain(&plan.rollback).map(|task| (&task.name, task)).collect();
        Hearing { collector: self, plan, tasks, flights: BTreeMap::new(), counted: BTreeSet::new() }
    }

    /// What was heard.
    pub fn experience(&self) -> Experience {
        let known = self.0.iter().map(|((action, platform), seen)| Known {
            action: action.clone(),
            platform: platform.clone(),
            median: seen.percentile(50),
            p95: seen.percentile(95),
            times: seen.times(),
            runs: seen.runs,
        });
        known.collect()
    }
}

impl Seen {
    fn times(&self) -> u64 {
        self.lengths.values().sum()
    }

    /// The shortest time that so many of a hundred did not exceed.
    fn percentile(&self, percent: u64) -> Span {
        let rank = (self.times() * percent).div_ceil(100).max(1);
        let mut so_far = 0;
        for (secs, times) in &self.lengths {
            so_far += times;
            if so_far >= rank {
                return Span::from_secs(*secs);
            }
        }
        Span::ZERO
    }
}

impl Hearing<'_, '_> {
    /// The next entry. A journal that is not heard to its end tells what it tells until there.
    pub fn hear(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::RunResumed { .. } => {
                self.flights.values_mut().flat_map(BTreeMap::values_mut).for_each(|flight| flight.cut = true);
            }
            Event::TaskStarted { task, targets, .. } if targets.is_empty() => self.started(task, None, at),
            Event::TaskStarted { task, targets, .. } => {
                for target in targets {
                    self.started(task, Some(target), at);
                }
            }
            Event::TargetsReported { task, targets, report, .. } if report.outcome == Outcome::Succeeded => {
                for target in targets {
                    self.succeeded(task, Some(target), at, report);
                }
            }
            Event::TaskReported { task, report, .. } if report.outcome == Outcome::Succeeded => {
                self.succeeded(task, None, at, report);
            }
            _ => {}
        }
    }

    fn started(&mut self, task: &TaskName, target: Option<&TargetId>, at: Timestamp) {
        let Some((name, _)) = self.tasks.get_key_value(task) else { return };
        let flights = self.flights.entry(name).or_default();
        let flight = flights.entry(target.cloned()).or_insert(Flight { began: at, attempts: 0, cut: false });
        flight.attempts += 1;
    }

    fn succeeded(&mut self, task: &TaskName, target: Option<&TargetId>, at: Timestamp, report: &Report) {
        let flight = self.flights.get_mut(task).and_then(|flights| flights.remove(&target.cloned()));
        let (Some(flight), Some(task)) = (flight, self.tasks.get(task)) else { return };
        let said = report.finished_at.filter(|said| *said >= flight.began && *said <= at);
        if flight.cut && (said.is_none() || flight.attempts > 1) {
            return;
        }
        // A clock that was set back tells nothing.
        let millis = said.unwrap_or(at).duration_since(flight.began).as_millis();
        let Ok(millis) = u64::try_from(millis) else { return };
        let platform = match target {
            None => None,
            Some(id) => match self.plan.targets.get(id) {
                Some(machine) => Some(machine.platform.clone()),
                None => return,
            },
        };
        let subject = (task.action.clone(), platform);
        let seen = self.collector.0.entry(subject.clone()).or_default();
        *seen.lengths.entry(millis.div_ceil(1_000)).or_default() += 1;
        if self.counted.insert(subject) {
            seen.runs += 1;
        }
    }
}
