//! What a run waits for, and who may answer.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Run, layout::TaskIx, state::Wait};
use crate::{
    ids::{TargetId, TaskName},
    outcome::Outcome,
    plan::{Gate, Role, Task, Work},
};

/// How many machines a wait names.
const MOST_MACHINES: usize = 20;

/// What a run waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingOn {
    /// The waiting task.
    pub task: TaskName,
    /// For what kind of thing.
    pub kind: WaitKind,
    /// Since when.
    pub since: Timestamp,
    /// Until when at the latest.
    pub until: Timestamp,
    /// For what, in words.
    pub on: String,
}

/// Kinds of waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaitKind {
    /// People who approve.
    Approval,
    /// A window that opens.
    Window,
    /// Time after a wave.
    Soak,
    /// The time of `--at`.
    Start,
    /// A time.
    Time,
    /// A person who does something by hand.
    Manual,
    /// The next attempt.
    Backoff,
    /// A person who says what became of a machine.
    Operator,
}

impl WaitKind {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Window => "window",
            Self::Soak => "soak",
            Self::Start => "start",
            Self::Time => "time",
            Self::Manual => "manual",
            Self::Backoff => "backoff",
            Self::Operator => "operator",
        }
    }
}

impl Run {
    /// What it waits for.
    pub fn waiting_on(&self) -> Vec<WaitingOn> {
        let waits = self.active.iter().filter_map(|ix| {
            let state = &self.tasks[ix.at()];
            let (kind, until, on) = match state.wait.as_ref()? {
                Wait::Backoff { at } => (WaitKind::Backoff, *at, format!("attempt {}", state.attempt + 1)),
                Wait::Operator { until } => (WaitKind::Operator, *until, self.operator_words(*ix)),
                Wait::Gate { until } => self.gate_words(*ix, *until)?,
            };
            Some(WaitingOn {
                task: self.plan.task_at(*ix).name.clone(),
                kind,
                since: state.attempt_at.or(state.started_at)?,
                until,
                on,
            })
        });
        let start = self.not_before.filter(|_| self.before_its_time).zip(self.plan.tasks.first());
        let start = start.map(|(until, first)| WaitingOn {
            task: first.name.clone(),
            kind: WaitKind::Start,
            since: self.started_at.unwrap_or(until),
            until,
            on: "the time of `--at`".to_owned(),
        });
        waits.chain(start).collect()
    }

    fn operator_words(&self, ix: TaskIx) -> String {
        let names: Vec<_> = self
            .unresolved(ix)
            .into_iter()
            .map(|target| {
                target.map_or("the step itself".to_owned(), |target| self.target_name(target).to_string())
            })
            .collect();
        format!("a person says what became of {}", names.join(", "))
    }

    fn gate_words(&self, ix: TaskIx, until: Timestamp) -> Option<(WaitKind, Timestamp, String)> {
        let task = self.plan.task_at(ix);
        let Work::Gate(gate) = &task.work else { return None };
        let state = &self.tasks[ix.at()];
        Some(match gate {
            Gate::Approval { approvers, quorum, .. } => {
                let given: Vec<_> = state.approvals.keys().map(String::as_str).collect();
                let so_far = if given.is_empty() {
                    String::new()
                } else {
                    format!(", approved by {}", given.join(", "))
                };
                let on =
                    format!("{} of {quorum} approvals from {}{so_far}", given.len(), approvers.join(", "));
                (WaitKind::Approval, until, on)
            }
            Gate::WaitFor { .. } | Gate::WaitUntil { .. } if matches!(task.role, Role::SoakWait) => {
                (WaitKind::Soak, until, "the soak".into())
            }
            Gate::WaitFor { .. } | Gate::WaitUntil { .. } => (WaitKind::Time, until, "the time".into()),
            Gate::Window(window) => {
                let room = match self.layout.rooms.get(&ix) {
                    Some(need) => format!(", with {} of it left", need.in_words()),
                    None => String::new(),
                };
                let on = format!("the window `{}` ({}){room}", window.cron, window.timezone);
                (WaitKind::Window, until, on)
            }
            Gate::Manual { instructions, evidence } => {
                let machines = self.machines_by_hand(task);
                let mut on = instructions.clone();
                if !machines.is_empty() {
                    on = format!("{on} (machines: {})", machines.join(", "));
                }
                if let Some(evidence) = evidence {
                    on = format!("{on} (evidence: {evidence})");
                }
                (WaitKind::Manual, until, on)
            }
        })
    }

    /// The machines that a gate of a failure branch is about: those on which a task that leads to it did not succeed.
    fn machines_by_hand(&self, task: &Task) -> Vec<String> {
        let Role::Branch { of } = &task.role else { return Vec::new() };
        let tasks = of.iter().filter_map(|name| self.layout.task(name));
        let failed = tasks.flat_map(|ix| {
            let records = self.tasks[ix.at()].records.iter();
            let sick = records.filter(|(_, record)| {
                record.report.as_ref().is_some_and(|report| report.outcome != Outcome::Succeeded)
            });
            sick.map(|(target, _)| self.target_name(*target))
        });
        let failed: BTreeSet<&TargetId> = failed.collect();
        let mut names: Vec<String> = failed.iter().take(MOST_MACHINES).map(ToString::to_string).collect();
        if failed.len() > MOST_MACHINES {
            names.push(format!("and {} more", failed.len() - MOST_MACHINES));
        }
        names
    }

    /// Gates that are open.
    pub fn open_gates(&self) -> Vec<&Task> {
        let open =
            self.active.iter().filter(|ix| matches!(self.tasks[ix.at()].wait, Some(Wait::Gate { .. })));
        open.map(|ix| self.plan.task_at(*ix)).collect()
    }

    /// Tasks that wait for `runbook resolve`, with the machine (none: the task itself).
    pub fn unknowns(&self) -> Vec<(&TaskName, Option<&TargetId>)> {
        let waiting =
            self.active.iter().filter(|ix| matches!(self.tasks[ix.at()].wait, Some(Wait::Operator { .. })));
        waiting
            .flat_map(|ix| self.unresolved(*ix).into_iter().map(move |target| (*ix, target)))
            .map(|(ix, target)| (&self.plan.task_at(ix).name, target.map(|target| self.target_name(target))))
            .collect()
    }

    /// Whether this user's approval of a gate counts already.
    pub fn has_approved(&self, task: &TaskName, user: &str) -> bool {
        let task = self.layout.task(task.as_str());
        task.is_some_and(|ix| self.tasks[ix.at()].approvals.contains_key(user))
    }

    /// The approver entry that lets this user decide an open gate.
    ///
    /// # Errors
    /// Why not, as one lower-case sentence.
    pub fn may_approve(&self, task: &TaskName, user: &str, groups: &[String]) -> Result<String, String> {
        let entry = self.may_reject(task, user, groups)?;
        match self.layout.task(task.as_str()) {
            Some(ix) if self.tasks[ix.at()].approvals.contains_key(user) => {
                Err(format!("{user} has approved `{task}` already"))
            }
            _ => Ok(entry),
        }
    }

    /// The approver entry that lets this user reject an open gate, also after an approval.
    ///
    /// # Errors
    /// Why not, as one lower-case sentence.
    pub fn may_reject(&self, task: &TaskName, user: &str, groups: &[String]) -> Result<String, String> {
        let ix = self.layout.task(task.as_str()).ok_or_else(|| format!("there is no task `{task}`"))?;
        let state = &self.tasks[ix.at()];
        if !matches!(state.wait, Some(Wait::Gate { .. })) {
            return Err(format!("gate `{task}` is not open"));
        }
        match &self.plan.task_at(ix).work {
            Work::Gate(Gate::Approval { approvers, .. }) => {
                let entry = approvers.iter().find(|entry| match entry.strip_prefix("group:") {
                    Some(group) => groups.iter().any(|own| own == group),
                    None => entry.as_str() == user,
                });
                entry.cloned().ok_or_else(|| {
                    format!("{user} is not one of the approvers of `{task}`: {}", approvers.join(", "))
                })
            }
            Work::Gate(Gate::Manual { .. }) => Ok(user.to_owned()),
            _ => Err(format!("`{task}` does not wait for a person")),
        }
    }

    /// Whether a machine can be taken out.
    ///
    /// # Errors
    /// Why not, as one lower-case sentence.
    pub fn may_exclude(&self, target: &TargetId) -> Result<(), String> {
        let ix =
            self.layout.target(target).ok_or_else(|| format!("machine `{target}` is not in the plan"))?;
        if self.excluded.contains_key(&ix) {
            return Err(format!("machine `{target}` is excluded already"));
        }
        let touched = self.scopes.iter().zip(&self.layout.scopes).any(|(state, node)| {
            node.targets
                .binary_search(&ix)
                .is_ok_and(|at| state.passages.get(at).is_some_and(|passage| passage.touched))
        });
        if touched {
            return Err(format!("machine `{target}` is being changed or was changed already"));
        }
        Ok(())
    }
}
