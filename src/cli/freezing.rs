//! What of a plan lies in files of its own: the playbooks that it names become part of its digest.

use std::collections::{BTreeMap, BTreeSet};

use runbook::world::Environment;
use runbook_engine::plan::{Inputs, Plan, Task, Work};
use serde_json::Value;

use super::{Session, exit::Exit, problem::Problem};

/// The action that has them, and its inputs.
const ACTION: &str = "ansible/playbook";
const PLAYBOOK: &str = "playbook";
const SHA256: &str = "sha256";

/// Whether there is one.
pub fn has_playbooks(plan: &Plan) -> bool {
    plan.tasks.iter().chain(&plan.rollback).any(|task| task.action.as_str() == ACTION)
}

/// Writes down what each playbook is now. One that cannot be read yet is said: an earlier step may make it.
///
/// # Errors
/// The runbook itself says what a playbook is to be, and it is something else.
pub fn playbooks(session: &Session, environment: &Environment, plan: &mut Plan) -> Result<(), Problem> {
    let known = fingerprints(session, environment, plan);
    let others = differences(plan, &known);
    if !others.is_empty() {
        let cause = format!("a playbook is not what its `sha256` says: {}", others.join("; "));
        return Err(
            Problem::new(Exit::Invalid, cause).next("bring back the playbook, or correct its `sha256`")
        );
    }
    write(plan, &known);
    Ok(())
}

/// Writes down what each playbook is now, whatever it was when a former plan was made.
pub fn playbooks_anew(session: &Session, environment: &Environment, plan: &mut Plan) {
    let known = fingerprints(session, environment, plan);
    write(plan, &known);
}

/// What is no longer what the plan says it is. Of one that cannot be read its step says so.
pub fn drift(environment: &Environment, plan: &Plan) -> Vec<String> {
    let pinned = inputs(plan).filter(|values| pin(values).is_some());
    let named: BTreeSet<_> = pinned.filter_map(playbook).map(str::to_owned).collect();
    let found = named.into_iter().filter_map(|playbook| {
        let found = environment.block_on(environment.ports().ansible.fingerprint(&playbook)).ok()??;
        Some((playbook, found))
    });
    differences(plan, &found.collect())
}

/// What each playbook is now, by its name.
fn fingerprints(session: &Session, environment: &Environment, plan: &Plan) -> BTreeMap<String, String> {
    let named: BTreeSet<_> = inputs(plan).filter_map(playbook).map(str::to_owned).collect();
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
    known
}

/// The playbooks that are not what the plan says they are, each in words.
fn differences(plan: &Plan, known: &BTreeMap<String, String>) -> Vec<String> {
    let others = inputs(plan).filter_map(|values| {
        let (playbook, pin) = (playbook(values)?, pin(values)?);
        let found = known.get(playbook).filter(|found| *found != pin)?;
        Some(format!("{playbook}, or a role beside it, is {found}, not {pin}"))
    });
    others.collect::<BTreeSet<_>>().into_iter().collect()
}

fn write(plan: &mut Plan, known: &BTreeMap<String, String>) {
    let fill = |values: &mut BTreeMap<String, Value>| {
        if let Some(found) = playbook(values).and_then(|name| known.get(name)) {
            values.insert(SHA256.to_owned(), Value::String(found.clone()));
        }
    };
    for task in plan.tasks.iter_mut().chain(&mut plan.rollback) {
        if runs_a_known_one(task)
            && let Work::Action(Inputs { shared, per_target, .. }) = &mut task.work
        {
            fill(shared);
            per_target.values_mut().for_each(fill);
        }
    }
}

fn playbook(values: &BTreeMap<String, Value>) -> Option<&str> {
    values.get(PLAYBOOK)?.as_str()
}

fn pin(values: &BTreeMap<String, Value>) -> Option<&str> {
    values.get(SHA256)?.as_str()
}

/// The inputs of every task that runs a playbook whose name is known already.
fn inputs(plan: &Plan) -> impl Iterator<Item = &BTreeMap<String, Value>> {
    let tasks = plan.tasks.iter().chain(&plan.rollback).filter(|task| runs_a_known_one(task));
    tasks.flat_map(|task| match &task.work {
        Work::Action(Inputs { shared, per_target, .. }) => {
            std::iter::once(shared).chain(per_target.values()).collect::<Vec<_>>()
        }
        _ => Vec::new(),
    })
}

fn runs_a_known_one(task: &Task) -> bool {
    let Work::Action(Inputs { late, .. }) = &task.work else { return false };
    task.action.as_str() == ACTION && !late.iter().any(|key| key == PLAYBOOK)
}
