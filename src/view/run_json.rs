//! A run for a program: the document of `runbook show --json`.

use runbook_engine::run::{Run, TaskView, WaitingOn};
use serde_json::{Map, Value, json};

use super::{lost, patchset, run_status};

/// The document. `live`: a process holds the run now.
pub fn show(run: &Run, live: bool) -> Value {
    let plan = run.plan();
    let waiting: Vec<Value> = run.waiting_on().iter().map(waiting).collect();
    let tasks: Vec<Value> = run.tasks().map(|each| task(&each, live)).collect();
    let targets: Map<String, Value> = run
        .targets()
        .into_iter()
        .map(|each| {
            let value = json!({
                "outcome": each.outcome.as_str(),
                "group": each.group,
                "wave": each.wave,
                "cause": each.cause,
            });
            (each.id.to_string(), value)
        })
        .collect();
    json!({
        "run": run.id(),
        "runbook": plan.runbook,
        "status": run_status::word(run, live),
        "exit": run.status().exit_code(),
        "plan": { "sha256": plan.digest(), "tasks": plan.tasks.len(), "targets": plan.targets.len() },
        "params": plan.params,
        "started_at": run.started_at(),
        "finished_at": run.finished_at(),
        "cause": run.cause(),
        "waiting_on": waiting,
        "tasks": tasks,
        "targets": targets,
        "lost": lost::by_machine(run),
        "warnings": run.warnings(),
        "linked_to": plan.link,
        "patchset": patchset::json(run),
    })
}

fn waiting(each: &WaitingOn) -> Value {
    json!({
        "task": each.task,
        "kind": each.kind.as_str(),
        "since": each.since,
        "until": each.until,
        "on": each.on,
    })
}

fn task(each: &TaskView<'_>, live: bool) -> Value {
    let targets: Map<String, Value> =
        each.targets().map(|(id, outcome, _)| (id.to_string(), json!(outcome.as_str()))).collect();
    json!({
        "task": each.task.name,
        "action": each.task.action,
        "status": run_status::task_word(each.status, live),
        "attempt": each.attempt,
        "started_at": each.started_at,
        "finished_at": each.finished_at,
        "targets": targets,
        "outputs": outputs(each),
        "error": each.error,
    })
}

/// What the task put out as a whole; by machine where it worked on machines.
fn outputs(each: &TaskView<'_>) -> Value {
    let mut all = Map::new();
    for (id, value) in each.outputs {
        match &**value {
            Value::Null => {}
            Value::Object(values) if id.as_str().is_empty() => all.extend(values.clone()),
            value => {
                all.insert(id.to_string(), value.clone());
            }
        }
    }
    Value::Object(all)
}
