//! What the names in a test file mean.

use std::collections::BTreeSet;

use runbook_engine::{
    diagnostic::Diagnostic,
    document::{model::Spanned, nearest},
    ids::{TargetId, TaskName},
    plan::{Plan, Role},
};
use runbook_steps::world::World;

/// Machines, and the word that names them.
#[derive(Clone, Debug)]
pub(super) struct Machines {
    pub text: String,
    pub ids: Vec<TargetId>,
}

/// Tasks, and the word that names them.
#[derive(Clone, Debug)]
pub(super) struct Tasks {
    pub text: String,
    pub names: BTreeSet<TaskName>,
}

/// Every machine of the plan.
pub(super) const ALL: &str = "all";

/// The machines that a word names: `all`, a group of the runbook, a name or an id, a group of the fleet, or `group/3`.
/// Machines that are in the fleet and not in the plan are among them.
pub(super) fn machines(word: &Spanned<String>, plan: &Plan, world: &World) -> Result<Machines, Diagnostic> {
    let text = word.value.clone();
    if text == ALL {
        return Ok(Machines { text, ids: plan.targets.keys().cloned().collect() });
    }
    if let Some(ids) = plan.groups.get(text.as_str()) {
        return Ok(Machines { text, ids: ids.clone() });
    }
    match world.machines_named(&text) {
        Ok(ids) => Ok(Machines { text, ids }),
        Err(why) => {
            let problem =
                Diagnostic::error("unknown-machine", format!("there is no machine {why}"), word.place);
            let groups = plan.groups.keys().map(|group| group.as_str());
            let names = plan.targets.values().map(|target| target.name.as_str());
            Err(match nearest(&text, groups.chain(names).chain([ALL])) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem,
            })
        }
    }
}

/// The tasks that a word names: those of a task's whole name or a step's path (waves left out), and all below a stage or a
/// wave; else those of a step's last part. Checks that are repeated after a restore or a soak are named by their path only:
/// `restore` comes after `healthy`, though it is verified by it again.
pub(super) fn tasks(word: &Spanned<String>, plan: &Plan) -> Result<Tasks, Diagnostic> {
    let text = word.value.clone();
    let every = plan.tasks.iter().chain(&plan.rollback);
    let mut names: BTreeSet<TaskName> = every
        .clone()
        .filter(|task| is_path_to(&text, task.name.as_str()))
        .map(|task| task.name.clone())
        .collect();
    if names.is_empty() {
        let repeated = |role: &Role| matches!(role, Role::Verify { .. } | Role::SoakCheck);
        let called = |name: &TaskName| name.as_str().rsplit('/').next() == Some(text.as_str());
        let own = every.clone().filter(|task| !repeated(&task.role) && called(&task.name));
        names = own.map(|task| task.name.clone()).collect();
    }
    if !names.is_empty() {
        return Ok(Tasks { text, names });
    }
    let message = format!("the plan has no task, step, wave or stage `{text}`");
    let problem = Diagnostic::error("unknown-task", message, word.place);
    let paths: BTreeSet<String> = every.flat_map(|task| ways_to_say(task.name.as_str())).collect();
    Err(match nearest(&text, paths.iter().map(String::as_str)) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None => problem.hint("`runbook plan FILE --json` lists every task"),
    })
}

fn is_path_to(wanted: &str, task: &str) -> bool {
    let is_or_holds =
        |path: &str| path.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    is_or_holds(task) || is_or_holds(&without_waves(task))
}

fn without_waves(task: &str) -> String {
    let is_cut = |part: &&str| {
        ["wave-", "part-"].iter().any(|mark| {
            part.strip_prefix(mark).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        })
    };
    task.split('/').filter(|part| !is_cut(part)).collect::<Vec<_>>().join("/")
}

/// A task's name, its step's path, what each lies below, and its last part.
fn ways_to_say(task: &str) -> Vec<String> {
    let mut ways = vec![task.rsplit('/').next().unwrap_or(task).to_owned()];
    for path in [task.to_owned(), without_waves(task)] {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        ways.extend(ends.map(|end| path[..end].to_owned()));
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::is_path_to;

    #[test]
    fn a_path_leads_to_a_task_with_and_without_waves_and_to_all_below() {
        let task = "production/wave-2/part-1/patch";
        for wanted in
            [task, "production/patch", "production", "production/wave-2", "production/wave-2/part-1"]
        {
            assert!(is_path_to(wanted, task), "{wanted}");
        }
        for wanted in ["prod", "patch", "production/wave-1", "production/wave-20", "wave-2", ""] {
            assert!(!is_path_to(wanted, task), "{wanted}");
        }
    }
}
