//! How machines are cut into waves and parts.

use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use runbook_engine::{
    ids::TargetId,
    plan::{Plan, ScopeKind},
};

use super::fleet::{Given, fleet, machine, plan, try_plan};

fn runbook(rollout: &str) -> String {
    format!(
        "
runbook: waves
targets:
  web: {{ aws: {{ tags: {{ Role: web }} }} }}
steps:
  look: {{ uses: aws/compliance, targets: web, rollout: {{ {rollout} }} }}
"
    )
}

/// The numbers of the machines in each wave, or part.
fn waves(plan: &Plan) -> Vec<Vec<usize>> {
    let number = |id: &TargetId| id.as_str().rsplit('-').next().and_then(|text| text.parse().ok()).unwrap();
    let leaves = plan.scopes.iter().filter_map(|scope| match &scope.kind {
        ScopeKind::Wave { targets, .. } => {
            let parts = plan.scopes.iter().any(|part| part.parent.as_ref() == Some(&scope.name));
            (!parts).then_some(targets)
        }
        ScopeKind::Part { targets, .. } => Some(targets),
        _ => None,
    });
    leaves.map(|targets| targets.iter().map(number).collect()).collect()
}

fn cut(rollout: &str, machines: usize) -> Vec<Vec<usize>> {
    waves(&plan(&runbook(rollout), &[("web", machines)]))
}

fn sizes(rollout: &str, machines: usize) -> Vec<usize> {
    cut(rollout, machines).iter().map(Vec::len).collect()
}

#[test]
fn entries_are_cumulative_and_shares_are_rounded_up() {
    assert_eq!(sizes("waves: [1, 5%, 25%, 100%]", 120), [1, 5, 24, 90]);
    assert_eq!(sizes("waves: [50%, 100%]", 3), [2, 1]);
    assert_eq!(sizes("waves: [1, 3, 10]", 10), [1, 2, 7]);
}

#[test]
fn entries_are_capped_and_empty_waves_dropped() {
    assert_eq!(sizes("waves: [1, 5%, 25%, 100%]", 3), [1, 2]);
    assert_eq!(sizes("waves: [5, 10]", 3), [3]);
    assert_eq!(sizes("waves: [1, 100%]", 1), [1]);
}

#[test]
fn what_is_left_is_one_more_wave() {
    assert_eq!(sizes("waves: [1]", 10), [1, 9]);
    assert_eq!(sizes("waves: [10%, 20%]", 10), [1, 1, 8]);
    assert_eq!(sizes("soak: 1m", 10), [10]);
}

#[test]
fn machines_are_sorted_by_name_then_id() {
    let mut given = Given { fleet: fleet(&[("web", 4)]), ..Given::default() };
    let list = given.fleet.get_mut("web").unwrap();
    list.reverse();
    list[0].name = "a".into(); // 4
    list[1].name = "a".into(); // 3
    assert_eq!(waves(&try_plan(&runbook("waves: [2]"), given).unwrap()), [vec![3, 4], vec![1, 2]]);
}

#[test]
fn canaries_go_first_in_the_order_written() {
    assert_eq!(cut("waves: [2, 3], first: [web-05, web-3]", 5), [vec![5, 3], vec![1], vec![2, 4]]);
}

#[test]
fn an_unknown_canary_is_refused_but_not_when_the_limit_took_it_out() {
    let text = runbook("waves: [1], first: [web-9]");
    let given = || Given { fleet: fleet(&[("web", 3)]), ..Given::default() };
    let refusal = try_plan(&text, given()).unwrap_err();
    insta::assert_debug_snapshot!(refusal, @r#"
    Invalid(
        [
            Diagnostic {
                severity: Error,
                code: "unknown-machine",
                message: "no machine of this step is called `web-9`",
                place: Place {
                    source: 0,
                    line: 6,
                    column: 78,
                    width: 5,
                },
                hint: None,
            },
        ],
    )
    "#);
    assert!(try_plan(&text, Given { limit: vec!["web-1".into()], ..given() }).is_ok());
}

#[test]
fn spread_cuts_a_wave_by_the_value_of_a_tag() {
    // Zones: 1 b, 2 c, 3 a, 4 b, 5 c, 6 a.
    assert_eq!(cut("waves: [4], spread: zone", 6), [vec![3], vec![1, 4], vec![2], vec![6], vec![5]]);
}

#[test]
fn machines_without_the_tag_come_last() {
    let mut given = Given { fleet: fleet(&[("web", 3)]), ..Given::default() };
    given.fleet.get_mut("web").unwrap()[0].tags.clear();
    assert_eq!(waves(&try_plan(&runbook("spread: zone"), given).unwrap()), [vec![3], vec![2], vec![1]]);
}

#[test]
fn max_in_flight_cuts_waves_into_consecutive_parts() {
    assert_eq!(cut("waves: [1], max_in_flight: 2", 6), [vec![1], vec![2, 3], vec![4, 5], vec![6]]);
    // 30% of 7 is 2.1: at most two.
    assert_eq!(sizes("max_in_flight: 30%", 7), [2, 2, 2, 1]);
    assert_eq!(sizes("max_in_flight: 1%", 3), [1, 1, 1]);
}

#[test]
fn a_wave_that_fits_has_no_parts() {
    let names: Vec<_> = plan(&runbook("waves: [1], max_in_flight: 2"), &[("web", 4)])
        .tasks
        .iter()
        .map(|task| task.name.to_string())
        .collect();
    assert_eq!(names, ["look/wave-1", "look/wave-2/part-1", "look/wave-2/part-2"]);
}

#[test]
fn budgets_are_rounded_down() {
    let limit = |rollout: &str, machines: usize| {
        let plan = plan(&runbook(rollout), &[("web", machines)]);
        plan.scopes
            .iter()
            .find_map(|scope| match scope.kind {
                ScopeKind::Rollout { max_failures, .. } => Some(max_failures),
                _ => None,
            })
            .unwrap()
    };
    assert_eq!(limit("max_failures: 2%", 120), 2);
    assert_eq!(limit("max_failures: 2%", 49), 0);
    assert_eq!(limit("max_failures: 3", 2), 3);
    assert_eq!(limit("waves: [1]", 2), 0);
}

fn amounts() -> impl Strategy<Value = Vec<String>> {
    let counts = prop::collection::btree_set(0..60_u32, 0..6)
        .prop_map(|list| list.into_iter().map(|count| count.to_string()).collect());
    let shares = prop::collection::btree_set(0..=100_u32, 0..6)
        .prop_map(|list| list.into_iter().map(|share| format!("{share}%")).collect());
    prop_oneof![counts, shares]
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn waves_hold_each_machine_once(
        waves_wanted in amounts(),
        machines in 1..50_usize,
        spread in any::<bool>(),
        in_flight in prop::option::of(1..8_u32),
        first in prop::collection::btree_set(1..50_usize, 0..3),
    ) {
        let mut rollout = format!("waves: [{}]", waves_wanted.join(", "));
        if waves_wanted.is_empty() {
            rollout = "soak: 1m".into();
        }
        if spread {
            rollout.push_str(", spread: zone");
        }
        if let Some(limit) = in_flight {
            rollout.push_str(&format!(", max_in_flight: {limit}"));
        }
        let first: Vec<_> = first.into_iter().filter(|n| *n <= machines).map(|n| format!("web-{n}")).collect();
        if !first.is_empty() {
            rollout.push_str(&format!(", first: [{}]", first.join(", ")));
        }
        let plan = plan(&runbook(&rollout), &[("web", machines)]);
        let waves = waves(&plan);
        prop_assert!(waves.iter().all(|wave| !wave.is_empty()));
        if let Some(limit) = in_flight {
            prop_assert!(waves.iter().all(|wave| wave.len() <= limit as usize));
        }
        if spread {
            let zone = |n: &usize| machine("web", *n).tags["zone"].clone();
            prop_assert!(waves.iter().all(|wave| wave.iter().all(|n| zone(n) == zone(&wave[0]))));
        }
        let mut all = waves.concat();
        all.sort_unstable();
        prop_assert_eq!(all, (1..=machines).collect::<Vec<_>>());
    }
}
