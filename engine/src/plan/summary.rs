//! `runbook plan --json`.

use serde_json::{Value, json};

use super::{Gate, Plan, Task, Work};

impl Plan {
    /// What `runbook plan --json` prints (documented there; other programs rely on it). In `needs` the name of a part
    /// of the plan, like a stage's, means everything below it. `timeout_s` is null for a wait until a moment.
    pub fn to_summary_json(&self) -> Value {
        json!({
            "sha256": self.digest(),
            "runbook": self.runbook,
            "params": self.params,
            "targets": self.groups,
            "tasks": self.tasks.iter().map(summary).collect::<Vec<_>>(),
        })
    }
}

fn summary(task: &Task) -> Value {
    let no_deadline = matches!(task.work, Work::Gate(Gate::WaitUntil { .. }));
    json!({
        "task": task.name,
        "action": task.action,
        "needs": task.needs,
        "on_failure": task.on_failure,
        "targets": task.targets.as_deref().unwrap_or_default(),
        "effect": task.effect.as_str(),
        "timeout_s": (!no_deadline).then(|| task.timeout.as_secs()),
    })
}
