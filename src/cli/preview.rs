//! What the playbooks of a plan would change: `runbook plan --ansible-check`.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, sync::Arc};

use runbook::world;
use runbook_engine::{
    ids::{StepPath, TargetId},
    plan::{Plan, Role, Work},
    target::Target,
};
use runbook_steps::{
    action::Inputs,
    actions::ansible::preview::{Preview, preview},
};
use serde_json::Value;

use super::{Session, exit::Exit, planning::Wishes, problem::Problem, source::Folder};

/// The action that runs playbooks.
const ACTION: &str = "ansible/playbook";

/// Machines that one invocation is asked about: those of all waves of a step that share their inputs.
type Asked<'p> = BTreeMap<(&'p StepPath, String), (BTreeMap<String, Value>, Vec<TargetId>)>;

/// Asks Ansible, step by step, and writes down what it answers. Nothing of it is part of the plan: when the run comes,
/// a host may have changed.
///
/// # Errors
/// Ansible cannot be asked.
pub fn page(session: &Session, file: &Path, wishes: &Wishes, plan: &Plan) -> Result<String, Problem> {
    let environment = world::planning(&wishes.choice(), &session.setup()?, Folder::of(file).path())?;
    let mut page = String::from(
        "\nwhat the playbooks would change now (ansible-playbook --check, no part of the plan)\n",
    );
    let mut late = Vec::new();
    let asked = asked(plan, &mut late);
    if asked.is_empty() && late.is_empty() {
        page.push_str("  no step runs a playbook\n");
    }
    for ((step, _), (values, ids)) in asked {
        let here: Vec<Arc<Target>> = ids.iter().filter_map(|id| plan.targets.get(id).cloned()).collect();
        let inputs = Inputs { values, ..Inputs::default() };
        let answered = environment.block_on(preview(environment.ports(), &here, &inputs)).map_err(|why| {
            Problem::new(Exit::Refused, format!("Ansible cannot be asked about {step}: {why}"))
        })?;
        for (machine, found) in answered {
            let _ = match found {
                Preview::Changes(tasks) if tasks.is_empty() => writeln!(page, "  {step}  {machine}  nothing"),
                Preview::Changes(tasks) => writeln!(page, "  {step}  {machine}  {}", tasks.join(", ")),
                Preview::Fails(cause) => writeln!(page, "  {step}  {machine}  cannot be said: {cause}"),
            };
        }
    }
    for (step, keys) in late {
        let _ = writeln!(page, "  {step}  cannot be said before the run: {keys} is known only then");
    }
    Ok(page)
}

/// What is to be asked. A step that only checks says the same in its own time.
fn asked<'p>(plan: &'p Plan, late: &mut Vec<(&'p StepPath, String)>) -> Asked<'p> {
    let mut asked = Asked::new();
    for task in &plan.tasks {
        let Work::Action(inputs) = &task.work else { continue };
        let Some(targets) = task.targets.as_ref() else { continue };
        if task.action.as_str() != ACTION || task.skip.is_some() || task.role != Role::Step {
            continue;
        }
        if !inputs.late.is_empty() {
            let told = (&task.step, inputs.late.join(", "));
            if !late.contains(&told) {
                late.push(told);
            }
            continue;
        }
        for id in targets {
            let values = inputs.per_target.get(id).unwrap_or(&inputs.shared);
            let key = serde_json::to_string(values).unwrap_or_default();
            let entry = asked.entry((&task.step, key)).or_insert_with(|| (values.clone(), Vec::new()));
            entry.1.push(id.clone());
        }
    }
    asked
}
