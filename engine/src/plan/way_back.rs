//! How each machine of a restoring task is brought back: asked of the action when the plan is made, and frozen in it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Inputs, Plan, Refusal, Task, Work, making::Places};
use crate::{
    catalog::{Catalog, WayBack, WayBackAsked},
    diagnostic::{Diagnostic, Place},
    ids::{ActionName, StepPath, TargetId},
};

/// How some machines of a restoring task are brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// The strategy, in the action's words; it stands in the place of `strategy: auto`.
    pub strategy: String,
    /// What is gone afterwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loses: Vec<String>,
    /// How long it usually takes, in words.
    pub usually: String,
    /// The machines.
    pub targets: Vec<TargetId>,
}

impl Plan {
    /// The ways back of all machines that a step restores, over all its waves.
    pub fn ways_of(&self, step: &StepPath) -> Vec<Way> {
        let mut all: Vec<Way> = Vec::new();
        let mut seen = BTreeSet::new();
        for way in self.tasks.iter().filter(|task| task.step == *step).flat_map(|task| &task.ways) {
            let fresh: Vec<_> = way.targets.iter().filter(|id| seen.insert(*id)).cloned().collect();
            if !fresh.is_empty() {
                add(&mut all, &way.strategy, &way.loses, &way.usually, fresh);
            }
        }
        all
    }
}

/// How many machines a diagnostic names.
const MOST_NAMES: usize = 3;

/// Decides for every restoring task.
///
/// # Errors
/// Every machine that cannot be brought back in the stated way, with the reason.
pub(super) fn decide(plan: &mut Plan, catalog: &dyn Catalog, places: &Places) -> Result<(), Refusal> {
    let backups: BTreeMap<StepPath, (ActionName, Inputs)> = plan
        .tasks
        .iter()
        .filter(|task| task.backs_up)
        .filter_map(|task| match &task.work {
            Work::Action(inputs) => Some((task.step.clone(), (task.action.clone(), inputs.clone()))),
            Work::Gate(_) => None,
        })
        .collect();
    let mut refused: BTreeMap<(Place, String), BTreeSet<TargetId>> = BTreeMap::new();
    let mut ways: Vec<Vec<Way>> = Vec::new();
    for task in plan.tasks.iter().chain(&plan.rollback) {
        let mut of_task = Vec::new();
        let asked = task.restores.as_ref().and_then(|from| backups.get(from)).filter(|_| task.skip.is_none());
        if let (Some((action, made_with)), Work::Action(inputs)) = (asked, &task.work) {
            for id in task.targets.iter().flatten() {
                let Some(target) = plan.targets.get(id) else { continue };
                let asked = WayBackAsked {
                    action: task.action.as_str(),
                    inputs: of_machine(inputs, id),
                    backup: action.as_str(),
                    backup_inputs: of_machine(made_with, id),
                    target,
                };
                match catalog.way_back(&asked) {
                    None => {}
                    Some(Ok(WayBack { strategy, loses, usually })) => {
                        add(&mut of_task, &strategy, &loses, &usually, vec![id.clone()]);
                    }
                    Some(Err(why)) => {
                        let place = places.get(&task.name).copied();
                        // What undoes a wave stands for the branch of that wave, which says the same.
                        if let Some(place) = place {
                            refused.entry((place, why)).or_default().insert(id.clone());
                        }
                    }
                }
            }
        }
        ways.push(of_task);
    }
    if !refused.is_empty() {
        let told = refused.into_iter().map(|((place, why), machines)| {
            let names: Vec<_> = machines
                .iter()
                .take(MOST_NAMES)
                .map(|id| plan.targets.get(id).map_or(id.as_str(), |target| target.name.as_str()))
                .collect();
            let more = machines.len() - names.len();
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let message = format!("{}{more} cannot be restored here: {why}", names.join(", "));
            Diagnostic::error("no-way-back", message, place).hint(
                "state another strategy, leave such machines out of the group (`minus`), or say `way_back: none` \
                 with `because`",
            )
        });
        return Err(Refusal::Invalid(told.collect()));
    }
    let mut ways = ways.into_iter();
    for task in plan.tasks.iter_mut().chain(&mut plan.rollback) {
        task.ways = ways.next().unwrap_or_default();
    }
    Ok(())
}

impl Task {
    /// The strategy that brings a machine back, by machine; empty where the action does not choose.
    pub fn strategies(&self) -> BTreeMap<&TargetId, &str> {
        let each = self.ways.iter().flat_map(|way| way.targets.iter().map(|id| (id, way.strategy.as_str())));
        each.collect()
    }
}

fn add(ways: &mut Vec<Way>, strategy: &str, loses: &[String], usually: &str, targets: Vec<TargetId>) {
    match ways.iter_mut().find(|way| way.strategy == strategy && way.loses == loses) {
        Some(way) => way.targets.extend(targets),
        None => ways.push(Way {
            strategy: strategy.to_owned(),
            loses: loses.to_vec(),
            usually: usually.to_owned(),
            targets,
        }),
    }
}

fn of_machine<'a>(inputs: &'a Inputs, id: &TargetId) -> &'a BTreeMap<String, Value> {
    inputs.per_target.get(id).unwrap_or(&inputs.shared)
}
