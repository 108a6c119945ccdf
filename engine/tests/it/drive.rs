//! Drives a run in virtual time: scripted actions, people and a clock that jumps.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use runbook_engine::{
    ids::{RunId, TargetId, TaskName},
    outcome::{ErrorClass, Outcome, TargetOutcome},
    plan::{Plan, Task},
    run::{
        Run, TaskStatus,
        command::Command,
        event::{Event, Report},
    },
};
use serde_json::{Value, json};

/// How an action comes out on a machine (or as a whole), and when.
#[derive(Clone, Debug)]
pub struct Reply {
    /// So long after its start.
    pub after: Duration,
    /// With this report.
    pub report: Report,
    /// Found finished by the remote side at the end of `after`, also when it is told later.
    pub remote: bool,
}

impl Reply {
    /// It works.
    pub fn ok(after: u64) -> Self {
        Self { after: Duration::from_secs(after), report: Report::succeeded(), remote: false }
    }

    /// It fails.
    pub fn failed(after: u64, cause: &str) -> Self {
        Self::with(after, Report::failed(Outcome::Failed, ErrorClass::Failed, cause))
    }

    /// It comes out so.
    pub fn with(after: u64, report: Report) -> Self {
        Self { after: Duration::from_secs(after), report, remote: false }
    }

    /// The remote side says when it finished.
    pub fn remote(mut self) -> Self {
        self.remote = true;
        self
    }
}

type Script = Box<dyn Fn(&Task, Option<&TargetId>, u32) -> Reply>;

/// The outputs of a machine that installs packages, from what it is given.
type Packages = Box<dyn Fn(&Task, &TargetId, &Value) -> Value>;

/// What a machine was given, and what it put out.
#[derive(Clone, Debug, PartialEq)]
pub struct Installed {
    /// `Inputs.patchset`.
    pub given: Value,
    /// Its outputs.
    pub outputs: Value,
}

struct Flight {
    targets: BTreeMap<Option<TargetId>, (Timestamp, Report)>,
    stopped: bool,
}

/// A run, its journal, its world.
pub struct Drive {
    pub run: Run,
    pub now: Timestamp,
    pub journal: Vec<(Timestamp, Event)>,
    plan: Arc<Plan>,
    script: Script,
    packages: Packages,
    flights: BTreeMap<(TaskName, u32), Flight>,
    gone: BTreeMap<TargetId, String>,
    dies_before: Option<usize>,
    dead_for: u64,
    /// Remote work that cannot be cancelled: its answers come as scripted.
    pub keep_after_stop: bool,
    /// How often each attempt of each task was executed on each machine.
    pub effects: BTreeMap<(TaskName, u32, Option<TargetId>), u32>,
    /// What was installed where: tasks that take part in the patchset.
    pub installed: BTreeMap<(TaskName, u32, TargetId), Installed>,
}

impl Drive {
    /// A run of this plan at 2026-11-20 09:00 UTC (a Friday), with every action taking a minute and succeeding.
    pub fn new(plan: Plan) -> Self {
        let plan = Arc::new(plan);
        let now: Timestamp = "2026-11-20T09:00:00Z".parse().expect("a time");
        let mut drive = Self {
            run: Run::new(plan.clone()).expect("a sound plan"),
            now,
            journal: Vec::new(),
            plan,
            script: Box::new(|_, _, _| Reply::ok(60)),
            packages: Box::new(|_, _, _| json!({})),
            flights: BTreeMap::new(),
            gone: BTreeMap::new(),
            dies_before: None,
            dead_for: 0,
            keep_after_stop: false,
            effects: BTreeMap::new(),
            installed: BTreeMap::new(),
        };
        drive.record(Event::RunStarted {
            run: RunId::new("7k2m"),
            plan: "digest".into(),
            by: "tester".into(),
            link: None,
            not_before: None,
        });
        drive
    }

    /// With actions that come out so.
    pub fn script(mut self, script: impl Fn(&Task, Option<&TargetId>, u32) -> Reply + 'static) -> Self {
        self.script = Box::new(script);
        self
    }

    /// With machines that install so.
    pub fn packages(mut self, packages: impl Fn(&Task, &TargetId, &Value) -> Value + 'static) -> Self {
        self.packages = Box::new(packages);
        self
    }

    /// A machine that is gone before its wave.
    pub fn gone(mut self, target: &str, cause: &str) -> Self {
        self.gone.insert(TargetId::new(target), cause.into());
        self
    }

    /// Journals an event: it must survive its own JSON, and must fit. False: the process died just before.
    pub fn record(&mut self, event: Event) -> bool {
        if self.dies_before == Some(self.journal.len()) && self.run.id().is_some() {
            self.dies_before = None;
            self.crash(self.dead_for);
            return false;
        }
        let text = serde_json::to_string(&event).expect("JSON");
        let event: Event = serde_json::from_str(&text).expect("the same event");
        self.run.apply(self.now, &event).unwrap_or_else(|error| panic!("{error}: {event:?}"));
        self.journal.push((self.now, event));
        true
    }

    /// Dies once, just before this entry, and is resumed so many seconds later.
    pub fn dying_before(mut self, entry: usize, dead_for: u64) -> Self {
        self.dies_before = Some(entry);
        self.dead_for = dead_for;
        self
    }

    /// Goes on until the run has finished, or until this holds.
    pub fn until(&mut self, done: impl Fn(&Drive) -> bool) -> &mut Self {
        for _ in 0..200_000 {
            self.settle();
            if done(self) || self.run.finished() {
                return self;
            }
            let Some(next) = self.next_time() else {
                if self.run.paused() {
                    return self;
                }
                panic!("nothing happens any more: {:#?}", self.run.commands(self.now));
            };
            self.now = self.now.max(next);
            self.tell();
        }
        panic!("it does not end");
    }

    /// Goes on to the end.
    pub fn finish(&mut self) -> &mut Self {
        self.until(|drive| drive.run.finished())
    }

    fn settle(&mut self) {
        loop {
            let again = self.run.commands(self.now);
            assert_eq!(again, self.run.commands(self.now), "asking twice gives the same answer");
            let mut changed = false;
            let alive = self.dies_before;
            for command in again {
                match command {
                    // Decisions of one reading may touch each other: the rest is asked for again.
                    Command::Record(event) if !changed => {
                        self.record(event);
                        changed = true;
                    }
                    Command::Execute { task, attempt, .. } => self.begin(task, attempt),
                    Command::Stop { task, attempt, .. } => self.stop(&task, attempt),
                    Command::Inspect { scope } if !changed => {
                        let targets = self.run.wave_targets(&scope);
                        let refused = self
                            .gone
                            .iter()
                            .filter(|(id, _)| targets.contains(id))
                            .map(|(id, c)| (id.clone(), c.clone()));
                        let refused = refused.collect();
                        self.record(Event::WaveInspected { scope, refused });
                        changed = true;
                    }
                    Command::Notify { number, .. } if !changed => {
                        self.record(Event::NotificationSent { number });
                        changed = true;
                    }
                    _ => {}
                }
            }
            if !changed && self.dies_before == alive {
                return;
            }
        }
    }

    fn begin(&mut self, task: TaskName, attempt: u32) {
        if self.flights.contains_key(&(task.clone(), attempt)) {
            return;
        }
        let planned = self.run.task(&task).expect("a task").task.clone();
        let targets: Vec<Option<TargetId>> = match planned.targets {
            Some(_) => self.run.open_targets(&task).into_iter().map(Some).collect(),
            None => vec![None],
        };
        let intent = Event::IntentRecorded {
            makes: None,
            task: task.clone(),
            attempt,
            key: String::new(),
            call: "test".into(),
            token: format!("{task}#{attempt}"),
            targets: targets.iter().flatten().cloned().collect(),
        };
        if !self.record(intent) {
            return;
        }
        let mut flight = Flight { targets: BTreeMap::new(), stopped: false };
        for target in targets {
            *self.effects.entry((task.clone(), attempt, target.clone())).or_default() += 1;
            if let (Some(given), Some(id)) = (self.run.patchset(&task), &target) {
                let outputs = (self.packages)(&planned, id, &given);
                let installed = Installed { given: Value::clone(&given), outputs };
                self.installed.insert((task.clone(), attempt, id.clone()), installed);
            }
            let reply = (self.script)(&planned, target.as_ref(), attempt);
            let due = plus(self.now, reply.after.as_secs());
            let report = if reply.remote { reply.report.at(due) } else { reply.report };
            flight.targets.insert(target, (due, report));
        }
        self.flights.insert((task, attempt), flight);
    }

    /// The remote side is cancelled: what has not ended by now ends timed out.
    fn stop(&mut self, task: &TaskName, attempt: u32) {
        if let Some(flight) = self.flights.get_mut(&(task.clone(), attempt))
            && !flight.stopped
            && !self.keep_after_stop
        {
            flight.stopped = true;
            for (due, report) in flight.targets.values_mut() {
                if *due > self.now && report.outcome != Outcome::Unknown {
                    *due = plus(self.now, 5);
                    *report =
                        Report::failed(Outcome::TimedOut, ErrorClass::TimedOut, "it did not end in time");
                }
            }
        }
    }

    /// When something happens next, if anything does.
    pub fn next(&self) -> Option<Timestamp> {
        self.next_time()
    }

    fn next_time(&self) -> Option<Timestamp> {
        let wakes = self.run.commands(self.now).into_iter().filter_map(|command| match command {
            Command::WakeAt(at) => Some(at),
            _ => None,
        });
        let flights = self.flights.values().flat_map(|flight| flight.targets.values().map(|(due, _)| *due));
        wakes.chain(flights).min()
    }

    /// What is due by now is told.
    fn tell(&mut self) {
        for (task, attempt) in self.flights.keys().cloned().collect::<Vec<_>>() {
            self.tell_flight(&task, attempt);
        }
    }

    fn tell_flight(&mut self, task: &TaskName, attempt: u32) {
        let Some(flight) = self.flights.get(&(task.clone(), attempt)) else { return };
        let due: Vec<_> = flight
            .targets
            .iter()
            .filter(|(_, (at, _))| *at <= self.now)
            .map(|(t, (_, r))| (t.clone(), r.clone()))
            .collect();
        for (target, report) in due {
            if self.run.task(task).is_none_or(|view| view.status.is_terminal())
                || self.told(task, attempt, &target, report)
            {
                let key = (task.clone(), attempt);
                let Some(flight) = self.flights.get_mut(&key) else { return };
                flight.targets.remove(&target);
                if flight.targets.is_empty() {
                    self.flights.remove(&key);
                }
            }
        }
    }

    /// Journals how a machine came out; false when the process died before that.
    fn told(&mut self, task: &TaskName, attempt: u32, target: &Option<TargetId>, report: Report) -> bool {
        let task = task.clone();
        let Some(target) = target.clone() else {
            return self.record(Event::TaskReported { task, attempt, report });
        };
        let installed = self.installed.get(&(task.clone(), attempt, target.clone()));
        // What was installed is told also where it went wrong afterwards.
        if report.outcome == Outcome::Succeeded || installed.is_some() {
            let outputs = installed.map(|installed| installed.outputs.clone());
            let outputs = outputs.unwrap_or_else(|| json!({ "id": format!("{task}:{target}") }));
            let outputs = BTreeMap::from([(target.clone(), outputs)]);
            if !self.record(Event::OutputsRecorded { task: task.clone(), outputs }) {
                return false;
            }
        }
        self.record(Event::TargetsReported { task, attempt, targets: vec![target], report })
    }

    /// The process dies, and another one takes over so many seconds later: the journal is all that is left. The
    /// world goes on in between; what it did is told when it is looked up.
    pub fn crash(&mut self, dead_for: u64) -> &mut Self {
        let mut run = Run::new(self.plan.clone()).expect("a sound plan");
        for (at, event) in &self.journal {
            run.apply(*at, event).unwrap_or_else(|error| panic!("replay: {error}: {event:?}"));
        }
        assert_eq!(
            run.commands(self.now),
            self.run.commands(self.now),
            "the journal replays to the same state"
        );
        self.run = run;
        for ((task, attempt, target), installed) in &self.installed {
            if self.flights.contains_key(&(task.clone(), *attempt)) {
                let given = self.run.patchset(task).expect("a patchset");
                assert_eq!(*given, installed.given, "{task} is given the same on {target}");
            }
        }
        self.now = plus(self.now, dead_for);
        self.record(Event::RunResumed { by: "tester".into() });
        for (task, attempt) in self.flights.keys().cloned().collect::<Vec<_>>() {
            if self
                .run
                .task(&task)
                .is_some_and(|view| view.status == TaskStatus::Interrupted && view.attempt == attempt)
            {
                self.record(Event::TaskLookedUp { task, attempt });
            }
        }
        self
    }

    /// The machines with this outcome.
    pub fn with_outcome(&self, outcome: TargetOutcome) -> Vec<String> {
        let views = self.run.targets();
        views.iter().filter(|view| view.outcome == outcome).map(|view| view.id.to_string()).collect()
    }

    /// How a task stands.
    pub fn status(&self, task: &str) -> &'static str {
        self.run.task(&TaskName::new(task)).unwrap_or_else(|| panic!("no task {task}")).status.as_str()
    }

    /// The machines that entered a task.
    pub fn entered(&self, task: &str) -> Vec<String> {
        let view = self.run.task(&TaskName::new(task)).unwrap_or_else(|| panic!("no task {task}"));
        view.targets().map(|(id, _, _)| id.to_string()).collect()
    }

    /// Whether an event of this kind was journaled.
    pub fn saw(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.journal.iter().any(|(_, event)| wanted(event))
    }

    /// Behind an entry, the state that was saved behind the one before and brought here by this entry is the one that the
    /// journal tells from its beginning. `step`: saved, and compared, behind every so many entries.
    pub fn assert_saved_states_are_the_journal(&self, step: usize) {
        let begin = || Run::new(self.plan.clone()).expect("a sound plan");
        let (mut told, mut carried) = (begin(), begin());
        for (number, (at, event)) in self.journal.iter().enumerate() {
            told.apply(*at, event).expect("replays");
            carried.apply(*at, event).unwrap_or_else(|error| panic!("entry {number}: {error}: {event:?}"));
            if number % step > 0 {
                continue;
            }
            let saved = carried.saved().expect("bytes");
            carried = Run::restored(self.plan.clone(), &saved).expect("the state");
            assert!(carried.stands_as(&told), "saved behind entry {number}, {event:?}, it is another state");
            assert_eq!(carried.commands(*at), told.commands(*at), "behind entry {number}, {event:?}");
        }
        assert!(carried.stands_as(&self.run), "the run itself stands otherwise");
    }

    /// No attempt of a task was executed twice on a machine.
    pub fn assert_nothing_twice(&self) {
        for ((task, attempt, target), count) in &self.effects {
            assert_eq!(*count, 1, "attempt {attempt} of {task} on {target:?}");
        }
    }
}

/// So many seconds later.
pub fn plus(at: Timestamp, secs: u64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(i64::try_from(secs).expect("small"))).expect("in range")
}
