//! Finding what an event names, and whether it fits: nothing here changes anything.

use super::{
    Run,
    illegal::IllegalEvent,
    layout::{ScopeIx, TargetIx, TaskIx},
    state::{TaskStatus, Wait},
};
use crate::{
    ids::{ScopeName, TargetId, TaskName},
    plan::ScopeKind,
};

impl Run {
    pub(super) fn task_named(&self, name: &TaskName) -> Result<TaskIx, IllegalEvent> {
        self.layout
            .task(name.as_str())
            .ok_or_else(|| IllegalEvent::new(format!("there is no task `{name}` in the plan")))
    }

    pub(super) fn scope_named(&self, name: &ScopeName) -> Result<ScopeIx, IllegalEvent> {
        self.layout
            .scope(name.as_str())
            .ok_or_else(|| IllegalEvent::new(format!("there is no `{name}` in the plan")))
    }

    pub(super) fn wave_named(&self, name: &ScopeName) -> Result<ScopeIx, IllegalEvent> {
        let ix = self.scope_named(name)?;
        match self.plan.scopes[ix.at()].kind {
            ScopeKind::Wave { .. } => Ok(ix),
            _ => Err(IllegalEvent::new(format!("`{name}` is not a wave"))),
        }
    }

    pub(super) fn target_named(&self, id: &TargetId) -> Result<TargetIx, IllegalEvent> {
        self.layout.target(id).ok_or_else(|| IllegalEvent::new(format!("machine `{id}` is not in the plan")))
    }

    /// Machines of which each is named once, sorted.
    pub(super) fn different(&self, task: &TaskName, ids: &[TargetId]) -> Result<Vec<TargetIx>, IllegalEvent> {
        let mut list = ids.iter().map(|id| self.target_named(id)).collect::<Result<Vec<_>, _>>()?;
        list.sort_unstable();
        list.dedup();
        if list.len() == ids.len() {
            Ok(list)
        } else {
            Err(IllegalEvent::new(format!("an event of task `{task}` names a machine twice")))
        }
    }

    pub(super) fn cannot(&self, ix: TaskIx, what: &str) -> IllegalEvent {
        let status = self.tasks[ix.at()].status.as_str();
        IllegalEvent::new(format!("task `{}` is {status}, so it cannot {what}", self.plan.task_at(ix).name))
    }

    pub(super) fn pending(&self, name: &TaskName, what: &str) -> Result<TaskIx, IllegalEvent> {
        let ix = self.task_named(name)?;
        match self.tasks[ix.at()].status {
            TaskStatus::Pending => Ok(ix),
            _ => Err(self.cannot(ix, what)),
        }
    }

    pub(super) fn attempt(&self, name: &TaskName, attempt: u32) -> Result<TaskIx, IllegalEvent> {
        let ix = self.task_named(name)?;
        let state = &self.tasks[ix.at()];
        if !state.active() {
            return Err(self.cannot(ix, "report"));
        }
        if state.attempt != attempt {
            return Err(IllegalEvent::new(format!(
                "task `{name}` is in attempt {}, not {attempt}",
                state.attempt
            )));
        }
        Ok(ix)
    }

    /// A running task of which everything is reported.
    pub(super) fn running_over(&self, name: &TaskName) -> Result<TaskIx, IllegalEvent> {
        let ix = self.task_named(name)?;
        let state = &self.tasks[ix.at()];
        let over = if self.layout.tasks[ix.at()].targets.is_some() {
            state.open == 0
        } else {
            state.whole.is_some()
        };
        if state.active() && over { Ok(ix) } else { Err(self.cannot(ix, "end")) }
    }

    /// A task that may succeed or fail now: its attempt is over, or it is an open gate.
    pub(super) fn ended_named(&self, name: &TaskName) -> Result<TaskIx, IllegalEvent> {
        let ix = self.task_named(name)?;
        if matches!(self.tasks[ix.at()].wait, Some(Wait::Gate { .. })) {
            return Ok(ix);
        }
        if matches!(self.tasks[ix.at()].wait, Some(Wait::Operator { .. })) && self.unresolved(ix).is_empty() {
            return Ok(ix);
        }
        self.running_over(name)
    }

    pub(super) fn open_gate(&self, name: &TaskName) -> Result<TaskIx, IllegalEvent> {
        let ix = self.task_named(name)?;
        match self.tasks[ix.at()].wait {
            Some(Wait::Gate { .. }) => Ok(ix),
            _ => Err(IllegalEvent::new(format!("gate `{name}` is not open"))),
        }
    }
}
