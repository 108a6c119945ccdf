//! One execution of a plan: facts in ([`event::Event`]), intentions out ([`command::Command`]).
//!
//! [`Run::apply`] is the only thing that changes state; [`Run::commands`] only reads it. Recovery has no code of its
//! own: a journal is applied entry by entry, then `RunResumed`, then the same commands follow as ever.

mod apply;
mod audit;
mod candidates;
mod change;
pub mod command;
mod course;
mod decide;
mod ending;
mod entry;
pub mod event;
mod evidence;
mod find;
mod gates;
mod illegal;
mod inputs;
mod layout;
mod patchset;
mod replaced;
mod saved;
mod settle;
mod state;
mod testing;
mod verdict;
mod view;
mod waits;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::{
    candidates::Candidates,
    event::RunEnd,
    layout::{Layout, Phase, ScopeIx, TargetIx, TaskIx},
    state::{Notice, Passage, ScopeState, TaskState},
    testing::Testing,
};
pub use self::{
    illegal::IllegalEvent,
    inputs::RenderError,
    layout::DamagedPlan,
    replaced::Replacement,
    saved::Unusable,
    state::{Intent, Memory, TaskStatus},
    view::{Status, TargetView, TaskView},
    waits::{WaitKind, WaitingOn},
};
use crate::{
    ids::{RunId, StepPath, TargetId},
    plan::{Plan, ScopeKind},
};

/// How many actions run at a time unless the host says otherwise.
pub const DEFAULT_CAPACITY: usize = 64;

/// The state of a run.
#[derive(Debug)]
pub struct Run {
    plan: Arc<Plan>,
    layout: Layout,
    id: Option<RunId>,
    by: String,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    not_before: Option<Timestamp>,
    /// Nothing has begun yet because `--at` is ahead.
    before_its_time: bool,
    tasks: Vec<TaskState>,
    scopes: Vec<ScopeState>,
    excluded: BTreeMap<TargetIx, String>,
    refused: BTreeMap<TargetIx, String>,
    /// Machines that a restoring task brought back.
    restored_by: BTreeMap<TargetIx, TaskIx>,
    /// Machines that a restore brought back as new ones.
    replaced: BTreeMap<TargetId, Replacement>,
    /// Machines whose last way back failed, with the cause.
    restore_failed: BTreeMap<TargetIx, String>,
    /// Backing-up tasks by step, for restores and for the proof of a way back.
    backups: BTreeMap<StepPath, Vec<TaskIx>>,
    /// What was tested, if the runbook has a patchset.
    testing: Option<Box<Testing>>,

    // ---- indexes that `apply` keeps, so that `commands` need not scan
    task_waits: Vec<u32>,
    wave_waits: Vec<u32>,
    /// Pending tasks that wait for no other task or scope.
    candidates: Candidates,
    /// Waves that wait for nothing outside and have not begun.
    wave_candidates: BTreeSet<ScopeIx>,
    /// Waves that began and whose tasks are settled.
    ending: BTreeSet<ScopeIx>,
    /// Rollouts over their budget, not said yet.
    over_budget: BTreeSet<ScopeIx>,
    /// Restoring tasks whose verification failed and that have an attempt left.
    regroup: BTreeSet<TaskIx>,
    /// Tasks that run, are interrupted, or wait.
    active: BTreeSet<TaskIx>,
    /// Tasks whose unknown machines nobody resolved in time.
    expired: BTreeSet<TaskIx>,
    running: usize,
    remaining: BTreeMap<Phase, u32>,

    paused: Option<String>,
    cancel: Option<Cancel>,
    /// A restore failed: nothing new is changed.
    halted: Option<String>,
    /// A gate was rejected, and what was changed is to be restored.
    undo: Option<String>,
    rollback_begun: bool,
    end: Option<RunEnd>,
    cause: Option<String>,
    finished: bool,
    notices: BTreeMap<u64, Notice>,
    noticed: u64,
    warnings: Vec<String>,
    capacity: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
struct Cancel {
    restore: bool,
    by: String,
    cause: Option<String>,
}

impl Run {
    /// The run of this plan before its first event.
    ///
    /// # Errors
    /// The plan refers to something that it does not hold.
    pub fn new(plan: Arc<Plan>) -> Result<Self, DamagedPlan> {
        let layout = Layout::new(&plan)?;
        let mut remaining = BTreeMap::from([(Phase::Main, 0), (Phase::Rollback, 0), (Phase::Finally, 0)]);
        let mut backups: BTreeMap<StepPath, Vec<TaskIx>> = BTreeMap::new();
        for (at, node) in layout.tasks.iter().enumerate() {
            *remaining.entry(node.phase).or_default() += 1;
            let task = plan.task_at(TaskIx(at as u32));
            if task.backs_up {
                backups.entry(task.step.clone()).or_default().push(TaskIx(at as u32));
            }
        }
        let mut scopes: Vec<ScopeState> = layout
            .scopes
            .iter()
            .map(|node| ScopeState {
                remaining: node.size,
                passages: vec![Passage::default(); node.targets.len()],
                ..ScopeState::default()
            })
            .collect();
        for (at, scope) in plan.scopes.iter().enumerate() {
            if !matches!(scope.kind, ScopeKind::Rollout { .. }) {
                scopes[at].passages = Vec::new();
            }
            if matches!(scope.kind, ScopeKind::Wave { .. }) {
                // The wave itself is one more thing that its parents wait for: its end is an event.
                let mut up = layout.scopes[at].parent;
                while let Some(parent) = up {
                    scopes[parent.at()].remaining += 1;
                    up = layout.scopes[parent.at()].parent;
                }
            }
        }
        let free: Vec<_> =
            (0..layout.tasks.len() as u32).map(TaskIx).filter(|ix| layout.task_waits[ix.at()] == 0).collect();
        let wave_candidates = (0..layout.scopes.len() as u32)
            .map(ScopeIx)
            .filter(|ix| {
                matches!(plan.scopes[ix.at()].kind, ScopeKind::Wave { .. }) && layout.wave_waits[ix.at()] == 0
            })
            .collect();
        let mut run = Self {
            tasks: vec![TaskState::new(); layout.tasks.len()],
            scopes,
            task_waits: layout.task_waits.clone(),
            wave_waits: layout.wave_waits.clone(),
            candidates: Candidates::default(),
            wave_candidates,
            remaining,
            backups,
            testing: Testing::new(&plan, &layout),
            layout,
            plan,
            id: None,
            by: String::new(),
            started_at: None,
            finished_at: None,
            not_before: None,
            before_its_time: false,
            excluded: BTreeMap::new(),
            refused: BTreeMap::new(),
            restored_by: BTreeMap::new(),
            replaced: BTreeMap::new(),
            restore_failed: BTreeMap::new(),
            ending: BTreeSet::new(),
            over_budget: BTreeSet::new(),
            regroup: BTreeSet::new(),
            active: BTreeSet::new(),
            expired: BTreeSet::new(),
            running: 0,
            paused: None,
            cancel: None,
            halted: None,
            undo: None,
            rollback_begun: false,
            end: None,
            cause: None,
            finished: false,
            notices: BTreeMap::new(),
            noticed: 0,
            warnings: Vec::new(),
            capacity: DEFAULT_CAPACITY,
        };
        for ix in free {
            run.becomes_candidate(ix);
        }
        run.end_empty_waves();
        Ok(run)
    }

    /// How many actions may run at a time; a fact of the host, not of the run. At least 1.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity.max(1);
    }

    /// A wave without a task has nothing to wait for.
    fn end_empty_waves(&mut self) {
        for at in 0..self.scopes.len() {
            let wave = matches!(self.plan.scopes[at].kind, ScopeKind::Wave { .. });
            if wave && self.layout.scopes[at].size == 0 && !self.scopes[at].over {
                self.wave_over(ScopeIx(at as u32));
            }
        }
    }

    fn passage_at(&self, rollout: ScopeIx, target: TargetIx) -> Option<usize> {
        self.layout.scopes[rollout.at()].targets.binary_search(&target).ok()
    }

    fn passage(&self, rollout: ScopeIx, target: TargetIx) -> Option<&Passage> {
        self.passage_at(rollout, target).map(|at| &self.scopes[rollout.at()].passages[at])
    }

    fn passage_mut(&mut self, rollout: ScopeIx, target: TargetIx) -> Option<&mut Passage> {
        self.passage_at(rollout, target).map(|at| &mut self.scopes[rollout.at()].passages[at])
    }

    fn target_name(&self, target: TargetIx) -> &TargetId {
        &self.layout.target_ids[target.at()]
    }
}
