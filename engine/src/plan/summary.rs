//! `runbook plan --json`.

use serde_json::{Value, json};

use super::{Estimate, Gate, Plan, ScopeKind, Task, Work};

impl Plan {
    /// What `runbook plan --json` prints (documented there; other programs rely on it). In `needs` the name of a part
    /// of the plan, like a stage's, means everything below it. `timeout_s` is null for a wait until a moment.
    pub fn to_summary_json(&self) -> Value {
        let mut page = json!({
            "sha256": self.digest(),
            "runbook": self.runbook,
            "params": self.params,
            "targets": self.groups,
            "tasks": self.tasks.iter().map(|task| self.summary(task)).collect::<Vec<_>>(),
        });
        if let Some(patchset) = &self.patchset {
            page["patchset"] = json!(patchset);
        }
        page["estimate"] = Value::Null;
        if !self.experience.is_empty() {
            self.tell_times(&mut page);
        }
        page
    }

    /// How long it takes, where anything is known of that.
    fn tell_times(&self, page: &mut Value) {
        let table = self.timetable();
        page["experience"] = json!(self.experience);
        page["estimate"] = estimate(&table.whole());
        let waves = self.scopes.iter().filter(|scope| matches!(scope.kind, ScopeKind::Wave { .. }));
        page["waves"] = waves
            .map(|wave| json!({ "wave": wave.name, "estimate": estimate(&table.of(&wave.name)) }))
            .collect();
        let rooms = self.rooms();
        let windows = rooms.iter().map(|(window, room)| {
            json!({
                "task": window,
                "wave": room.wave,
                "needs_s": room.need().as_secs(),
                "work_s": room.work.as_secs(),
                "restore_s": room.restore.as_secs(),
                "partly": room.partly,
            })
        });
        page["windows"] = windows.collect();
    }

    /// What a task waits for: what it needs, and where nothing of its own part comes before it, the part that does.
    fn waits_for(&self, task: &Task) -> Vec<String> {
        let mut waits = task.needs.clone();
        let inside = |name: &str| {
            self.tasks.iter().any(|other| other.scope == task.scope && other.name.as_str() == name)
        };
        if waits.iter().any(|name| inside(name)) {
            return waits;
        }
        let mut up = Some(&task.scope);
        while let Some(scope) = up.and_then(|name| self.scopes.iter().find(|scope| scope.name == *name)) {
            if let Some(after) = &scope.after {
                waits.push(after.to_string());
                break;
            }
            up = scope.parent.as_ref();
        }
        waits
    }

    fn summary(&self, task: &Task) -> Value {
        let no_deadline = matches!(task.work, Work::Gate(Gate::WaitUntil { .. }));
        let mut summary = json!({
            "task": task.name,
            "action": task.action,
            "needs": self.waits_for(task),
            "on_failure": task.on_failure,
            "targets": task.targets.as_deref().unwrap_or_default(),
            "effect": task.effect.as_str(),
            "timeout_s": (!no_deadline).then(|| task.timeout.as_secs()),
        });
        if !self.experience.is_empty() && matches!(task.work, Work::Action(_)) {
            summary["expected"] = self.expectation(task);
        }
        if !task.ways.is_empty() {
            summary["ways"] = json!(task.ways);
        }
        if let Some(part) = task.patchset {
            summary["patchset"] = json!(part);
        }
        summary
    }

    /// What is known of how long a task takes; null: nothing.
    fn expectation(&self, task: &Task) -> Value {
        let expected = self.expected(task);
        let (Some(median), Some(p95)) = (expected.median(), expected.p95()) else { return Value::Null };
        json!({
            "median_s": median.as_secs(),
            "p95_s": p95.as_secs(),
            "times": expected.times(),
            "runs": expected.runs(),
            "no_history": expected.unknown,
        })
    }
}

fn estimate(estimate: &Estimate) -> Value {
    if !estimate.known {
        return Value::Null;
    }
    let unknown = estimate.unknown.iter();
    json!({
        "median_s": estimate.median.as_secs(),
        "p95_s": estimate.p95.as_secs(),
        "no_history": unknown
            .map(|(action, platform)| json!({ "action": action, "platform": platform }))
            .collect::<Vec<_>>(),
    })
}
