//! How the work behind windows lies to their ends.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use runbook_engine::{
    ids::{ScopeName, TaskName},
    plan::{Gate, Plan, Role, Scope, ScopeKind, Task, Window, Work},
    run::event::Event,
};

/// How the last work behind a window lay to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margin {
    /// When the window closed that it began in.
    pub closes: Timestamp,
    /// When the last machine behind it was done.
    pub done: Timestamp,
}

impl Margin {
    /// How many seconds were left; less than nothing: it took longer than the window was open.
    pub fn left_s(&self) -> i64 {
        self.closes.duration_since(self.done).as_secs()
    }
}

/// The margins of one run.
pub(super) struct Margins<'p> {
    windows: HashMap<&'p TaskName, &'p Window>,
    /// The window that the tasks of waves stand behind: their wave's own, else the gate before their rollout.
    behind: HashMap<&'p TaskName, &'p TaskName>,
    margins: BTreeMap<&'p TaskName, Margin>,
}

impl<'p> Margins<'p> {
    pub fn new(plan: &'p Plan) -> Self {
        let mut windows = HashMap::new();
        let (mut asked, mut gates): (HashMap<&ScopeName, &TaskName>, HashMap<&str, &TaskName>) =
            Default::default();
        for task in &plan.tasks {
            let Work::Gate(Gate::Window(window)) = &task.work else { continue };
            windows.insert(&task.name, window);
            match task.role {
                Role::Window => drop(asked.insert(&task.scope, &task.name)),
                _ => drop(gates.insert(task.name.as_str(), &task.name)),
            }
        }
        let mut behind = HashMap::new();
        if !windows.is_empty() {
            let scopes: HashMap<&ScopeName, &Scope> =
                plan.scopes.iter().map(|scope| (&scope.name, scope)).collect();
            let mut opened: HashMap<&ScopeName, &TaskName> = HashMap::new();
            for task in &plan.tasks {
                let around = around(&scopes, task);
                let outermost = around.iter().rfind(|scope| matches!(scope.kind, ScopeKind::Rollout { .. }));
                if let Some(rollout) = outermost {
                    let gate = task.needs.iter().find_map(|need| gates.get(need.as_str()));
                    opened.extend(gate.map(|gate| (&rollout.name, *gate)));
                }
                let waves = around.iter().filter(|scope| matches!(scope.kind, ScopeKind::Wave { .. }));
                let own = waves.clone().find_map(|wave| asked.get(&wave.name).copied());
                let gate = outermost.and_then(|rollout| opened.get(&rollout.name).copied());
                let window = own.or(gate.filter(|_| waves.count() > 0));
                behind.extend(window.map(|window| (&task.name, window)));
            }
        }
        Self { windows, behind, margins: BTreeMap::new() }
    }

    pub fn hear(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::TaskSucceeded { task } => {
                let window = self.windows.get_key_value(task);
                if let Some((name, opening)) =
                    window.and_then(|(name, window)| Some((*name, window.now_or_next(at)?)))
                {
                    self.margins.insert(name, Margin { closes: opening.closes, done: at });
                }
            }
            Event::TargetsReported { task, .. } => {
                let margin = self.behind.get(task).and_then(|window| self.margins.get_mut(window));
                if let Some(margin) = margin {
                    margin.done = at;
                }
            }
            _ => {}
        }
    }

    /// The one with the least left.
    pub fn smallest(&self) -> Option<Margin> {
        self.margins.values().copied().min_by_key(Margin::left_s)
    }
}

/// The scopes that a task stands in, innermost first.
fn around<'p>(scopes: &HashMap<&ScopeName, &'p Scope>, task: &Task) -> Vec<&'p Scope> {
    let above = |scope: &&'p Scope| scopes.get(scope.parent.as_ref()?).copied();
    std::iter::successors(scopes.get(&task.scope).copied(), above).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use runbook_engine::{
        plan::Plan,
        run::event::{Event, Report},
    };
    use serde_json::{Value, json};

    use super::Margins;

    fn task(name: &str, scope: &str, role: &str, work: Value) -> Value {
        json!({
            "name": name, "step": "s", "scope": scope, "action": "a", "role": role, "effect": "changes", "work": work,
            "timeout": "1h", "retry": { "attempts": 1, "errors": [], "delay": "0s" }, "resolve_within": "1d",
        })
    }

    /// Two waves with a window of their own, and a step beside them.
    fn plan() -> Plan {
        let window = json!({ "gate": {
            "kind": "window", "cron": "0 22 * * *", "duration": "2h", "timezone": "UTC", "cutoff": "0s",
        } });
        let wave = |number: u32| {
            json!({
                "name": format!("p/wave-{number}"), "parent": "p",
                "kind": { "wave": { "number": number, "of": 2, "targets": [] } },
            })
        };
        let act = || json!({ "action": { "shared": {} } });
        serde_json::from_value(json!({
            "format": 1, "runbook": "r", "sources": {}, "entry": "r", "params": {}, "groups": {}, "targets": {},
            "scopes": [
                { "name": "", "kind": "root" },
                { "name": "p", "parent": "", "kind": { "rollout": { "step": "p", "targets": [], "max_failures": 0 } } },
                wave(1), wave(2),
            ],
            "tasks": [
                task("p/wave-1/window", "p/wave-1", "window", window.clone()),
                task("p/wave-1/patch", "p/wave-1", "step", act()),
                task("p/wave-2/window", "p/wave-2", "window", window),
                task("p/wave-2/patch", "p/wave-2", "step", act()),
                task("report", "", "step", act()),
            ],
        }))
        .expect("a plan")
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn the_smallest_margin_of_all_waves_is_told() {
        let plan = plan();
        let mut margins = Margins::new(&plan);
        let mut hear = |time: &str, task: &str, asked: bool| {
            let task = task.into();
            let event = match asked {
                true => Event::TaskSucceeded { task },
                false => Event::TargetsReported {
                    task,
                    attempt: 1,
                    targets: vec!["m".into()],
                    report: Report::succeeded(),
                },
            };
            margins.hear(at(time), &event);
        };
        hear("2026-11-20T22:00:00Z", "p/wave-1/window", true);
        hear("2026-11-20T23:50:00Z", "p/wave-1/patch", false);
        hear("2026-11-21T22:00:00Z", "p/wave-2/window", true);
        hear("2026-11-21T22:30:00Z", "p/wave-2/patch", false);
        // It stands behind no window.
        hear("2026-11-22T12:00:00Z", "report", false);
        let smallest = margins.smallest().expect("a margin");
        assert_eq!((smallest.closes, smallest.left_s()), (at("2026-11-21T00:00:00Z"), 600));
    }
}
