//! How long a plan is expected to take, for a person: from experience, and plainly where there is none.

use std::collections::BTreeMap;

use runbook_engine::{
    ids::TaskName,
    plan::{LinkKind, Plan, Room, Scope, Task, Timetable, Work},
};

/// How many actions without history are named.
const MOST_UNKNOWN: usize = 6;

/// The times of a plan.
pub(super) struct Times<'p> {
    plan: &'p Plan,
    table: Timetable<'p>,
    rooms: BTreeMap<TaskName, Room>,
}

impl<'p> Times<'p> {
    pub fn of(plan: &'p Plan) -> Self {
        Self { plan, table: plan.timetable(), rooms: plan.rooms() }
    }

    /// `median 6m, p95 11m of 120`; `no history`. Nothing where nothing is known of the whole plan: that is said once.
    pub fn of_task(&self, task: &Task) -> String {
        if self.plan.experience.is_empty() || task.skip.is_some() || matches!(task.work, Work::Gate(_)) {
            return String::new();
        }
        let expected = self.plan.expected(task);
        let (Some(median), Some(p95)) = (expected.median(), expected.p95()) else {
            return "no history".to_owned();
        };
        let known = format!("median {}, p95 {} of {}", median.in_words(), p95.in_words(), expected.times());
        let unknown: Vec<&str> = expected.unknown.into_iter().flatten().collect();
        if unknown.is_empty() { known } else { format!("{known}, no history on {}", unknown.join(", ")) }
    }

    /// `median 25m, p95 40m`.
    pub fn of_wave(&self, wave: &Scope) -> String {
        let estimate = self.table.of(&wave.name);
        if !estimate.known {
            return String::new();
        }
        format!("median {}, p95 {}", estimate.median.in_words(), estimate.p95.in_words())
    }

    /// What the wave behind a window needs of it.
    pub fn of_window(&self, window: &Task) -> Option<String> {
        self.rooms.get(&window.name).map(needs)
    }

    /// The same of the wave that needs most, among these windows.
    pub fn of_windows(&self, among: impl Fn(&Task) -> bool) -> String {
        let windows = self.plan.tasks.iter().filter(|task| among(task));
        let rooms = windows.filter_map(|task| self.rooms.get(&task.name));
        match rooms.max_by_key(|room| room.need()) {
            Some(room) => needs(room),
            None => "no history: no wave is refused because it would take too long".to_owned(),
        }
    }

    /// The whole plan, in lines of their own.
    pub fn of_all(&self) -> String {
        let acts = |task: &Task| matches!(task.work, Work::Action(_)) && task.skip.is_none();
        let rolls_back = self.plan.link.as_ref().is_some_and(|link| link.kind == LinkKind::Rollback);
        if rolls_back || !self.plan.tasks.iter().any(acts) {
            return String::new();
        }
        let estimate = self.table.whole();
        if !estimate.known {
            return "no history: nothing is known of how long it takes but the time-outs\n".to_owned();
        }
        let mut text = format!(
            "estimate  median {}, p95 {}, without waits for people and windows\n",
            estimate.median.in_words(),
            estimate.p95.in_words()
        );
        let unknown: Vec<String> = estimate
            .unknown
            .iter()
            .map(|(action, platform)| match platform {
                Some(platform) => format!("{action} on {platform}"),
                None => action.to_string(),
            })
            .collect();
        if !unknown.is_empty() {
            text.push_str(&format!(
                "  no history of {}: counted as nothing\n",
                super::words::some(&unknown, MOST_UNKNOWN)
            ));
        }
        text
    }
}

fn needs(room: &Room) -> String {
    let partly = if room.partly { ", and what there is no history of" } else { "" };
    format!(
        "{} needs {} of it (p95 {}, restore {}{partly})",
        room.wave,
        room.need().in_words(),
        room.work.in_words(),
        room.restore.in_words()
    )
}
