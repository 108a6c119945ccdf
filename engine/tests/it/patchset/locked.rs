//! What is locked and barred in one run, and who is given what of it.

use std::collections::BTreeSet;

use runbook_engine::{
    ids::TargetId,
    outcome::TargetOutcome,
    patchset::{Barred, Part, Tested, Version},
    run::event::{Event, RunEnd},
};
use serde_json::json;

use super::{DEBIAN, STAGES, bars, drive, end, exactly, found, given, locked, text, versions};
use crate::{
    drive::{Drive, Reply},
    planned::plan,
};

#[test]
fn what_dev_verified_is_locked_and_given_to_everybody_else() {
    let groups = [("dev", 2), ("staging", 1), ("production", 2)];
    let mut drive = drive(plan(&text(STAGES), &groups), |_| vec![("nginx", "2"), ("openssl", "3")], &[]);
    drive.finish();
    assert_eq!(end(&drive), RunEnd::Succeeded);
    let tested = locked(&drive);
    assert_eq!(tested.platforms[DEBIAN], versions(&[("nginx", "2"), ("openssl", "3")]));
    assert_eq!(tested.counts()[DEBIAN], 2);
    assert_eq!(drive.run.locked_patchset(), Some(&tested));
    let wanted = json!({ "platforms": { DEBIAN: { "nginx": "2", "openssl": "3" } }, "barred": {} });
    assert_eq!(*given(&drive, "staging/wave-1/patch", "staging-001"), wanted);
    assert_eq!(*given(&drive, "production/wave-2/patch", "production-002"), wanted);
    assert_eq!(*given(&drive, "dev/wave-2/patch", "dev-002"), json!({ "barred": {} }));
}

#[test]
fn it_is_locked_after_the_soak_and_without_what_the_soak_found_sick() {
    let groups = [("dev", 3), ("staging", 1), ("production", 1)];
    let finds =
        |id: &str| if id == "dev-001" { vec![("nginx", "2"), ("php", "8")] } else { vec![("nginx", "2")] };
    let mut drive = drive(plan(&text(STAGES), &groups), finds, &[("dev/wave-2/soak/healthy", "dev-001")]);
    drive.finish();
    assert_eq!(locked(&drive).platforms[DEBIAN], versions(&[("nginx", "2")]));
    let at = |wanted: &dyn Fn(&Event) -> bool| {
        drive.journal.iter().position(|(_, event)| wanted(event)).expect("the event")
    };
    let lock = at(&|event| matches!(event, Event::PatchsetLocked { .. }));
    assert!(
        at(
            &|event| matches!(event, Event::TaskSucceeded { task } if task.as_str() == "dev/wave-1/soak/healthy")
        ) < lock
    );
    assert!(
        lock < at(
            &|event| matches!(event, Event::TaskStarted { task, .. } if task.as_str() == "staging/wave-1/patch")
        )
    );
}

#[test]
fn a_package_that_broke_a_machine_is_not_installed_on_the_next_one() {
    let groups = [("dev", 2), ("staging", 1), ("production", 1)];
    let finds = |_: &str| vec![("nginx", "bad"), ("openssl", "3")];
    let mut drive = drive(plan(&text(STAGES), &groups), finds, &[("dev/wave-1/healthy", "dev-001")]);
    drive.finish();
    assert_eq!(drive.with_outcome(TargetOutcome::Restored), ["dev-001"]);
    let wanted = json!([
        { "name": "nginx", "version": "bad", "broke": "dev-001" },
        { "name": "openssl", "version": "3", "broke": "dev-001" },
    ]);
    assert_eq!(given(&drive, "dev/wave-2/patch", "dev-002")["barred"][DEBIAN], wanted);
    // It went on without them: nothing was tested, so nothing is installed.
    assert_eq!(locked(&drive), Tested::default());
    assert_eq!(given(&drive, "production/wave-1/patch", "production-001")["barred"][DEBIAN], wanted);
}

#[test]
fn one_bad_host_among_good_ones_bars_only_what_the_good_ones_do_not_have() {
    let stages = STAGES.replace("waves: [50%, 100%], ", "");
    let groups = [("dev", 4), ("staging", 1), ("production", 1)];
    let finds = |id: &str| {
        let mut packages = vec![("nginx", "2"), ("openssl", "3")];
        packages.extend((id == "dev-001").then_some(("postgresql", "15")));
        packages
    };
    let mut drive = drive(plan(&text(&stages), &groups), finds, &[("dev/wave-1/healthy", "dev-001")]);
    drive.finish();
    let barred = json!([{ "name": "postgresql", "version": "15", "broke": "dev-001" }]);
    assert_eq!(given(&drive, "staging/wave-1/patch", "staging-001")["barred"][DEBIAN], barred);
    assert_eq!(locked(&drive).platforms[DEBIAN], versions(&[("nginx", "2"), ("openssl", "3")]));
    assert!(drive.saw(|event| matches!(event, Event::PackagesCleared { packages } if packages.len() == 2)));
}

#[test]
fn as_many_sick_machines_as_well_ones_clear_nothing() {
    let stages = STAGES.replace("waves: [50%, 100%], ", "");
    let groups = [("dev", 2), ("staging", 1), ("production", 1)];
    let sick = &[("dev/wave-1/healthy", "dev-001")];
    let mut drive = drive(plan(&text(&stages), &groups), |_| vec![("nginx", "2")], sick);
    drive.finish();
    assert_eq!(locked(&drive), Tested::default(), "one verified it, one broke");
    assert_eq!(drive.run.barred_packages().len(), 1);
}

#[test]
fn what_breaks_staging_is_barred_in_production() {
    let groups = [("dev", 2), ("staging", 3), ("production", 1)];
    let sick = &[
        ("staging/wave-1/healthy", "staging-001"),
        ("staging/wave-1/healthy", "staging-002"),
        ("staging/wave-1/healthy", "staging-003"),
    ];
    let mut drive = drive(plan(&text(STAGES), &groups), |_| vec![("nginx", "2")], sick);
    drive.finish();
    assert_eq!(locked(&drive).platforms[DEBIAN], versions(&[("nginx", "2")]));
    let given = given(&drive, "production/wave-1/patch", "production-001");
    assert_eq!(given["platforms"][DEBIAN]["nginx"], "2");
    assert_eq!(given["barred"][DEBIAN][0]["broke"], "staging-001");
}

#[test]
fn what_dev_verified_clears_nothing_that_breaks_production() {
    let groups = [("dev", 10), ("staging", 1), ("production", 3)];
    let sick = &[("production/wave-1/healthy", "production-001")];
    let mut first = drive(plan(&text(STAGES), &groups), |_| vec![("nginx", "2")], sick);
    first.finish();
    let next = given(&first, "production/wave-2/patch", "production-002");
    assert!(bars(next, DEBIAN, "nginx", "2"), "its own step has nobody that is well with it");

    let stages = STAGES.replace("waves: [1, 100%]", "waves: [3, 100%]");
    let groups = [("dev", 1), ("staging", 1), ("production", 4)];
    let mut second = drive(plan(&text(&stages), &groups), |_| vec![("nginx", "2")], sick);
    second.finish();
    let next = given(&second, "production/wave-2/patch", "production-004");
    assert!(!bars(next, DEBIAN, "nginx", "2"), "two of production were well with it");
}

/// A second attempt of staging would begin in the very reading in which production is found to be sick.
#[test]
fn a_retry_waits_for_what_is_just_being_decided() {
    let groups = [("dev", 1), ("staging", 1), ("production", 1)];
    let text = text(SIDE_BY_SIDE)
        .replace("uses: linux/patch,", "uses: linux/patch, retry: { attempts: 2, delay: 60s },");
    let mut drive = Drive::new(plan(&text, &groups))
        .script(|task, _, attempt| match task.name.as_str() {
            "staging/wave-1/patch" if attempt == 1 => Reply::failed(60, "it is busy"),
            "production/wave-1/healthy" => Reply::failed(60, "it broke"),
            _ => Reply::ok(60),
        })
        .packages(|task, target, given| match (task.patchset, target.as_str()) {
            (Some(Part::Tests), _) => found(given, &[("nginx", "2")]),
            _ => exactly(DEBIAN, given),
        });
    drive.finish();
    let at = |wanted: &dyn Fn(&Event) -> bool| {
        drive.journal.iter().find(|(_, event)| wanted(event)).expect("the event").0
    };
    let broke = at(
        &|event| matches!(event, Event::TargetsFailed { task, .. } if task.as_str() == "production/wave-1/healthy"),
    );
    let again = at(
        &|event| matches!(event, Event::TaskStarted { task, attempt: 2, .. } if task.as_str() == "staging/wave-1/patch"),
    );
    assert_eq!(again, broke, "both were due at the same time");
    let key = ("staging/wave-1/patch".into(), 2, TargetId::new("staging-001"));
    assert!(bars(&drive.installed[&key].given, DEBIAN, "nginx", "2"));
}

#[test]
fn of_two_tested_versions_most_machines_decide_and_the_other_is_kept() {
    let groups = [("dev", 5), ("staging", 1), ("production", 1)];
    // The mirror moves between the waves: 3 machines have the old version, 2 the new one.
    let finds = |id: &str| vec![("nginx", if id <= "dev-003" { "2" } else { "3" })];
    let mut first = drive(plan(&text(STAGES), &groups), finds, &[]);
    first.finish();
    let tested = locked(&first);
    assert_eq!(tested.platforms[DEBIAN], versions(&[("nginx", "2")]));
    assert_eq!(tested.also[DEBIAN]["nginx"], BTreeSet::from(["3".to_owned()]));
    // As many of each: the one that was installed last.
    let mut second = drive(
        plan(&text(STAGES), &[("dev", 2), ("staging", 1), ("production", 1)]),
        |id| vec![("nginx", if id == "dev-001" { "3" } else { "2" })],
        &[],
    );
    second.finish();
    assert_eq!(locked(&second).platforms[DEBIAN], versions(&[("nginx", "2")]));
    assert!(locked(&second).holds(DEBIAN, "nginx", "3"));
}

#[test]
fn what_went_away_on_verified_machines_is_told() {
    let groups = [("dev", 1), ("staging", 1), ("production", 1)];
    let mut drive = Drive::new(plan(&text(STAGES), &groups)).packages(|task, _, given| match task.patchset {
        Some(Part::Tests) => json!({
            "platform": DEBIAN,
            "changed": [
                { "name": "mail-transport", "arch": "all", "from": "1", "to": null },
                { "name": "postfix", "arch": "amd64", "from": null, "to": "3.7" },
            ],
        }),
        _ => exactly(DEBIAN, given),
    });
    drive.finish();
    let tested = locked(&drive);
    assert_eq!(tested.platforms[DEBIAN], versions(&[("postfix", "3.7")]));
    assert_eq!(tested.removed[DEBIAN], BTreeSet::from(["mail-transport".to_owned()]));
}

const SIDE_BY_SIDE: &str = "  dev: { run: patch-and-verify, targets: dev }
  staging: { needs: [dev], run: patch-and-verify, targets: staging, rollout: { max_failures: 5 } }
  production: { needs: [dev], run: patch-and-verify, targets: production, rollout: { waves: [1, 100%] } }
";

#[test]
fn a_resumed_attempt_is_given_what_its_first_life_was_given() {
    let groups = [("dev", 1), ("staging", 2), ("production", 2)];
    let mut drive = Drive::new(plan(&text(SIDE_BY_SIDE), &groups))
        .script(|task, _, _| match task.name.as_str() {
            "production/wave-1/patch" => Reply::ok(1000),
            "staging/wave-1/healthy" => Reply::failed(60, "it broke"),
            _ => Reply::ok(60),
        })
        .packages(|task, _, given| match task.patchset {
            Some(Part::Tests) => found(given, &[("nginx", "2")]),
            _ => exactly(DEBIAN, given),
        });
    // Staging breaks while a machine of production is at it.
    drive.until(|drive| drive.saw(|event| matches!(event, Event::PackagesBarred { .. })));
    assert_eq!(drive.status("production/wave-1/patch"), "running");
    drive.crash(60);
    assert_eq!(
        *drive.run.patchset(&"production/wave-1/patch".into()).expect("a patchset"),
        json!({
            "platforms": { DEBIAN: { "nginx": "2" } }, "barred": {},
        })
    );
    drive.finish();
    assert!(bars(given(&drive, "production/wave-2/patch", "production-002"), DEBIAN, "nginx", "2"));
}

#[test]
fn what_was_decided_holds_whatever_the_rule_says_today() {
    let mut drive = drive(
        plan(&text(SIDE_BY_SIDE), &[("dev", 2), ("staging", 1), ("production", 1)]),
        |_| vec![("nginx", "2")],
        &[],
    );
    drive.until(|drive| drive.saw(|event| matches!(event, Event::PatchsetLocked { .. })));
    let package = Version { platform: DEBIAN.into(), name: "nginx".into(), version: "2".into() };
    let bar = Barred { package: package.clone(), broke: TargetId::new("dev-001") };
    // No machine failed with it; another version of this program said so.
    drive.record(Event::PackagesBarred { packages: vec![bar.clone()] });
    assert_eq!(drive.run.barred_packages(), std::slice::from_ref(&bar));
    let now = drive.now;
    assert!(drive.run.apply(now, &Event::PackagesBarred { packages: vec![bar] }).is_err(), "barred already");
    let again = Event::PatchsetLocked { from: "dev".into(), tested: Tested::default() };
    assert!(drive.run.apply(now, &again).is_err(), "locked already");
    drive.record(Event::PackagesCleared { packages: vec![package.clone()] });
    assert!(drive.run.apply(now, &Event::PackagesCleared { packages: vec![package] }).is_err(), "not barred");
    drive.finish();
}

#[test]
fn a_patchset_is_not_locked_before_its_step_is_over() {
    let mut drive = drive(
        plan(&text(STAGES), &[("dev", 2), ("staging", 1), ("production", 1)]),
        |_| vec![("nginx", "2")],
        &[],
    );
    drive.until(|drive| drive.status("dev/wave-1/healthy") == "succeeded");
    let now = drive.now;
    let lock = Event::PatchsetLocked { from: "dev".into(), tested: Tested::default() };
    assert!(drive.run.apply(now, &lock).is_err());
    drive.finish();
}

#[test]
fn what_nobody_checked_is_not_tested() {
    let groups = [("dev", 4), ("staging", 1), ("production", 1)];
    let finds = |id: &str| vec![("nginx", if id <= "dev-002" { "2" } else { "3" })];
    let mut drive = drive(plan(&text(STAGES), &groups), finds, &[]);
    drive.until(|drive| drive.status("dev/wave-2/patch") == "succeeded");
    drive.record(Event::CancelRequested { restore: false, by: "bob".into(), cause: None });
    drive.finish();
    assert_eq!(end(&drive), RunEnd::Cancelled);
    assert_eq!(locked(&drive).platforms[DEBIAN], versions(&[("nginx", "2")]));
    assert!(!locked(&drive).holds(DEBIAN, "nginx", "3"), "its machines were patched and never checked");
}

#[test]
fn a_cancel_that_restores_bars_nothing() {
    let groups = [("dev", 4), ("staging", 1), ("production", 1)];
    let sick = &[("dev/wave-1/healthy", "dev-001")];
    let stages = STAGES.replace("[50%, 100%]", "[3, 100%]");
    let mut drive = drive(plan(&text(&stages), &groups), |_| vec![("nginx", "2")], sick);
    drive.until(|drive| drive.status("staging/wave-1/patch") == "succeeded");
    assert_eq!(drive.run.barred_packages(), [], "three were well with it, one was not");
    drive.record(Event::CancelRequested { restore: true, by: "bob".into(), cause: None });
    drive.finish();
    assert_eq!(end(&drive), RunEnd::Cancelled);
    assert_eq!(drive.with_outcome(TargetOutcome::Restored).len(), 5);
    assert_eq!(drive.run.barred_packages(), [], "that people changed their mind is no evidence");
}

#[test]
fn a_machine_that_was_restored_along_with_others_tested_nothing_and_broke_nothing() {
    // Here the branch takes back every machine that was touched, once one of them is sick or not.
    let stages = STAGES.replace("waves: [50%, 100%], ", "");
    let text = text(&stages).replace("failed_in: [patch, healthy]", "touched_by: [patch]");
    let groups = [("dev", 4), ("staging", 1), ("production", 1)];
    let sick = &[("dev/wave-1/healthy", "dev-001")];
    let mut drive = drive(plan(&text, &groups), |_| vec![("nginx", "2")], sick);
    drive.finish();
    assert_eq!(drive.with_outcome(TargetOutcome::Restored).len(), 6);
    assert_eq!(locked(&drive), Tested::default(), "no machine runs it any more");
    assert_eq!(drive.run.barred_packages(), [], "three were well with it, one was not");
}
