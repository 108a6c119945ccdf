//! Machines that are not there: one in each group, so that a runbook can be planned before anybody may ask AWS.

use std::collections::{BTreeMap, BTreeSet};

use runbook_engine::{
    document::model::{Runbook, Step, TargetSpec, What},
    ids::{GroupName, TargetId},
    target::{Ec2Facts, Home, Target, TargetQuery},
};

/// The most groups for which every combination of them has a machine of its own.
const MOST_COMBINED: usize = 6;

/// The runbook without what speaks of single machines: waves, canaries, conditions. Every step is planned, in one wave.
#[must_use]
pub fn simplified(mut runbook: Runbook) -> Runbook {
    let Runbook { blocks, steps, finally, .. } = &mut runbook;
    for step in steps.iter_mut().chain(finally).chain(blocks.iter_mut().flat_map(|block| &mut block.steps)) {
        simplify(step);
    }
    runbook
}

fn simplify(step: &mut Step) {
    step.rollout = None;
    step.when = None;
    if let What::File { runbook: Some(file), .. } = &mut step.what {
        **file = simplified((**file).clone());
    }
}

/// What inventories would answer. `texts` are the runbook's files: machines have every tag that these read.
pub fn machines(
    runbook: &Runbook,
    queries: &[(GroupName, TargetQuery)],
    texts: &[&str],
) -> BTreeMap<GroupName, Vec<Target>> {
    let combined = runbook.targets.iter().any(|group| matches!(group.spec, TargetSpec::Combined { .. }));
    let groups: Vec<&(GroupName, TargetQuery)> =
        queries.iter().filter(|(_, query)| matches!(query, TargetQuery::Aws { .. })).collect();
    let read: BTreeSet<String> = texts.iter().flat_map(|text| tags_read(text)).collect();
    let mut machines: BTreeMap<GroupName, Vec<Target>> = BTreeMap::new();
    for (number, members) in sets(groups.len(), combined).into_iter().enumerate() {
        // A machine is in one place.
        let places: BTreeSet<_> = members.iter().map(|member| place(&groups[*member].1)).collect();
        if places.len() > 1 {
            continue;
        }
        let id = TargetId::new(format!("i-{:017x}", number + 1));
        for member in members {
            let (group, query) = groups[member];
            machines.entry(group.clone()).or_default().extend(of_query(group, query, &id, &read));
        }
    }
    machines
}

/// Region and role.
fn place(query: &TargetQuery) -> (Option<&str>, Option<&str>) {
    match query {
        TargetQuery::Aws { region, role, .. } => (region.as_deref(), role.as_deref()),
        _ => (None, None),
    }
}

/// Which groups each stand-in is in.
fn sets(groups: usize, combined: bool) -> Vec<Vec<usize>> {
    let singles = (0..groups).map(|group| vec![group]);
    if !combined {
        return singles.collect();
    }
    if groups <= MOST_COMBINED {
        let all = 1_usize..(1 << groups);
        return all.map(|set| (0..groups).filter(|group| set & (1 << group) != 0).collect()).collect();
    }
    let without = (0..groups).map(|one| (0..groups).filter(|group| *group != one).collect());
    singles.chain(without).chain([(0..groups).collect()]).collect()
}

fn of_query(
    group: &GroupName,
    query: &TargetQuery,
    id: &TargetId,
    read: &BTreeSet<String>,
) -> Option<Target> {
    let TargetQuery::Aws { tags, region, role, external_id, .. } = query else { return None };
    let mut own: BTreeMap<String, String> = read.iter().map(|tag| (tag.clone(), "x".to_owned())).collect();
    own.extend(tags.iter().filter_map(|(tag, values)| Some((tag.clone(), values.first()?.clone()))));
    Some(Target {
        id: id.clone(),
        name: id.to_string(),
        group: group.clone(),
        private_ip: Some("10.0.0.1".to_owned()),
        tags: own,
        vars: BTreeMap::new(),
        environment: None,
        owner: None,
        platform: "linux".to_owned(),
        image: None,
        root_volume: None,
        ec2: Some(Ec2Facts { root_device_type: "ebs".to_owned(), volumes: 1, ..Ec2Facts::default() }),
        home: Home::Aws {
            account: None,
            region: region.clone(),
            role: role.clone(),
            external_id: external_id.clone(),
        },
    })
}

/// The tags that expressions of this text read: `target.tags.Name`, `target.tags["Patch Group"]`.
fn tags_read(text: &str) -> Vec<String> {
    let after = text.split("target.tags").skip(1);
    after
        .filter_map(|rest| match rest.chars().next()? {
            '.' => {
                let name: String =
                    rest[1..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                (!name.is_empty()).then_some(name)
            }
            '[' => {
                let rest = rest[1..].trim_start();
                let quote = rest.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
                rest[1..].split(quote).next().map(str::to_owned)
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{sets, tags_read};

    #[test]
    fn the_tags_that_expressions_read_are_found() {
        let text =
            r#"url: "{{ target.tags.Port }}/{{ target.tags["Patch Group"] }}{{ target.tags['a b'] | sh }}""#;
        assert_eq!(tags_read(text), ["Port", "Patch Group", "a b"]);
    }

    #[test]
    fn every_combination_of_groups_has_a_machine() {
        assert_eq!(sets(2, false), [vec![0], vec![1]]);
        assert_eq!(sets(2, true), [vec![0], vec![1], vec![0, 1]]);
        assert_eq!(sets(7, true).len(), 15);
    }
}
