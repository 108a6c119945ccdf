//! Pending tasks that wait for no other task or scope.
//!
//! Most of them stand in line: nothing can become of them but their start, for which one of the places that the host has
//! must be free. While none is, they are not looked at: a reading costs the same with ten thousand of them as with ten.

use std::{collections::BTreeSet, ops::Bound};

use super::{
    Run,
    layout::{Phase, TaskIx},
};
use crate::plan::{Role, ScopeKind};

/// All candidates, in the order of the plan.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Candidates {
    all: BTreeSet<TaskIx>,
    /// Those that do not stand in line.
    others: BTreeSet<TaskIx>,
}

impl Candidates {
    pub(super) fn insert(&mut self, ix: TaskIx, in_line: bool) {
        self.all.insert(ix);
        if !in_line {
            self.others.insert(ix);
        }
    }

    pub(super) fn remove(&mut self, ix: TaskIx) {
        self.all.remove(&ix);
        self.others.remove(&ix);
    }

    pub(super) fn contains(&self, ix: TaskIx) -> bool {
        self.all.contains(&ix)
    }

    /// Those that do not stand in line.
    pub(super) fn not_in_line(&self) -> impl Iterator<Item = TaskIx> {
        self.others.iter().copied()
    }

    /// The first to be looked at; `line`: also those that stand in line.
    pub(super) fn first(&self, line: bool) -> Option<TaskIx> {
        if line { self.all.first().copied() } else { self.others.first().copied() }
    }

    /// The next to be looked at.
    pub(super) fn after(&self, ix: TaskIx, line: bool) -> Option<TaskIx> {
        let set = if line { &self.all } else { &self.others };
        set.range((Bound::Excluded(ix), Bound::Unbounded)).next().copied()
    }
}

impl Run {
    /// A pending task waits for nothing any more.
    pub(super) fn becomes_candidate(&mut self, ix: TaskIx) {
        let in_line = self.stands_in_line(ix);
        self.candidates.insert(ix, in_line);
    }

    /// Whether nothing but its start can become of a task, unless something concerns every task: an action's step that
    /// stands in no wave. `commands` skips for what it needs only what could also start.
    pub(super) fn stands_in_line(&self, ix: TaskIx) -> bool {
        let node = &self.layout.tasks[ix.at()];
        let task = self.plan.task_at(ix);
        node.phase == Phase::Main
            && node.waves.is_empty()
            && matches!(task.role, Role::Step)
            && task.skip.is_none()
            && !self.is_gate(ix)
            && matches!(self.plan.scopes[node.scope.at()].kind, ScopeKind::Root | ScopeKind::Rollout { .. })
    }

    /// Whether something happened that ends tasks without their start, wherever they stand.
    pub(super) fn concerns_everything(&self) -> bool {
        self.cancel.is_some() || self.halted.is_some() || self.undo.is_some()
    }
}
