//! What of a plan lies in files of its own: the playbooks that it names become part of its digest.

use std::collections::{BTreeMap, BTreeSet};

use runbook::world::Environment;
use runbook_engine::plan::{Inputs, Plan, Task, Work};
use serde_json::Value;

use super::Session;

/// The action that has them, and its inputs.
const ACTION: &str = "ansible/playbook";
const PLAYBOOK: &str = "playbook";
const SHA256: &str = "sha256";

/// Whether there is one.
pub fn has_playbooks(plan: &Plan) -> bool {
    plan.tasks.iter().chain(&plan.rollback).any(|task| task.action.as_str() == ACTION)
}

/// Writes down what each playbook is now. One that cannot be read yet is said: an earlier step may make it.
pub fn playbooks(session: &Session, environment: &Environment, plan: &mut Plan) {
    let mut named = BTreeSet::new();
    visit(plan, |values| {
        named.extend(values.get(PLAYBOOK).and_then(Value::as_str).map(str::to_owned));
    });
    let mut known = BTreeMap::new();
    for playbook in named {
        match environment.block_on(environment.ports().ansible.fingerprint(&playbook)) {
            Ok(Some(found)) => {
                known.insert(playbook, found);
            }
            Ok(None) => {}
            Err(why) if !session.screen.json => session.screen.note(&format!(
                "note: the plan does not hold what {playbook} is, since it cannot be read: {why}\n"
            )),
            Err(_) => {}
        }
    }
    visit(plan, |values| {
        if let Some(found) = values.get(PLAYBOOK).and_then(Value::as_str).and_then(|name| known.get(name)) {
            values.insert(SHA256.to_owned(), Value::String(found.clone()));
        }
    });
}

/// The inputs of every task that runs a playbook whose name is known already.
fn visit(plan: &mut Plan, mut each: impl FnMut(&mut BTreeMap<String, Value>)) {
    let tasks = plan.tasks.iter_mut().chain(&mut plan.rollback);
    for Task { action, work, .. } in tasks {
        let Work::Action(Inputs { shared, per_target, late }) = work else { continue };
        if action.as_str() == ACTION && !late.iter().any(|key| key == PLAYBOOK) {
            each(shared);
            per_target.values_mut().for_each(&mut each);
        }
    }
}
