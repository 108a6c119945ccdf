//! Since when the lines of a machine's log count: when its patch began, as the journal has it.

use jiff::Timestamp;
use runbook_engine::{
    ids::TargetId,
    plan::{Role, Task},
    run::{Run, TaskView},
};

/// The action that asks, by its input of this name.
const ASKS: (&str, &str) = ("check/log", "since");

/// The input that `task` has instead of the name of a step, and what it holds for this machine.
///
/// Where the input names a step: the start of that step's first task on the machine; none: it did not begin there. Where
/// it names none: of the machine's latest attempt of the restoring task, for a check that verifies a restore, since what
/// was written before stays written; else of the first task that may have changed the machine; of a machine that nothing
/// has changed yet, the start of the run's stage holds. What this stage did goes before what others did.
pub(super) fn for_machine(
    run: &Run,
    task: &Task,
    machine: &TargetId,
    asked: Option<&str>,
) -> Option<(&'static str, Timestamp)> {
    if task.action.as_str() != ASKS.0 {
        return None;
    }
    let restoring = match &task.role {
        Role::Verify { of } => Some(of),
        _ => None,
    };
    let counts = |view: &TaskView<'_>| match (asked, restoring) {
        (Some(step), _) => {
            let path = view.task.step.as_str();
            path == step || path.strip_suffix(step).is_some_and(|before| before.ends_with('/'))
        }
        (None, Some(restore)) => view.task.name == *restore,
        (None, None) => view.task.role == Role::Step && view.task.effect.may_change(),
    };
    let began: Vec<_> = run
        .tasks_of_machine(machine)
        .filter(counts)
        .filter_map(|view| {
            let again = asked.is_none() && restoring.is_some();
            let at = if again { view.began(machine) } else { view.started_at };
            Some((view.task.name.stage() == task.name.stage(), at?))
        })
        .collect();
    let in_stage = began.iter().filter(|(in_stage, _)| *in_stage).map(|(_, at)| *at).min();
    // Where every step stands on the top level, each is a stage of its own.
    in_stage.or_else(|| began.iter().map(|(_, at)| *at).min()).map(|at| (ASKS.1, at))
}
