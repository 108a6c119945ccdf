//! The state of a run as bytes, so that who takes up a long run need not apply its journal from the beginning.
//!
//! The journal is the truth and this is a cache: it fits one plan and one build of the core, and any other is refused.
//! Tasks, scopes and machines stand in it by their places in the plan, which is frozen.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use super::{
    Cancel, Run,
    event::RunEnd,
    layout::{Phase, ScopeIx, TargetIx, TaskIx},
    replaced::Replacement,
    state::{Notice, ScopeState, TaskState, TaskStatus},
    testing::{SavedTesting, Testing},
};
use crate::{
    ids::{RunId, TargetId},
    plan::Plan,
};

/// What the core was built from: a saved state is for the very build that made it. What `apply` makes of an event may
/// be mended from one build to the next.
const BUILD: &str = env!("RUNBOOK_ENGINE_SOURCES");

/// Why a saved state cannot be used. The journal can.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Unusable {
    /// It is not one, or is damaged.
    #[error("the saved state cannot be read")]
    Unreadable(#[from] serde_json::Error),
    /// Another build of the core made it.
    #[error("another build of the core saved this state")]
    OtherBuild,
    /// It is of another plan, or of none.
    #[error("the saved state does not fit the plan: {0}")]
    OtherPlan(String),
}

/// Everything that events change, and nothing else.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Saved<'r> {
    build: Cow<'r, str>,
    id: Option<RunId>,
    by: String,
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    not_before: Option<Timestamp>,
    before_its_time: bool,
    tasks: Cow<'r, [TaskState]>,
    scopes: Cow<'r, [ScopeState]>,
    excluded: BTreeMap<TargetIx, String>,
    refused: BTreeMap<TargetIx, String>,
    restored_by: BTreeMap<TargetIx, TaskIx>,
    replaced: BTreeMap<TargetId, Replacement>,
    restore_failed: BTreeMap<TargetIx, String>,
    testing: Option<SavedTesting>,
    /// What attempts were given of the patchset: each value once, and which task has which.
    given: Vec<Arc<Value>>,
    given_to: BTreeMap<TaskIx, usize>,
    task_waits: Cow<'r, [u32]>,
    wave_waits: Cow<'r, [u32]>,
    wave_candidates: BTreeSet<ScopeIx>,
    ending: BTreeSet<ScopeIx>,
    over_budget: BTreeSet<ScopeIx>,
    regroup: BTreeSet<TaskIx>,
    active: BTreeSet<TaskIx>,
    expired: BTreeSet<TaskIx>,
    running: usize,
    remaining: BTreeMap<Phase, u32>,
    paused: Option<String>,
    cancel: Option<Cancel>,
    halted: Option<String>,
    undo: Option<String>,
    rollback_begun: bool,
    end: Option<RunEnd>,
    cause: Option<String>,
    finished: bool,
    notices: BTreeMap<u64, Notice>,
    noticed: u64,
    warnings: Vec<String>,
}

impl Run {
    /// The state as bytes, for [`Run::restored`].
    ///
    /// # Errors
    /// Never, as far as we know: the caller goes on without.
    pub fn saved(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&self.to_saved())
    }

    /// The run of this plan behind the event after which it was [saved](Run::saved): as if the journal had been applied
    /// as far as that. The capacity is the usual one.
    ///
    /// # Errors
    /// [`Unusable`]: then the journal is applied from the beginning.
    pub fn restored(plan: Arc<Plan>, bytes: &[u8]) -> Result<Self, Unusable> {
        /// What is read first: nothing else can be believed of another build's bytes.
        #[derive(Deserialize)]
        struct Head<'b> {
            #[serde(borrow)]
            build: Cow<'b, str>,
        }
        let head: Head<'_> = serde_json::from_slice(bytes)?;
        if head.build != BUILD {
            return Err(Unusable::OtherBuild);
        }
        let saved: Saved<'_> = serde_json::from_slice(bytes)?;
        let mut run = Self::new(plan).map_err(|damaged| Unusable::OtherPlan(damaged.to_string()))?;
        run.take(saved)?;
        Ok(run)
    }

    /// Whether this run stands exactly as another one of the same plan: whatever events may follow, the two answer
    /// alike. Linear in the plan: for tests.
    pub fn stands_as(&self, other: &Self) -> bool {
        let counted = |run: &Self| run.testing.as_deref().map(Testing::counted);
        self.to_saved() == other.to_saved()
            && self.candidates == other.candidates
            && counted(self) == counted(other)
    }

    fn to_saved(&self) -> Saved<'_> {
        // Without `..`: who adds something that events change has to say here what becomes of it.
        let Self {
            plan: _,
            layout: _,
            backups: _,
            capacity: _,
            candidates: _,
            id,
            by,
            started_at,
            finished_at,
            not_before,
            before_its_time,
            tasks,
            scopes,
            excluded,
            refused,
            restored_by,
            replaced,
            restore_failed,
            testing,
            task_waits,
            wave_waits,
            wave_candidates,
            ending,
            over_budget,
            regroup,
            active,
            expired,
            running,
            remaining,
            paused,
            cancel,
            halted,
            undo,
            rollback_begun,
            end,
            cause,
            finished,
            notices,
            noticed,
            warnings,
        } = self;
        let (given, given_to) = given(tasks);
        Saved {
            build: Cow::Borrowed(BUILD),
            id: id.clone(),
            by: by.clone(),
            started_at: *started_at,
            finished_at: *finished_at,
            not_before: *not_before,
            before_its_time: *before_its_time,
            tasks: Cow::Borrowed(tasks),
            scopes: Cow::Borrowed(scopes),
            excluded: excluded.clone(),
            refused: refused.clone(),
            restored_by: restored_by.clone(),
            replaced: replaced.clone(),
            restore_failed: restore_failed.clone(),
            testing: testing.as_deref().map(SavedTesting::of),
            given,
            given_to,
            task_waits: Cow::Borrowed(task_waits),
            wave_waits: Cow::Borrowed(wave_waits),
            wave_candidates: wave_candidates.clone(),
            ending: ending.clone(),
            over_budget: over_budget.clone(),
            regroup: regroup.clone(),
            active: active.clone(),
            expired: expired.clone(),
            running: *running,
            remaining: remaining.clone(),
            paused: paused.clone(),
            cancel: cancel.clone(),
            halted: halted.clone(),
            undo: undo.clone(),
            rollback_begun: *rollback_begun,
            end: *end,
            cause: cause.clone(),
            finished: *finished,
            notices: notices.clone(),
            noticed: *noticed,
            warnings: warnings.clone(),
        }
    }

    /// Puts a saved state in the place of the beginning.
    fn take(&mut self, saved: Saved<'_>) -> Result<(), Unusable> {
        let fits = saved.tasks.len() == self.tasks.len()
            && saved.task_waits.len() == self.task_waits.len()
            && saved.wave_waits.len() == self.wave_waits.len()
            && saved.scopes.len() == self.scopes.len()
            && saved.scopes.iter().zip(&self.scopes).all(|(a, b)| a.passages.len() == b.passages.len());
        if !fits {
            return Err(Unusable::OtherPlan("it has other tasks or machines".into()));
        }
        let Saved {
            build: _,
            id,
            by,
            started_at,
            finished_at,
            not_before,
            before_its_time,
            tasks,
            scopes,
            excluded,
            refused,
            restored_by,
            replaced,
            restore_failed,
            testing,
            given,
            given_to,
            task_waits,
            wave_waits,
            wave_candidates,
            ending,
            over_budget,
            regroup,
            active,
            expired,
            running,
            remaining,
            paused,
            cancel,
            halted,
            undo,
            rollback_begun,
            end,
            cause,
            finished,
            notices,
            noticed,
            warnings,
        } = saved;
        self.testing = match (self.testing.take(), testing) {
            (Some(begun), Some(saved)) => Some(Box::new(saved.restored(*begun, &self.layout))),
            (None, None) => None,
            _ => return Err(Unusable::OtherPlan("it has another patchset".into())),
        };
        self.tasks = tasks.into_owned();
        for (task, place) in given_to {
            match (self.tasks.get_mut(task.at()), given.get(place)) {
                (Some(task), Some(value)) => task.patchset = Some(Arc::clone(value)),
                _ => return Err(Unusable::OtherPlan("a task of the patchset is missing".into())),
            }
        }
        self.id = id;
        self.by = by;
        self.started_at = started_at;
        self.finished_at = finished_at;
        self.not_before = not_before;
        self.before_its_time = before_its_time;
        self.scopes = scopes.into_owned();
        self.excluded = excluded;
        self.refused = refused;
        self.restored_by = restored_by;
        self.replaced = replaced;
        self.restore_failed = restore_failed;
        self.task_waits = task_waits.into_owned();
        self.wave_waits = wave_waits.into_owned();
        self.wave_candidates = wave_candidates;
        self.ending = ending;
        self.over_budget = over_budget;
        self.regroup = regroup;
        self.active = active;
        self.expired = expired;
        self.running = running;
        self.remaining = remaining;
        self.paused = paused;
        self.cancel = cancel;
        self.halted = halted;
        self.undo = undo;
        self.rollback_begun = rollback_begun;
        self.end = end;
        self.cause = cause;
        self.finished = finished;
        self.notices = notices;
        self.noticed = noticed;
        self.warnings = warnings;
        self.candidates = super::Candidates::default();
        for at in 0..self.tasks.len() {
            if self.tasks[at].status == TaskStatus::Pending && self.task_waits[at] == 0 {
                self.becomes_candidate(TaskIx(at as u32));
            }
        }
        Ok(())
    }
}

/// What attempts were given, each value once: thousands of tasks have the same.
fn given(tasks: &[TaskState]) -> (Vec<Arc<Value>>, BTreeMap<TaskIx, usize>) {
    let mut values: Vec<Arc<Value>> = Vec::new();
    let mut of_task = BTreeMap::new();
    for (at, task) in tasks.iter().enumerate() {
        let Some(value) = &task.patchset else { continue };
        let known = values.iter().rposition(|known| Arc::ptr_eq(known, value) || known == value);
        let place = known.unwrap_or_else(|| {
            values.push(Arc::clone(value));
            values.len() - 1
        });
        of_task.insert(TaskIx(at as u32), place);
    }
    (values, of_task)
}
