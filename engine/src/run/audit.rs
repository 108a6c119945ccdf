//! The indexes of a run against a full scan: what debug builds and tests compare.

use super::{
    Run,
    layout::{Node, ScopeIx, TaskIx},
    state::TaskStatus,
};
use crate::plan::ScopeKind;

impl Run {
    /// The first index that does not say what a full scan says; none when all is well. Linear in the plan.
    pub fn disagreement(&self) -> Option<String> {
        let name = |ix: TaskIx| self.plan.task_at(ix).name.to_string();
        let running = self.tasks.iter().filter(|state| state.active()).count();
        if running != self.running {
            return Some(format!("{running} tasks run, the index says {}", self.running));
        }
        for (at, state) in self.tasks.iter().enumerate() {
            let ix = TaskIx(at as u32);
            let active = state.active() || state.wait.is_some();
            if active != self.active.contains(&ix) {
                return Some(format!("{} is active: {active}, the index disagrees", name(ix)));
            }
            let open = state.records.values().filter(|record| record.report.is_none()).count();
            let undecided = state.records.iter().filter(|(_, record)| record.failed() && !record.settled);
            if state.active() && !undecided.map(|(target, _)| target).eq(&state.undecided) {
                return Some(format!("{} has other machines to decide about than the index says", name(ix)));
            }
            if state.active() && open != state.open {
                return Some(format!("{} has {open} machines open, the index says {}", name(ix), state.open));
            }
            let waits = self.waits_of(ix);
            if state.status == TaskStatus::Pending {
                if waits != self.task_waits[at] {
                    return Some(format!(
                        "{} waits for {waits} things, the index says {}",
                        name(ix),
                        self.task_waits[at]
                    ));
                }
                let listed =
                    (self.candidates.contains(ix), self.candidates.not_in_line().any(|each| each == ix));
                if listed != (waits == 0, waits == 0 && !self.stands_in_line(ix)) {
                    return Some(format!("{} waits for {waits} things, the candidates disagree", name(ix)));
                }
            } else if self.candidates.contains(ix) {
                return Some(format!("{} is a candidate and {}", name(ix), state.status.as_str()));
            }
        }
        for at in 0..self.scopes.len() {
            let ix = ScopeIx(at as u32);
            let mut remaining =
                self.layout.tasks_below(ix).iter().filter(|task| !self.tasks[task.at()].settled).count()
                    as u32;
            remaining += (0..self.scopes.len() as u32)
                .map(ScopeIx)
                .filter(|other| *other != ix && self.layout.is_below(*other, ix))
                .filter(|other| matches!(self.plan.scopes[other.at()].kind, ScopeKind::Wave { .. }))
                .filter(|other| !self.scopes[other.at()].over)
                .count() as u32;
            if remaining != self.scopes[at].remaining {
                let scope = &self.plan.scopes[at].name;
                return Some(format!(
                    "{remaining} things remain in `{scope}`, the index says {}",
                    self.scopes[at].remaining
                ));
            }
        }
        self.patchset_disagreement()
    }

    fn waits_of(&self, ix: TaskIx) -> u32 {
        let node = &self.layout.tasks[ix.at()];
        if let Some(of) = node.verifies {
            return u32::from(!self.tasks[of.at()].status.is_terminal());
        }
        let mut waits: Vec<Node> = node.needs.iter().chain(&node.of).copied().collect();
        waits.sort_unstable();
        waits.dedup();
        let open = waits.iter().filter(|wait| match wait {
            Node::Task(task) if node.of.contains(wait) => !self.tasks[task.at()].released,
            Node::Task(task) => !self.tasks[task.at()].settled,
            Node::Scope(scope) => !self.ended(*scope),
        });
        open.count() as u32 + self.scopes_before(ix)
    }

    fn scopes_before(&self, ix: TaskIx) -> u32 {
        let mut count = 0;
        let mut up = Some(self.layout.tasks[ix.at()].scope);
        while let Some(scope) = up {
            let node = &self.layout.scopes[scope.at()];
            count += node.after.map_or(0, |after| u32::from(!self.ended(after)));
            up = node.parent;
        }
        count
    }

    fn ended(&self, scope: ScopeIx) -> bool {
        match self.plan.scopes[scope.at()].kind {
            ScopeKind::Wave { .. } => self.scopes[scope.at()].over,
            _ => self.scopes[scope.at()].remaining == 0,
        }
    }
}
