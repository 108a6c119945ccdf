//! What is frozen stays frozen: digest, saved plans, drift, linked rollbacks, the summary.

use std::collections::BTreeMap;

use runbook_engine::{
    ids::TargetId,
    plan::{Link, LinkKind, Plan, PlanError, rollback_of},
};
use serde_json::{Value, json};

use super::fleet::{EXAMPLE, Given, fleet, machine, plan, scopes, shown, try_plan};

const GROUPS: &[(&str, usize)] = &[("dev", 2), ("staging", 3), ("production", 4)];

fn example() -> Plan {
    plan(EXAMPLE, GROUPS)
}

#[test]
fn equal_plans_have_equal_digests() {
    let mut given = Given { fleet: fleet(GROUPS), ..Given::default() };
    given.fleet.values_mut().for_each(|list| list.reverse());
    let plan = example();
    assert_eq!(try_plan(EXAMPLE, given).unwrap().digest(), plan.digest());
    assert_eq!(plan.digest().len(), 64);
}

#[test]
fn whatever_differs_changes_the_digest() {
    let digest = example().digest();
    let differs = |given: Given, text: &str| assert_ne!(try_plan(text, given).unwrap().digest(), digest);
    let given = || Given { fleet: fleet(GROUPS), ..Given::default() };
    differs(
        Given { fleet: fleet(&[("dev", 2), ("staging", 3), ("production", 5)]), ..Given::default() },
        EXAMPLE,
    );
    let mut other = given();
    other.fleet.get_mut("dev").unwrap()[0].image = Some("ami-2".into());
    differs(other, EXAMPLE);
    differs(Given { params: BTreeMap::from([("reboot".into(), json!("NoReboot"))]), ..given() }, EXAMPLE);
    differs(given(), &EXAMPLE.replace("soak: 15m", "soak: 16m"));
    differs(given(), &format!("{EXAMPLE}# a comment\n"));
    differs(Given { limit: vec!["dev".into()], ..given() }, EXAMPLE);
}

#[test]
fn the_digest_is_that_of_the_saved_text() {
    use sha2::{Digest, Sha256};
    let plan = example();
    let text = plan.to_canonical_json();
    let hash: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, plan.digest());
    let read = Plan::from_json(&text).unwrap();
    assert_eq!(read, plan);
    // Written by somebody else, with other white space and another order, it is still the same plan.
    let value: Value = serde_json::from_str(&text).unwrap();
    let pretty = serde_json::to_string_pretty(&value).unwrap();
    assert_eq!(Plan::from_json(&pretty).unwrap().digest(), plan.digest());
}

#[test]
fn canonical_json_is_sorted_all_the_way_down() {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(map) => map
                .iter()
                .map(|(k, v)| (k.clone(), sorted(v)))
                .collect::<BTreeMap<_, _>>()
                .into_iter()
                .collect(),
            Value::Array(items) => items.iter().map(sorted).collect(),
            scalar => scalar.clone(),
        }
    }
    let text = example().to_canonical_json();
    let value = sorted(&serde_json::from_str(&text).unwrap());
    assert_eq!(serde_json::to_string(&value).unwrap(), text);
}

#[test]
fn a_plan_of_another_format_or_changed_by_hand_is_refused() {
    let text = example().to_canonical_json();
    let error = |text: &str| Plan::from_json(text).unwrap_err();
    assert_eq!(error(&text.replace("\"format\":1", "\"format\":2")), PlanError::Format { found: 2 });
    assert!(matches!(error("{}"), PlanError::Unreadable(_)));
    assert!(matches!(error("[1"), PlanError::Unreadable(_)));
    let message = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        error(&text.replacen(from, to, 1)).to_string()
    };
    insta::assert_snapshot!(message("\"needs\":[\"approve\"]", "\"needs\":[\"aprove\"]"), @"the plan contradicts itself: there is no task `aprove`");
    insta::assert_snapshot!(message("\"needs\":[\"approve\"]", "\"needs\":[\"production\"]"), @"the plan contradicts itself: tasks wait for each other");
    insta::assert_snapshot!(message("\"name\":\"window\"", "\"name\":\"approve\""), @"the plan contradicts itself: there are two tasks `approve`");
    insta::assert_snapshot!(message("\"parent\":\"dev\"", "\"parent\":\"nowhere\""), @"the plan contradicts itself: the part `dev/wave-1` stands in nothing");
    insta::assert_snapshot!(message("\"scope\":\"dev/wave-1\"", "\"scope\":\"dev/wave-2\""), @"the plan contradicts itself: there is no part `dev/wave-2`");
}

#[test]
fn a_changed_fleet_is_told() {
    let plan = example();
    assert_eq!(plan.drift(&fleet(GROUPS)), Vec::<String>::new());
    let mut now = fleet(&[("dev", 1), ("staging", 3), ("production", 5)]);
    let staging = now.get_mut("staging").unwrap();
    staging[0].image = Some("ami-2".into());
    staging[1].private_ip = None;
    staging[2].tags.insert("zone".into(), "z".into());
    insta::assert_snapshot!(plan.drift(&now).join("\n"), @"
    dev-2 is no longer in `dev`
    production-5 is new in `production`
    the image of staging-1 was ami-1 and is ami-2
    the address of staging-2 was 10.0.0.2 and is nothing
    the tag `zone` of staging-3 was a and is z
    ");
}

#[test]
fn what_the_limit_left_out_may_change() {
    let limited = |limit: &str| {
        try_plan(EXAMPLE, Given { fleet: fleet(GROUPS), limit: vec![limit.into()], ..Given::default() })
            .unwrap()
    };
    let now = fleet(&[("dev", 1), ("staging", 3), ("production", 5)]);
    assert_eq!(limited("staging").drift(&now), Vec::<String>::new());
    assert_eq!(limited("production-2").drift(&now), Vec::<String>::new());
    assert_eq!(limited("dev-2").drift(&now), ["dev-2 is no longer in `dev`"]);
    assert_eq!(limited("production").drift(&now), ["production-5 is new in `production`"]);
}

#[test]
fn the_summary_is_what_others_rely_on() {
    let plan = plan(EXAMPLE, &[("dev", 1), ("staging", 1), ("production", 1)]);
    let mut summary = plan.to_summary_json();
    assert_eq!(summary["sha256"], plan.digest());
    summary["sha256"] = "…".into();
    let keys: Vec<_> = summary.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["estimate", "params", "runbook", "sha256", "targets", "tasks"]);
    insta::assert_snapshot!(summary["tasks"].as_array().unwrap()[..3].iter().map(|task| format!("{task}\n")).collect::<String>(), @r#"
    {"action":"aws/snapshot","effect":"reads","needs":[],"on_failure":[],"targets":["dev-1"],"task":"dev/wave-1/backup","timeout_s":21600}
    {"action":"aws/patch","effect":"changes","needs":["dev/wave-1/backup"],"on_failure":["dev/wave-1/restore"],"targets":["dev-1"],"task":"dev/wave-1/patch","timeout_s":7200}
    {"action":"aws/compliance","effect":"reads","needs":["dev/wave-1/patch"],"on_failure":["dev/wave-1/restore"],"targets":["dev-1"],"task":"dev/wave-1/compliant","timeout_s":3600}
    "#);
    insta::assert_snapshot!(summary["targets"], @r#"{"dev":["dev-1"],"production":["production-1"],"staging":["staging-1"]}"#);
}

#[test]
fn a_linked_rollback_restores_what_is_left_newest_wave_first() {
    let old = example();
    let ids = |list: &[&str]| -> Vec<TargetId> { list.iter().map(|id| TargetId::from(*id)).collect() };
    let changed = BTreeMap::from([
        ("dev/wave-1".into(), ids(&["dev-2"])),
        ("production/wave-2".into(), ids(&["production-2", "production-3", "production-4"])),
        ("approve".into(), ids(&["dev-1"])),
    ]);
    let carried = BTreeMap::from([(
        "dev/backup".into(),
        BTreeMap::from([("dev-2".into(), json!({ "snapshot": "s" }))]),
    )]);
    let link = Link { run: "7k2m".into(), kind: LinkKind::Rollback };
    let plan = rollback_of(&old, &changed, carried, link);
    insta::assert_snapshot!(shown(&plan), @"
    production/wave-2/rollback/restore [production-2 production-3 production-4] branch of  changed_in 
    production/wave-2/rollback/restore/verify/healthy [production-2 production-3 production-4] needs production/wave-2/rollback/restore verifies production/wave-2/rollback/restore
    dev/wave-1/rollback/restore [dev-2] branch of  changed_in 
    dev/wave-1/rollback/restore/verify/healthy [dev-2] needs dev/wave-1/rollback/restore verifies dev/wave-1/rollback/restore
    ");
    insta::assert_snapshot!(scopes(&plan), @"
    `` in -: root
    `production/wave-2/rollback` in ``: undoes production/wave-2
    `dev/wave-1/rollback` in ``: undoes dev/wave-1 after production/wave-2/rollback
    ");
    assert_eq!(
        plan.targets.keys().map(ToString::to_string).collect::<Vec<_>>(),
        ["dev-2", "production-2", "production-3", "production-4"]
    );
    assert_eq!(Plan::from_json(&plan.to_canonical_json()).unwrap(), plan);
    assert_eq!(machine("dev", 2).id, plan.groups["dev"][0]);
}
