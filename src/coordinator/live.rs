//! A run that is being advanced, with what this process does for it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use runbook_engine::{
    ids::{RunId, ScopeName, TargetId, TaskName},
    plan::{Plan, Task},
    run::{Run, Status, event::Event},
    target::Target,
};
use runbook_state::store::RunRow;
use tokio::sync::{broadcast, watch};

use super::{
    execution::Execution, exit::ExitReport, holds, message::Fact, observer::Heard, way_back::WaysBack,
};

/// How far the journal of a run has got, for those who follow it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// The last entry.
    pub seq: u64,
    /// This process is done with the run.
    pub report: Option<ExitReport>,
}

/// So many lines of machines wait for a follower who is slow; older ones are lost to it.
const LINES: usize = 256;

/// A stage of the plan.
enum Stage {
    /// Nobody has asked when it began: its tasks, by their places in the plan.
    Of(Vec<usize>),
    /// When its first task began.
    Began(Timestamp),
}

/// A run that is being advanced.
pub(super) struct Live {
    run: Run,
    plan: Arc<Plan>,
    tasks: HashMap<TaskName, usize>,
    ways_back: WaysBack,
    /// As the store has it; none before the first batch.
    pub row: RunRow,
    pub created: bool,
    /// The time of the last entry: the journal's time does not go back when the clock does.
    pub last_at: Timestamp,
    /// The entry behind which its state was kept last.
    pub kept: u64,
    /// Facts that wait to be admitted.
    pub facts: Vec<Fact>,
    pub executions: HashMap<(TaskName, u32), Execution>,
    /// Attempts that detached themselves, or whose end the core did not accept: only another process goes on with them.
    pub detached: BTreeSet<(TaskName, u32)>,
    /// How far our time is ahead of this machine's clock, as far as that was heeded for this run, or accepted by a person.
    pub accepted_ahead: SignedDuration,
    /// The core wants one of these to go on.
    pub stranded: bool,
    pub inspecting: BTreeSet<ScopeName>,
    pub notifying: BTreeSet<u64>,
    /// What the world's people have said: gate, its opening, the place in their answers.
    pub answered: BTreeSet<(TaskName, Timestamp, usize)>,
    /// When to ask again.
    pub wake: Option<Timestamp>,
    /// Something changed that may bring decisions.
    pub dirty: bool,
    /// `--no-wait`.
    pub no_wait: bool,
    pub progress: watch::Sender<Progress>,
    /// What machines print, for those who follow the run.
    pub heard: broadcast::Sender<Heard>,
    /// Whether the latest reading of the core wanted anything done.
    pub idle: bool,
    stages: HashMap<String, Stage>,
}

impl Live {
    /// A run, as far as its journal was applied.
    pub fn new(run: Run, plan: Arc<Plan>, row: RunRow, created: bool, last_at: Timestamp, seq: u64) -> Self {
        let tasks = plan.tasks.iter().chain(&plan.rollback).enumerate();
        let mut stages = HashMap::new();
        for (at, task) in tasks.clone() {
            match stages.entry(task.name.stage().to_owned()).or_insert_with(|| Stage::Of(Vec::new())) {
                Stage::Of(places) => places.push(at),
                Stage::Began(_) => {}
            }
        }
        Self {
            ways_back: WaysBack::of(&plan),
            tasks: tasks.map(|(at, task)| (task.name.clone(), at)).collect(),
            run,
            plan,
            row,
            created,
            last_at,
            kept: 0,
            facts: Vec::new(),
            executions: HashMap::new(),
            detached: BTreeSet::new(),
            accepted_ahead: SignedDuration::ZERO,
            stranded: false,
            inspecting: BTreeSet::new(),
            notifying: BTreeSet::new(),
            answered: BTreeSet::new(),
            wake: None,
            dirty: true,
            no_wait: false,
            progress: watch::Sender::new(Progress { seq, report: None }),
            heard: broadcast::Sender::new(LINES),
            idle: false,
            stages,
        }
    }

    pub fn id(&self) -> &RunId {
        &self.row.run
    }

    pub fn run(&self) -> &Run {
        &self.run
    }

    /// For the one function that advances it.
    pub(super) fn run_mut(&mut self) -> &mut Run {
        &mut self.run
    }

    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// A task of the plan. The core speaks of no other.
    pub fn task(&self, name: &TaskName) -> &Task {
        self.task_at(self.tasks[name])
    }

    fn task_at(&self, at: usize) -> &Task {
        self.plan.tasks.get(at).unwrap_or_else(|| &self.plan.rollback[at - self.plan.tasks.len()])
    }

    /// The tasks that restore what a task changes.
    pub fn restoring(&self, task: &TaskName) -> impl Iterator<Item = &Task> {
        self.ways_back.of_task(task).iter().map(|place| &self.plan.tasks[*place])
    }

    pub fn target(&self, id: &TargetId) -> Option<Arc<Target>> {
        self.plan.targets.get(id).cloned()
    }

    /// Pauses it, because only a person can help.
    pub fn pause(&mut self, cause: String) {
        let asked = |fact: &Fact| matches!(fact.event, Event::RunPaused { .. });
        if !self.run.paused() && !self.facts.iter().any(asked) {
            let event = Event::RunPaused { by: "runbook".to_owned(), gate: None, cause: Some(cause) };
            self.facts.push(Fact::of(event));
        }
        self.dirty = true;
    }

    /// When the first task of a stage began; of one that begins now: now.
    pub fn stage_began(&mut self, stage: &str, now: Timestamp) -> Timestamp {
        let places = match self.stages.get(stage) {
            Some(Stage::Began(at)) => return *at,
            Some(Stage::Of(places)) => places.as_slice(),
            None => &[],
        };
        let begun = |place: &usize| self.run.task(&self.task_at(*place).name)?.started_at;
        let began = places.iter().filter_map(begun).min().unwrap_or(now);
        self.stages.insert(stage.to_owned(), Stage::Began(began));
        began
    }

    /// Nothing of it runs in this process.
    pub fn quiet(&self) -> bool {
        self.executions.is_empty() && self.inspecting.is_empty() && self.notifying.is_empty()
    }

    /// What the list of runs should say now, if it says something else.
    pub fn changed_row(&self) -> Option<RunRow> {
        let status = self.run.status();
        if self.row.status == status.as_str() && self.row.finished_at == self.run.finished_at() {
            return None;
        }
        let mut row = self.row.clone();
        row.status = status.as_str().to_owned();
        row.exit = status.exit_code();
        row.finished_at = self.run.finished_at();
        if row.finished_at.is_some() {
            row.holds = holds::left_by(&self.run);
        }
        Some(row)
    }

    /// What this process has to say of the run when it lets go of it now; none while there is something to do.
    pub fn leaving(&self) -> Option<ExitReport> {
        let status = self.run.status();
        let over = status.exit_code().is_some() && self.run.finished_at().is_some();
        let resting = self.idle && self.quiet() && self.facts.is_empty();
        let leaves = over
            || (resting && status == Status::Paused)
            || (resting && self.no_wait && status == Status::Waiting)
            || (resting && self.stranded);
        leaves.then(|| self.report())
    }

    /// What there is to say of it.
    pub fn report(&self) -> ExitReport {
        ExitReport::of(&self.run, self.id())
    }
}
