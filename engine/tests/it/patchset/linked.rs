//! What a retry takes over, and plans without one.

use runbook_engine::{
    ids::{ScopeName, TargetId},
    patchset::{Barred, Carried, Version},
    plan::Plan,
    run::event::RunEnd,
};
use serde_json::json;

use super::{DEBIAN, STAGES, bars, drive, end, given, locked, text, versions};
use crate::planned::{plan, plan_with, refusal};

#[test]
fn a_limit_that_leaves_dev_out_is_refused_unless_an_earlier_run_tested() {
    let groups = [("dev", 1), ("staging", 1), ("production", 1)];
    let limit = || vec!["staging".to_owned(), "production".to_owned()];
    let problem = refusal(&text(STAGES), &groups, limit());
    assert!(
        problem.contains("`dev` is left out, so nothing is tested that `staging` may install"),
        "{problem}"
    );
    let mut carried = Carried::default();
    carried.tested.platforms.entry(DEBIAN.into()).or_default().insert("nginx".into(), "2".into());
    let package = Version { platform: DEBIAN.into(), name: "php".into(), version: "8".into() };
    carried.barred.push(Barred { package, broke: TargetId::new("production-001") });
    let plan = plan_with(&text(STAGES), &groups, limit(), Some(carried.clone()));
    let read = Plan::from_json(&plan.to_canonical_json()).expect("a plan");
    assert_eq!(read, plan, "what was tested is frozen with the plan");
    let mut drive = drive(plan, |_| Vec::new(), &[]);
    drive.finish();
    assert_eq!(end(&drive), RunEnd::Succeeded, "{:?}", drive.run.cause());
    assert_eq!(locked(&drive), carried.tested);
    let given = given(&drive, "production/wave-1/patch", "production-001");
    assert_eq!(given["platforms"][DEBIAN]["nginx"], "2");
    assert!(bars(given, DEBIAN, "php", "8"));
    let again = drive.run.carried_patchset().expect("a patchset");
    assert_eq!((again.tested, again.barred), (carried.tested, carried.barred));
}

#[test]
fn a_retry_may_test_again_what_was_barred() {
    let groups = [("dev", 1), ("staging", 1), ("production", 1)];
    let mut old =
        drive(plan(&text(STAGES), &groups), |_| vec![("nginx", "2")], &[("dev/wave-1/healthy", "dev-001")]);
    old.finish();
    let carried = old.run.carried_patchset().expect("a patchset");
    assert_eq!((carried.tested.counts().len(), carried.barred.len()), (0, 1));
    let mut retry =
        drive(plan_with(&text(STAGES), &groups, Vec::new(), Some(carried)), |_| vec![("nginx", "2")], &[]);
    retry.finish();
    assert_eq!(*given(&retry, "dev/wave-1/patch", "dev-001"), json!({ "barred": {} }));
    assert_eq!(locked(&retry).platforms[DEBIAN], versions(&[("nginx", "2")]));
    assert_eq!(given(&retry, "production/wave-1/patch", "production-001")["barred"], json!({}));
}

#[test]
fn one_more_machine_of_dev_does_not_clear_what_broke_production() {
    let groups = [("dev", 3), ("staging", 1), ("production", 3)];
    let mut old = drive(
        plan(&text(STAGES), &groups),
        |_| vec![("nginx", "2")],
        &[("dev/wave-2/backup", "dev-003"), ("production/wave-1/healthy", "production-001")],
    );
    old.finish();
    let carried = old.run.carried_patchset().expect("a patchset");
    assert_eq!(carried.barred[0].broke, TargetId::new("production-001"));
    let limit = ["dev-003", "production-001", "production-002"].map(str::to_owned).to_vec();
    let plan = plan_with(&text(STAGES), &groups, limit, Some(carried));
    assert_eq!(Plan::from_json(&plan.to_canonical_json()).expect("a plan"), plan);
    let mut retry = drive(plan, |_| vec![("nginx", "2")], &[]);
    retry.finish();
    assert_eq!(
        *given(&retry, "dev/wave-1/patch", "dev-003"),
        json!({ "barred": {} }),
        "it may test it again"
    );
    assert!(bars(given(&retry, "production/wave-1/patch", "production-001"), DEBIAN, "nginx", "2"));
    assert_eq!(retry.run.barred_packages()[0].broke, TargetId::new("production-001"));
    // A retry of the retry knows both.
    let again = retry.run.carried_patchset().expect("a patchset");
    let told: Vec<_> = again
        .evidence
        .iter()
        .map(|each| {
            let machines: Vec<_> = each.machines.iter().map(TargetId::as_str).collect();
            (each.step.as_ref().map(ScopeName::as_str).unwrap_or_default(), each.verified, machines.join(" "))
        })
        .collect();
    assert_eq!(
        told,
        [
            ("dev", true, "dev-001 dev-002 dev-003".to_owned()),
            ("production", false, "production-001".to_owned()),
            ("staging", true, "staging-001".to_owned()),
        ]
    );
}

#[test]
fn a_machine_that_is_tried_again_takes_the_place_of_its_own_failure_only() {
    let groups = [("dev", 4), ("staging", 1), ("production", 1)];
    let sick = &[("dev/wave-1/healthy", "dev-001"), ("dev/wave-1/healthy", "dev-002")];
    let mut old = drive(plan(&text(STAGES), &groups), |_| vec![("nginx", "2")], sick);
    old.finish();
    let carried = old.run.carried_patchset().expect("a patchset");
    assert_eq!(carried.evidence.len(), 1, "nobody else was given it");
    for (again, is_barred) in [(&["dev-001"][..], true), (&["dev-001", "dev-002"][..], false)] {
        let limit = again.iter().chain(&["staging-001", "production-001"]).map(|id| (*id).to_owned());
        let plan = plan_with(&text(STAGES), &groups, limit.collect(), Some(carried.clone()));
        let mut retry = drive(plan, |_| vec![("nginx", "2")], &[]);
        retry.finish();
        let given = given(&retry, "production/wave-1/patch", "production-001");
        assert_eq!(bars(given, DEBIAN, "nginx", "2"), is_barred, "{again:?}");
        assert_eq!(locked(&retry).holds(DEBIAN, "nginx", "2"), !is_barred, "{again:?}");
    }
}

#[test]
fn a_run_without_a_patchset_gives_none() {
    let text = text(STAGES).replace("patchset: { from: dev }\n", "");
    let plan = plan(&text, &[("dev", 1), ("staging", 1), ("production", 1)]);
    assert!(plan.tasks.iter().all(|task| task.patchset.is_none()) && plan.patchset.is_none());
    let mut drive = drive(plan, |_| Vec::new(), &[]);
    drive.finish();
    assert!(drive.installed.is_empty() && drive.run.carried_patchset().is_none());
}
