//! Windows: what stands behind one begins when it said so, and where it is open.

use jiff::Timestamp;

use super::{Law, Oracle};
use crate::{
    ids::ScopeName,
    plan::{Role, Window},
};

/// Whether something may begin at this time.
fn is_open(window: &Window, at: Timestamp) -> bool {
    window.now_or_next(at).is_some_and(|opening| opening.opens <= at && at < opening.starts_until)
}

impl Oracle<'_> {
    pub(super) fn gate_within_window(&mut self, at: Timestamp, task: usize) {
        let known = self.known.task(task);
        if let Some(window) = known.window().filter(|window| !is_open(window, at)) {
            let detail = format!("{} let it begin at {at}, outside of `{}`", known.name(), window.cron);
            self.breaks(Law::WindowsAreKept, detail);
        }
    }

    /// A wave with a window begins when that was asked, and while it is open.
    pub(super) fn wave_within_window(&mut self, at: Timestamp, wave: &ScopeName) {
        let Some(task) = self.known.windows.get(wave).copied() else { return };
        if self.satisfied.contains(&task) {
            return;
        }
        let name = self.known.task(task).name();
        if !self.done.contains(&task) {
            self.breaks(Law::WindowsAreKept, format!("{wave} began before {name} let it"));
        } else if self.known.task(task).window().is_some_and(|window| !is_open(window, at)) {
            self.breaks(Law::WindowsAreKept, format!("{wave} began at {at}, when its window was closed"));
        }
    }

    /// A task begins behind the window that it needs, and in no wave whose window nobody asked.
    pub(super) fn behind_its_window(&mut self, task: usize) {
        let known = self.known.task(task);
        if !matches!(known.task.role, Role::Step) {
            return;
        }
        let (done, satisfied) = (&self.done, &self.satisfied);
        let asked = |at: &usize| done.contains(at) || satisfied.contains(at);
        // A wave asks its own window before it begins.
        let is_gate = |at: usize| {
            let gate = self.known.task(at);
            gate.window().is_some() && matches!(gate.task.role, Role::Step)
        };
        let needed = known.task.needs.iter().filter_map(|name| self.known.find(name));
        let mut shut = needed.filter(|at| is_gate(*at) && !asked(at));
        let mut early = known
            .waves
            .iter()
            .filter(|wave| self.known.windows.contains_key(*wave) && !self.begun.contains(**wave));
        let detail = match (shut.next(), early.next()) {
            (Some(gate), _) => {
                format!("{} began before {} let it", known.name(), self.known.task(gate).name())
            }
            (None, Some(wave)) => format!("{} began before {wave}, which has a window", known.name()),
            (None, None) => return,
        };
        self.breaks(Law::WindowsAreKept, detail);
    }
}
