//! Gates: what the core itself waits for, and what becomes of it.

use std::borrow::Cow;

use jiff::Timestamp;

use super::{
    Run,
    command::Command,
    decide::{Wake, later},
    event::Event,
    layout::{Phase, ScopeIx, TargetIx, TaskIx},
};
use crate::plan::{Gate, OnExpiry, Role, Window, Work};

impl Run {
    pub(super) fn open_event(&self, ix: TaskIx, targets: &[TargetIx], now: Timestamp) -> Event {
        let task = self.plan.task_at(ix);
        let Work::Gate(gate) = &task.work else {
            return Event::TaskSkipped {
                task: task.name.clone(),
                cause: "it is no gate".into(),
                satisfies: false,
            };
        };
        let until = match gate {
            Gate::Approval { expires, .. } => later(now, *expires),
            Gate::WaitFor { span } => later(now, *span),
            Gate::WaitUntil { until } => *until,
            Gate::Window(_) | Gate::Manual { .. } => later(now, task.timeout),
        };
        Event::GateOpened { task: task.name.clone(), until, targets: self.ids(ix, targets) }
    }

    pub(super) fn gate_commands(
        &self,
        ix: TaskIx,
        until: Timestamp,
        now: Timestamp,
        wake: &mut Wake,
        out: &mut Vec<Command>,
    ) {
        let task = self.plan.task_at(ix);
        let state = &self.tasks[ix.at()];
        let Work::Gate(gate) = &task.work else { return };
        let succeed = || Event::TaskSucceeded { task: task.name.clone() };
        let fail = |cause: String| Event::TaskFailed { task: task.name.clone(), cause, class: None };
        if self.cancel.is_some() && self.layout.tasks[ix.at()].phase == Phase::Main {
            out.push(Command::Record(Event::TaskCancelled { task: task.name.clone() }));
            return;
        }
        if let Some(cause) = &state.rejected {
            out.push(Command::Record(fail(cause.clone())));
            return;
        }
        if let Some(cause) = self.halted.as_ref().or(self.undo.as_ref())
            && matches!(task.role, Role::Step | Role::Window)
            && self.layout.tasks[ix.at()].phase == Phase::Main
        {
            out.push(Command::Record(fail(cause.clone())));
            return;
        }
        let decided = match gate {
            Gate::Approval { quorum, on_expiry, .. } => {
                if state.approvals.len() >= *quorum as usize {
                    Some(succeed())
                } else if now < until {
                    None
                } else {
                    let cause =
                        format!("nobody decided in time: {} of {quorum} approved", state.approvals.len());
                    Some(match on_expiry {
                        OnExpiry::Fail => fail(cause),
                        OnExpiry::Pause => Event::RunPaused {
                            by: task.name.to_string(),
                            gate: Some(task.name.clone()),
                            cause: Some(cause),
                        },
                    })
                }
            }
            Gate::Manual { .. } if !state.approvals.is_empty() => Some(succeed()),
            Gate::Manual { .. } => (now >= until).then(|| fail("nobody confirmed it in time".into())),
            Gate::WaitFor { .. } | Gate::WaitUntil { .. } => (now >= until).then(succeed),
            Gate::Window(window) => match self.with_room(ix, window).now_or_next(now) {
                _ if now >= until => Some(fail("the window did not open in time".into())),
                None => Some(fail(self.never_opens(ix, window))),
                // The machines are looked at first: the window's word is good for a wave that begins with it.
                Some(opening)
                    if opening.opens <= now
                        && now < opening.starts_until
                        && self.uninspected(ix, opening.opens).is_some() =>
                {
                    let scope = self
                        .uninspected(ix, opening.opens)
                        .map(|wave| self.plan.scopes[wave.at()].name.clone());
                    out.extend(
                        scope.filter(|_| self.paused.is_none()).map(|scope| Command::Inspect { scope }),
                    );
                    None
                }
                Some(opening) if opening.opens <= now && now < opening.starts_until => {
                    // A pause stops the wave, not the window: it would only have to be asked again.
                    self.paused.is_none().then(succeed)
                }
                Some(opening) if opening.opens >= until => {
                    Some(fail(format!("the window opens at {}, after its time-out", opening.opens)))
                }
                Some(opening) => {
                    wake.at(opening.opens);
                    None
                }
            },
        };
        match decided {
            Some(event) => out.push(Command::Record(event)),
            None => wake.at(until),
        }
    }

    /// The window, as far as the wave behind it fits into it.
    fn with_room<'w>(&self, ix: TaskIx, window: &'w Window) -> Cow<'w, Window> {
        match self.layout.rooms.get(&ix) {
            Some(need) => Cow::Owned(window.with_room(*need)),
            None => Cow::Borrowed(window),
        }
    }

    fn never_opens(&self, ix: TaskIx, window: &Window) -> String {
        match self.layout.rooms.get(&ix).filter(|need| **need >= window.duration) {
            Some(need) => format!(
                "the wave needs {} of the window, which is open for {}",
                need.in_words(),
                window.duration.in_words()
            ),
            None => "the window never opens".into(),
        }
    }

    /// The wave of a window task whose machines nobody has looked at since the window opened.
    fn uninspected(&self, ix: TaskIx, since: Timestamp) -> Option<ScopeIx> {
        if !matches!(self.plan.task_at(ix).role, Role::Window) {
            return None;
        }
        let wave = self.wave_to_begin(ix)?;
        let looked = self.scopes[wave.at()].inspected_at.is_some_and(|at| at >= since);
        (self.layout.scopes[wave.at()].inspected && !looked).then_some(wave)
    }
}
