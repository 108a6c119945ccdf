//! How much of a window a wave needs, so that it and a restore are over before the window closes.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{
    Gate, Plan, Refusal, Role, Scope, ScopeKind, Task, Timetable, Window, Work, making::Places,
    problems::Problems,
};
use crate::{
    diagnostic::{Diagnostic, Place},
    duration::Span,
    ids::{ScopeName, TaskName},
};

/// What a wave needs of the window that lets it begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// The wave.
    pub wave: ScopeName,
    /// The 95th percentile of its tasks, one behind the other as they must be.
    pub work: Span,
    /// The longest of its restores, its 95th percentile too.
    pub restore: Span,
    /// Whether there is no history of some of it, which counts as nothing.
    pub partly: bool,
}

impl Room {
    /// All of it.
    pub fn need(&self) -> Span {
        Span::from_secs(self.work.as_secs().saturating_add(self.restore.as_secs()))
    }
}

impl Window {
    /// The same window for a wave that needs so much of it: nothing starts that would not be over when it closes.
    #[must_use]
    pub(crate) fn with_room(&self, need: Span) -> Self {
        Self { cutoff: self.cutoff.max(need), ..self.clone() }
    }
}

impl Plan {
    /// What the wave behind each window needs of it, by the window's task. A window that no experience tells anything
    /// about is not in it: there nothing is refused.
    pub fn rooms(&self) -> BTreeMap<TaskName, Room> {
        if self.experience.is_empty() {
            return BTreeMap::new();
        }
        let table = self.timetable();
        let windows = self.tasks.iter().filter(|task| matches!(task.work, Work::Gate(Gate::Window(_))));
        let rooms = windows.filter_map(|window| {
            let waves = self.waves_behind(window);
            let rooms = waves.into_iter().filter_map(|wave| self.room(&table, wave));
            Some((window.name.clone(), rooms.max_by_key(Room::need)?))
        });
        rooms.collect()
    }

    /// The window of a task as far as the wave behind it fits into it: nothing starts in it that, with a restore, would
    /// not be over when it closes.
    pub fn window_of(&self, task: &Task) -> Option<Window> {
        let Work::Gate(Gate::Window(window)) = &task.work else { return None };
        Some(match self.rooms().get(&task.name) {
            Some(room) => window.with_room(room.need()),
            None => window.clone(),
        })
    }

    /// The waves that a window lets begin: its own; else the first of each rollout that needs it, and that asks no
    /// window again.
    fn waves_behind(&self, window: &Task) -> Vec<&Scope> {
        if window.role == Role::Window {
            return self.scopes.iter().filter(|scope| scope.name == window.scope).collect();
        }
        let first =
            self.scopes.iter().filter(|scope| matches!(scope.kind, ScopeKind::Wave { number: 1, .. }));
        let behind = first.filter(|wave| {
            let asks = self.tasks.iter().any(|task| task.role == Role::Window && task.scope == wave.name);
            let needs = |task: &&Task| task.needs.iter().any(|need| need == window.name.as_str());
            !asks && self.tasks.iter().filter(needs).any(|task| is_below(&task.scope, &wave.name))
        });
        behind.collect()
    }

    fn room(&self, table: &Timetable<'_>, wave: &Scope) -> Option<Room> {
        let work = table.of(&wave.name);
        let restores = self.tasks.iter().filter(|task| {
            task.restores.is_some()
                && matches!(task.role, Role::Branch { .. })
                && is_below(&task.scope, &wave.name)
        });
        let (mut restore, mut partly) = (None, !work.unknown.is_empty());
        for task in restores {
            let expected = self.expected(task);
            restore = restore.max(expected.p95());
            partly |= !expected.unknown.is_empty();
        }
        (work.known || restore.is_some()).then(|| Room {
            wave: wave.name.clone(),
            work: work.p95,
            restore: restore.unwrap_or_default(),
            partly,
        })
    }
}

fn is_below(scope: &ScopeName, wave: &ScopeName) -> bool {
    let rest = scope.as_str().strip_prefix(wave.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A wave that fits into no opening would wait for ever.
pub(super) fn check(plan: &Plan, places: &Places) -> Result<(), Refusal> {
    let mut rooms: Vec<(TaskName, Room)> = plan.rooms().into_iter().collect();
    // Of several that one place stands for, the longest is told.
    rooms.sort_by_key(|(_, room)| Reverse(room.need()));
    let mut problems = Problems::default();
    for (name, room) in rooms {
        let window = plan.tasks.iter().find(|task| task.name == name).map(|task| &task.work);
        let Some(Work::Gate(Gate::Window(window))) = window else { continue };
        if room.need() < window.duration {
            continue;
        }
        let place = places.get(&name).copied().unwrap_or(Place::whole(0));
        let message = format!(
            "`{}` fits into no opening of the window: in earlier runs 95 of 100 machines were through its steps \
             in {} and restored in {}, and the window is open for {}",
            room.wave,
            room.work.in_words(),
            room.restore.in_words(),
            window.duration.in_words(),
        );
        problems.add(Diagnostic::error("window-too-short", message, place).hint(
            "let the window be open for longer (`duration`), or the waves have fewer parts (`max_in_flight`)",
        ));
    }
    problems.refuse_if_any()
}
