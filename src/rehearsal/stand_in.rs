//! Who and what stands in where nobody wrote it down: a fleet for a runbook that has none, people for gates that nobody
//! in a fleet answers.

use std::collections::{BTreeMap, BTreeSet};

use runbook_engine::{
    document::model::Runbook,
    duration::Span,
    ids::GroupName,
    plan::{Gate, Plan, Work},
    target::{HostEntry, TargetQuery},
};
use runbook_steps::world::{FleetError, FleetFile, Person, Reply};
use serde_json::{Value, json};

/// Why there is no such fleet.
#[derive(Debug, thiserror::Error)]
pub enum NoStandIn {
    /// The machines of a group are chosen by their ids.
    #[error("group `{0}` names its machines by their ids, which no stand-in has")]
    Ids(GroupName),
    /// What was made of the runbook is no fleet.
    #[error(transparent)]
    Fleet(#[from] FleetError),
}

/// The fleet: `machines` of each group.
///
/// # Errors
/// A group chooses its machines by something that machines which are not there do not have.
pub fn fleet(
    runbook: &Runbook,
    queries: &[(GroupName, TargetQuery)],
    machines: u32,
) -> Result<FleetFile, NoStandIn> {
    let mut groups = Vec::new();
    let mut named = BTreeSet::new();
    for (group, query) in queries {
        match query {
            TargetQuery::Aws { ids, .. } if !ids.is_empty() => return Err(NoStandIn::Ids(group.clone())),
            TargetQuery::Aws { tags, resource_group, region, .. } => {
                let tags: BTreeMap<&String, &String> =
                    tags.iter().filter_map(|(tag, values)| Some((tag, values.first()?))).collect();
                let name = resource_group.clone().unwrap_or_else(|| group.to_string());
                if named.insert(name.clone()) {
                    groups.push(json!({
                        "name": name, "count": machines, "names": format!("{group}-{{n}}"), "tags": tags,
                        "region": region, "volumes": 2,
                    }));
                }
            }
            TargetQuery::Hosts { hosts } => {
                groups.extend(hosts.iter().filter(|(name, _)| named.insert((*name).clone())).map(host));
            }
            TargetQuery::HostInventory { group: pattern, .. } => {
                let name = pattern.clone().unwrap_or_else(|| group.to_string());
                if named.insert(name.clone()) {
                    groups.push(json!({
                        "name": name, "kind": "host", "count": machines, "names": format!("{group}-{{n}}"),
                    }));
                }
            }
        }
    }
    let fleet = json!({
        "fleet": format!("{}-stand-in", runbook.name.value),
        "description": format!("{machines} machines for each group of the runbook."),
        "groups": groups,
    });
    serde_json::from_value(fleet).map_err(|error| FleetError::Syntax(error.to_string()).into())
}

fn host((name, entry): (&String, &HostEntry)) -> Value {
    json!({ "name": name, "names": name, "kind": "host", "vars": entry.vars })
}

/// People who answer the gates of a plan that nobody in its fleet answers: as many as a quorum wants, each some minutes
/// after the one before.
pub fn people(plan: &Plan, fleet: &FleetFile) -> Vec<Person> {
    let mut people = Vec::new();
    for task in &plan.tasks {
        let (approvers, quorum, note) = match &task.work {
            Work::Gate(Gate::Approval { approvers, quorum, .. }) => (approvers.as_slice(), *quorum, None),
            Work::Gate(Gate::Manual { .. }) => (&[][..], 1, Some("done by hand".to_owned())),
            _ => continue,
        };
        let gate = task.name.to_string();
        if fleet.people.iter().any(|person| person.answers(&gate)) {
            continue;
        }
        for nth in 1..=quorum {
            let entry = approvers.get(nth as usize - 1).or(approvers.last());
            let group = entry.and_then(|entry| entry.strip_prefix("group:"));
            people.push(Person {
                name: match (entry, group) {
                    (Some(user), None) => user.clone(),
                    _ => format!("person-{nth}"),
                },
                groups: group.map(str::to_owned).into_iter().collect(),
                gate: Some(gate.clone()),
                after: Span::from_mins(10 * u64::from(nth)),
                answer: Reply::Approve,
                note: note.clone(),
            });
        }
    }
    people
}
