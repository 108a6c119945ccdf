//! How long a plan is expected to take: what its experience says of each task, one behind the other as they must be.

use std::collections::{BTreeMap, BTreeSet};

use super::{Gate, Plan, Role, Scope, Task, Work};
use crate::{
    duration::Span,
    experience::Known,
    ids::{ActionName, ScopeName},
};

/// What is known of how long a task takes. Its machines work side by side: it takes as long as one of them does, and
/// that of the slowest platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected<'p> {
    /// What is known, by platform.
    pub known: Vec<&'p Known>,
    /// The platforms of its machines that there is no history of; absent in the list: a task without machines.
    pub unknown: Vec<Option<&'p str>>,
}

impl Expected<'_> {
    /// The median, where anything is known.
    pub fn median(&self) -> Option<Span> {
        self.known.iter().map(|known| known.median).max()
    }

    /// The 95th percentile, where anything is known.
    pub fn p95(&self) -> Option<Span> {
        self.known.iter().map(|known| known.p95).max()
    }

    /// How many machines' tasks that rests on.
    pub fn times(&self) -> u64 {
        self.known.iter().map(|known| known.times).sum()
    }

    /// In how many runs they were, at least.
    pub fn runs(&self) -> u32 {
        self.known.iter().map(|known| known.runs).max().unwrap_or(0)
    }
}

/// How long a part of a plan takes when nothing fails, without waits for people and windows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// When each task takes its median.
    pub median: Span,
    /// When each takes its 95th percentile: all of them rarely do.
    pub p95: Span,
    /// The actions, and the platforms, that there is no history of: they count as nothing.
    pub unknown: BTreeSet<(ActionName, Option<String>)>,
    /// Whether anything is known.
    pub known: bool,
}

/// When the tasks of a plan begin and end, from its beginning on, when nothing fails.
#[derive(Debug)]
pub struct Timetable<'p> {
    plan: &'p Plan,
    scopes: BTreeMap<&'p str, &'p Scope>,
    ends: BTreeMap<&'p str, Moment>,
    parts: BTreeMap<&'p str, Stretch>,
}

/// A moment in a course of medians, and in one of 95th percentiles; in seconds.
#[derive(Clone, Copy, Debug, Default)]
struct Moment {
    median: u64,
    p95: u64,
}

impl Moment {
    fn max(self, other: Self) -> Self {
        Self { median: self.median.max(other.median), p95: self.p95.max(other.p95) }
    }

    fn min(self, other: Self) -> Self {
        Self { median: self.median.min(other.median), p95: self.p95.min(other.p95) }
    }
}

/// From the first task of a scope to its last.
#[derive(Clone, Debug)]
struct Stretch {
    begins: Moment,
    ends: Moment,
    unknown: BTreeSet<(ActionName, Option<String>)>,
    known: bool,
}

impl Plan {
    /// Whether a task of it is of this action, on this platform.
    pub(super) fn uses(&self, known: &Known) -> bool {
        let mut tasks = self.tasks.iter().chain(&self.rollback);
        tasks.any(|task| {
            task.action == known.action
                && matches!(task.work, Work::Action(_))
                && match (&task.targets, &known.platform) {
                    (None, None) => true,
                    (Some(machines), Some(platform)) => machines
                        .iter()
                        .any(|id| self.targets.get(id).is_some_and(|machine| machine.platform == *platform)),
                    _ => false,
                }
        })
    }

    /// What the plan's experience says of a task; nothing of gates, and of what is skipped.
    pub fn expected(&self, task: &Task) -> Expected<'_> {
        let mut expected = Expected::default();
        if task.skip.is_some() || matches!(task.work, Work::Gate(_)) {
            return expected;
        }
        let platforms: BTreeSet<Option<&str>> = match &task.targets {
            None => BTreeSet::from([None]),
            Some(machines) => machines
                .iter()
                .filter_map(|id| self.targets.get(id))
                .map(|machine| Some(machine.platform.as_str()))
                .collect(),
        };
        for platform in platforms {
            match self.experience.of(&task.action, platform) {
                Some(known) => expected.known.push(known),
                None => expected.unknown.push(platform),
            }
        }
        expected
    }

    /// When its tasks begin and end. Waits of a stated length (soaks, `gate/wait` for a time) count; waits for people,
    /// for windows and until a moment do not, nor does what only follows a failure.
    pub fn timetable(&self) -> Timetable<'_> {
        let scopes = self.scopes.iter().map(|scope| (scope.name.as_str(), scope)).collect();
        let mut table = Timetable { plan: self, scopes, ends: BTreeMap::new(), parts: BTreeMap::new() };
        let ordinary =
            |task: &&Task| !matches!(task.role, Role::Branch { .. } | Role::Verify { .. } | Role::Finally);
        self.tasks.iter().filter(ordinary).for_each(|task| table.add(task, Moment::default()));
        let over = table.ends.values().fold(Moment::default(), |last, end| last.max(*end));
        let last = self.tasks.iter().filter(|task| task.role == Role::Finally);
        last.for_each(|task| table.add(task, over));
        table
    }
}

impl<'p> Timetable<'p> {
    /// How long a scope takes; nothing of one in which nothing happens when nothing fails.
    pub fn of(&self, scope: &ScopeName) -> Estimate {
        self.parts.get(scope.as_str()).map(Stretch::estimate).unwrap_or_default()
    }

    /// How long everything takes.
    pub fn whole(&self) -> Estimate {
        self.plan.scopes.first().map(|root| self.of(&root.name)).unwrap_or_default()
    }

    /// Puts a task behind what it waits for, which has its place already.
    fn add(&mut self, task: &'p Task, not_before: Moment) {
        let above = self.above(&task.scope);
        let mut begins = not_before;
        for need in &task.needs {
            begins = begins.max(self.end_of(need, &above));
        }
        for after in above.iter().filter_map(|scope| scope.after.as_ref()) {
            begins = begins.max(self.parts.get(after.as_str()).map(|part| part.ends).unwrap_or_default());
        }
        let expected = self.plan.expected(task);
        let (median, p95) = match &task.work {
            Work::Gate(Gate::WaitFor { span }) if task.skip.is_none() => (*span, *span),
            _ => (expected.median().unwrap_or_default(), expected.p95().unwrap_or_default()),
        };
        let ends = Moment { median: begins.median + median.as_secs(), p95: begins.p95 + p95.as_secs() };
        self.ends.insert(task.name.as_str(), ends);
        // A wave begins behind its window, also where nothing else says so.
        if task.role == Role::Window {
            return;
        }
        let known = !expected.known.is_empty();
        let unknown: Vec<_> = expected
            .unknown
            .iter()
            .map(|platform| (task.action.clone(), platform.map(str::to_owned)))
            .collect();
        for scope in above {
            let part = self.parts.entry(scope.name.as_str()).or_insert_with(|| Stretch {
                begins,
                ends,
                unknown: BTreeSet::new(),
                known: false,
            });
            part.begins = part.begins.min(begins);
            part.ends = part.ends.max(ends);
            part.known |= known;
            part.unknown.extend(unknown.iter().cloned());
        }
    }

    /// The scope of a task and those around it.
    fn above(&self, name: &ScopeName) -> Vec<&'p Scope> {
        let mut list: Vec<&'p Scope> = Vec::new();
        let mut up = self.scopes.get(name.as_str()).copied();
        while let Some(scope) = up.filter(|_| list.len() <= self.scopes.len()) {
            list.push(scope);
            up = scope.parent.as_ref().and_then(|name| self.scopes.get(name.as_str()).copied());
        }
        list
    }

    /// A scope's name means everything in it, unless who says it stands there too: then it means the task of that name.
    fn end_of(&self, name: &str, above: &[&Scope]) -> Moment {
        let inside = above.iter().any(|scope| scope.name.as_str() == name);
        let part = self.parts.get(name).filter(|_| !inside).map(|part| part.ends);
        part.or_else(|| self.ends.get(name).copied()).unwrap_or_default()
    }
}

impl Stretch {
    fn estimate(&self) -> Estimate {
        let span = |from: u64, to: u64| Span::from_secs(to.saturating_sub(from));
        Estimate {
            median: span(self.begins.median, self.ends.median),
            p95: span(self.begins.p95, self.ends.p95),
            unknown: self.unknown.clone(),
            known: self.known,
        }
    }
}
