//! Plans of linked runs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Link, Only, Plan, Scope, ScopeKind, Selection};
use crate::ids::{GroupName, ScopeName, StepPath, TargetId};

/// The plan that undoes what a finished run changed: the restoring branch of each wave, and its verification, on these
/// machines, newest wave first. `changed` says by wave or part which machines are to be restored; `carried` where their
/// backups are.
///
/// Waves without a restoring branch are not in it: what they changed has no way back.
pub fn rollback_of(
    plan: &Plan,
    changed: &BTreeMap<ScopeName, Vec<TargetId>>,
    carried: BTreeMap<StepPath, BTreeMap<TargetId, Value>>,
    link: Link,
) -> Plan {
    let mut scopes: Vec<Scope> =
        plan.scopes.iter().filter(|scope| scope.kind == ScopeKind::Root).cloned().collect();
    let mut tasks = Vec::new();
    let mut machines: BTreeSet<TargetId> = BTreeSet::new();
    let mut before: Option<ScopeName> = None;
    for scope in &plan.scopes {
        let ScopeKind::Rollback { undoes } = &scope.kind else { continue };
        let wanted: BTreeSet<&TargetId> = changed.get(undoes).into_iter().flatten().collect();
        let first = tasks.len();
        for task in plan.rollback.iter().filter(|task| task.scope == scope.name) {
            let mut task = task.clone();
            if let Some(targets) = &mut task.targets {
                targets.retain(|id| wanted.contains(id));
                machines.extend(targets.iter().cloned());
            }
            task.ways.iter_mut().for_each(|way| way.targets.retain(|id| wanted.contains(id)));
            task.ways.retain(|way| !way.targets.is_empty());
            if let Some(Only::ChangedIn(names)) = &mut task.only {
                // They are tasks of the other run: every machine that is left was changed there.
                names.clear();
            }
            tasks.push(task);
        }
        if tasks[first..].iter().all(|task| task.targets.as_ref().is_none_or(Vec::is_empty)) {
            tasks.truncate(first);
            continue;
        }
        scopes.push(Scope { after: before.replace(scope.name.clone()), ..scope.clone() });
    }
    let groups: BTreeMap<GroupName, Vec<TargetId>> = plan
        .groups
        .iter()
        .map(|(name, ids)| {
            (name.clone(), ids.iter().filter(|id| machines.contains(*id)).cloned().collect::<Vec<_>>())
        })
        .filter(|(_, ids)| !ids.is_empty())
        .collect();
    let limit = machines.iter().map(ToString::to_string).collect();
    Plan {
        format: plan.format,
        runbook: plan.runbook.clone(),
        description: plan.description.clone(),
        sources: plan.sources.clone(),
        entry: plan.entry.clone(),
        params: plan.params.clone(),
        env: plan.env.clone(),
        experience: plan.experience.clone(),
        groups,
        selection: Selection { limit, ..plan.selection.clone() },
        targets: plan.targets.iter().filter(|(id, _)| machines.contains(*id)).map(pair).collect(),
        scopes,
        tasks,
        rollback: Vec::new(),
        notify: plan.notify.clone(),
        // What is restored is not patched.
        patchset: None,
        link: Some(link),
        carried,
    }
}

fn pair<K: Clone, V: Clone>((key, value): (&K, &V)) -> (K, V) {
    (key.clone(), value.clone())
}
