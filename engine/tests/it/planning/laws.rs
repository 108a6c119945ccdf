//! What holds for every plan, whatever the runbook.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use petgraph::algo::is_cyclic_directed;
use proptest::prelude::{ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, proptest};
use runbook_engine::plan::{Only, Plan, Refusal, Role, ScopeKind};

use super::fleet::{Given, fleet, try_plan};

/// One step, as numbers: what it uses, what it needs, where its failure leads, and its machines.
#[derive(Clone, Debug)]
struct Rough {
    what: u8,
    needs: Vec<u8>,
    on_failure: Vec<u8>,
    targets: u8,
    rollout: Option<(u8, bool, bool, u8)>,
}

fn rough() -> impl Strategy<Value = Rough> {
    (
        0..12_u8,
        prop::collection::btree_set(0..6_u8, 0..3).prop_map(Vec::from_iter),
        prop::collection::btree_set(3..6_u8, 0..3).prop_map(Vec::from_iter),
        0..5_u8,
        prop::option::of((1..4_u8, any::<bool>(), any::<bool>(), 0..3_u8)),
    )
        .prop_map(|(what, needs, on_failure, targets, rollout)| Rough {
            what,
            needs,
            on_failure,
            targets,
            rollout,
        })
}

fn steps(list: &[Rough], block: bool, text: &mut String) {
    let indent = if block { "    " } else { "  " };
    for (at, step) in list.iter().enumerate() {
        let what = match step.what {
            0 | 1 => "uses: aws/snapshot",
            2 | 3 => "uses: aws/patch, with: { operation: Install }",
            _ if at == 0 => "uses: aws/snapshot",
            4 => "uses: check/tcp, with: { host: '{{ target.private_ip }}' }",
            5 => "uses: check/tcp, with: { host: x }",
            6 => "uses: aws/restore, with: { from: s0 }",
            7 => "uses: local/command",
            8 => "uses: notify/webhook, with: { url: http://x }",
            9 if !block => "uses: gate/approval, with: { approvers: [ann], expires: 1h }",
            10 if block => "run: inner",
            _ if !block => "run: work",
            _ => "uses: aws/compliance, when: target.tags.zone == 'a'",
        };
        write!(text, "{indent}s{at}: {{ {what}").unwrap();
        let names = |list: &[usize]| list.iter().map(|n| format!("s{n}")).collect::<Vec<_>>().join(", ");
        // Edges lead back and failure forward, but now and then somewhere else.
        let astray = step.what == 11;
        let needs: BTreeSet<usize> = match at {
            0 => BTreeSet::new(),
            _ => step.needs.iter().map(|n| usize::from(*n) % if astray { list.len() } else { at }).collect(),
        };
        let needs: Vec<usize> = needs.into_iter().filter(|n| astray || !is_branch(list, *n)).collect();
        if !needs.is_empty() {
            write!(text, ", needs: [{}]", names(&needs)).unwrap();
        }
        let on_failure = on_failure(list, at);
        if !on_failure.is_empty() {
            write!(text, ", on_failure: [{}]", names(&on_failure)).unwrap();
        }
        match step.targets {
            _ if at == 0 && !block => text.push_str(", targets: web"),
            1 | 2 => text.push_str(", targets: web"),
            3 => text.push_str(", targets: db"),
            4 if block => text.push_str(", targets: { failed_in: [s0] }"),
            _ => {}
        }
        if let Some((waves, soak, spread, parts)) = step.rollout {
            write!(text, ", rollout: {{ waves: [{waves}]").unwrap();
            if soak {
                text.push_str(", soak: 5m");
            }
            if spread {
                text.push_str(", spread: zone");
            }
            if parts > 0 {
                write!(text, ", max_in_flight: {parts}").unwrap();
            }
            text.push_str(" }");
        }
        text.push_str(" }\n");
    }
}

/// Where the failure of a step leads: to steps behind it.
fn on_failure(list: &[Rough], at: usize) -> Vec<usize> {
    let behind = list.len() - at - 1;
    let names = list[at].on_failure.iter().filter(|_| behind > 0);
    let names: BTreeSet<usize> = names.map(|n| at + 1 + usize::from(*n) % behind.max(1)).collect();
    names.into_iter().collect()
}

fn is_branch(list: &[Rough], step: usize) -> bool {
    (0..step).any(|at| on_failure(list, at).contains(&step))
}

fn document(work: &[Rough], inner: &[Rough], root: &[Rough], finally: &[Rough]) -> String {
    let mut text = "runbook: rough\ntargets:\n  web: { aws: { tags: { Role: web } } }\n  \
                    db: { aws: { tags: { Role: db } } }\nblocks:\n  work:\n"
        .to_owned();
    steps(work, true, &mut text);
    text.push_str("  inner:\n");
    let inner: Vec<Rough> =
        inner.iter().map(|step| Rough { what: step.what.min(9), ..step.clone() }).collect();
    steps(&inner, true, &mut text);
    text.push_str("steps:\n");
    steps(root, false, &mut text);
    if !finally.is_empty() {
        text.push_str("finally:\n");
        steps(finally, false, &mut text);
    }
    text
}

/// The laws; a plan that breaks one is told by the message.
fn hold(plan: &Plan) -> Result<(), proptest::test_runner::TestCaseError> {
    prop_assert!(!is_cyclic_directed(&plan.graph()));
    prop_assert_eq!(&Plan::from_json(&plan.to_canonical_json()).unwrap(), plan);
    let scopes: BTreeMap<_, _> = plan.scopes.iter().map(|scope| (scope.name.as_str(), scope)).collect();
    let places: BTreeMap<_, _> =
        plan.tasks.iter().enumerate().map(|(place, task)| (task.name.as_str(), place)).collect();
    let inside = |scope: &str, other: &str| {
        std::iter::successors(Some(scope), |name| scopes[name].parent.as_ref().map(|parent| parent.as_str()))
            .any(|name| name == other)
    };
    for (place, task) in plan.tasks.iter().enumerate() {
        for need in &task.needs {
            if scopes.contains_key(need.as_str()) && !inside(task.scope.as_str(), need) {
                let behind = plan.tasks[place..].iter().find(|other| inside(other.scope.as_str(), need));
                prop_assert!(behind.is_none(), "{} needs {need}, which ends later", task.name);
            } else {
                prop_assert!(places[need.as_str()] < place, "{} stands before {need}", task.name);
            }
        }
        let mut sorted = task.targets.clone().unwrap_or_default();
        sorted.dedup();
        prop_assert_eq!(sorted.len(), task.targets.as_ref().map_or(0, Vec::len));
        match scopes[task.scope.as_str()].kind {
            ScopeKind::Wave { ref targets, .. } | ScopeKind::Part { ref targets, .. } => {
                let all: BTreeSet<_> = targets.iter().collect();
                let own = task.targets.iter().flatten().find(|id| !all.contains(id));
                prop_assert!(own.is_none(), "{} works on {own:?}, which is not in its wave", task.name);
            }
            _ => {}
        }
        match &task.role {
            Role::Branch { of } => prop_assert!(!of.is_empty(), "{} is named by nothing", task.name),
            Role::Verify { of } => prop_assert!(task.needs == [of.to_string()]),
            _ => prop_assert!(task.only.is_none()),
        }
        prop_assert!(!matches!(task.only, Some(Only::ChangedIn(_))));
        for branch in &task.on_failure {
            let Role::Branch { of } = &plan.tasks[places[branch.as_str()]].role else {
                return Err(proptest::test_runner::TestCaseError::fail(format!("{branch} is no branch")));
            };
            prop_assert!(of.contains(&task.name.to_string()), "{branch} does not know {}", task.name);
        }
    }
    for task in &plan.rollback {
        let ScopeKind::Rollback { undoes } = &scopes[task.scope.as_str()].kind else {
            return Err(proptest::test_runner::TestCaseError::fail(format!("{} undoes nothing", task.name)));
        };
        if let Some(Only::ChangedIn(names)) = &task.only {
            prop_assert!(names.iter().all(|name| plan.tasks[places[name.as_str()]].scope == *undoes));
            prop_assert!(task.restores.is_some());
        }
    }
    // Drawing never fails.
    prop_assert!(plan.to_svg().ends_with("</svg>\n"));
    prop_assert!(plan.to_dot().starts_with("digraph"));
    prop_assert!(plan.to_mermaid().starts_with("flowchart"));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_document_gives_a_lawful_plan_or_is_refused(
        work in prop::collection::vec(rough(), 1..7),
        inner in prop::collection::vec(rough(), 1..4),
        root in prop::collection::vec(rough(), 1..7),
        finally in prop::collection::vec(rough(), 0..3),
        limit in prop::option::of(1..4_u8),
    ) {
        let text = document(&work, &inner, &root, &finally);
        let limit = limit.map(|n| format!("web-{n}")).into_iter().collect();
        match try_plan(&text, Given { fleet: fleet(&[("web", 5), ("db", 2)]), limit, ..Given::default() }) {
            Ok(plan) => hold(&plan)?,
            Err(Refusal::Invalid(problems)) => prop_assert!(!problems.is_empty()),
            Err(Refusal::NoTargets { group }) => prop_assert!(false, "{group} has machines"),
        }
    }
}
