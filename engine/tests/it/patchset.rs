//! Same patches from dev to production: what is locked, what is barred, and what each machine is given.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, test_runner::TestCaseError};
use runbook_engine::{
    diagnostic::Diagnostic,
    document,
    ids::TargetId,
    loader::NoFiles,
    outcome::TargetOutcome,
    patchset::{Barred, Carried, Part, Tested, Version},
    plan::{Plan, Role, Task},
    run::{
        Status,
        event::{Event, RunEnd},
    },
};
use serde_json::{Value, json};

use crate::{
    catalog::TestCatalog,
    drive::{Drive, Reply},
    planned::{plan, plan_with, refusal},
};

const BLOCK: &str = "  patch-and-verify:
    backup: { uses: aws/snapshot }
    patch: { needs: [backup], uses: linux/patch, on_failure: [restore] }
    healthy: { needs: [patch], uses: check/http, on_failure: [restore] }
    restore: { uses: aws/restore, targets: { failed_in: [patch, healthy] }, with: { from: backup } }
";

const STAGES: &str = "  dev: { run: patch-and-verify, targets: dev, rollout: { waves: [50%, 100%], max_failures: 5, soak: 10m } }
  staging: { needs: [dev], run: patch-and-verify, targets: staging, rollout: { max_failures: 5 } }
  production: { needs: [staging], run: patch-and-verify, targets: production, rollout: { waves: [1, 100%], max_failures: 5 } }
";

fn text(stages: &str) -> String {
    let mut text = String::from("runbook: patch\npatchset: { from: dev }\ntargets:\n");
    for group in ["dev", "staging", "production", "other"] {
        if stages.contains(&format!("targets: {group}")) {
            text += &format!("  {group}: {{ aws: {{ tags: {{ Stage: {group} }} }} }}\n");
        }
    }
    format!("{text}blocks:\n{BLOCK}steps:\n{stages}")
}

/// The outputs of a machine that installed these.
fn outputs(platform: &str, packages: &[(&str, &str)]) -> Value {
    let changed: Vec<_> = packages
        .iter()
        .map(|(name, to)| json!({ "name": name, "arch": "amd64", "from": "1", "to": to }))
        .collect();
    json!({ "platform": platform, "changed": changed })
}

/// What a machine installs that takes a patchset: all of it but what is barred.
fn exactly(platform: &str, given: &Value) -> Value {
    let none = serde_json::Map::new();
    let wanted = given["platforms"][platform].as_object().unwrap_or(&none);
    let wanted = wanted.iter().map(|(name, version)| (name.as_str(), version.as_str().expect("a version")));
    let wanted: Vec<_> = wanted.filter(|(name, version)| !bars(given, platform, name, version)).collect();
    outputs(platform, &wanted)
}

fn bars(given: &Value, platform: &str, name: &str, version: &str) -> bool {
    let barred = given["barred"][platform].as_array().into_iter().flatten();
    barred.into_iter().any(|one| one["name"] == name && one["version"] == version)
}

/// What a machine that tests installs of these: all but what is barred.
fn found(given: &Value, packages: &[(&str, &str)]) -> Value {
    assert!(given.get("platforms").is_none(), "who tests is not told what to install: {given}");
    let left = packages.iter().filter(|(name, version)| !bars(given, DEBIAN, name, version));
    outputs(DEBIAN, &left.copied().collect::<Vec<_>>())
}

const DEBIAN: &str = "debian-12-amd64";

/// Dev machines find these packages; every other machine installs what it is given. These checks fail.
fn drive(
    plan: Plan,
    finds: impl Fn(&str) -> Vec<(&'static str, &'static str)> + 'static,
    sick: &'static [(&'static str, &'static str)],
) -> Drive {
    Drive::new(plan)
        .script(move |task, target, _| {
            let fails = sick.iter().any(|(name, id)| {
                task.name.as_str() == *name && target.is_some_and(|target| target.as_str() == *id)
            });
            if fails { Reply::failed(60, "it broke") } else { Reply::ok(60) }
        })
        .packages(move |task, target, given| match task.patchset {
            Some(Part::Tests) => found(given, &finds(target.as_str())),
            _ => exactly(DEBIAN, given),
        })
}

fn end(drive: &Drive) -> RunEnd {
    match drive.run.status() {
        Status::Ended(end) => end,
        other => panic!("{other:?}"),
    }
}

fn locked(drive: &Drive) -> Tested {
    let locked: Vec<_> = drive
        .journal
        .iter()
        .filter_map(|(_, event)| match event {
            Event::PatchsetLocked { from, tested } => {
                assert_eq!(from.as_str(), "dev");
                Some(tested.clone())
            }
            _ => None,
        })
        .collect();
    assert_eq!(locked.len(), 1, "a patchset is locked once");
    locked.into_iter().next().expect("one")
}

fn versions(packages: &[(&str, &str)]) -> BTreeMap<String, String> {
    packages.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned())).collect()
}

fn given<'d>(drive: &'d Drive, task: &str, target: &str) -> &'d Value {
    let found =
        drive.installed.iter().find(|((name, _, id), _)| name.as_str() == task && id.as_str() == target);
    &found.unwrap_or_else(|| panic!("{task} did not start on {target}")).1.given
}

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
    assert_eq!(drive.run.carried_patchset(), Some(carried));
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
fn a_run_without_a_patchset_gives_none() {
    let text = text(STAGES).replace("patchset: { from: dev }\n", "");
    let plan = plan(&text, &[("dev", 1), ("staging", 1), ("production", 1)]);
    assert!(plan.tasks.iter().all(|task| task.patchset.is_none()) && plan.patchset.is_none());
    let mut drive = drive(plan, |_| Vec::new(), &[]);
    drive.finish();
    assert!(drive.installed.is_empty() && drive.run.carried_patchset().is_none());
}

// ---- the document

/// What `check` says of stages, as `line:column code`, message and hint.
fn problems(text: &str) -> Vec<String> {
    let reading = document::read("patch.yaml", text.as_bytes(), &NoFiles).checked(&TestCatalog::default());
    let said = |problem: &Diagnostic| {
        let hint = problem.hint.as_deref().unwrap_or_default();
        format!(
            "{}:{} {}: {}; {hint}",
            problem.place.line, problem.place.column, problem.code, problem.message
        )
    };
    reading.diagnostics.iter().map(said).collect()
}

#[test]
fn both_forms_are_read() {
    assert_eq!(problems(&text(STAGES)), [""; 0]);
    let short = text(STAGES).replace("{ from: dev }", "dev");
    assert_eq!(problems(&short), [""; 0]);
    assert_eq!(
        plan(&short, &[("dev", 1), ("staging", 1), ("production", 1)])
            .patchset
            .map(|one| one.from.to_string()),
        Some("dev".into())
    );
}

#[test]
fn a_step_that_is_not_there() {
    let wrong = text(STAGES).replace("{ from: dev }", "{ from: dve }");
    assert_eq!(
        problems(&wrong),
        ["2:19 unknown-step: there is no step `dve` at the top level; did you mean `dev`?"]
    );
    let inside = text(STAGES).replace("{ from: dev }", "dev/patch");
    assert_eq!(
        problems(&inside),
        [
            "2:11 unknown-step: there is no step `dev/patch` at the top level; name the step that installs patches first"
        ]
    );
}

#[test]
fn a_step_that_installs_nothing() {
    let wrong = text(STAGES).replace(
        "  staging:",
        "  look: { uses: local/command, effect: reads, with: { script: 'true' } }\n  staging:",
    );
    let wrong = wrong.replace("{ from: dev }", "look");
    assert_eq!(
        problems(&wrong)[0],
        "2:11 patchset-from-nothing: nothing in `look` installs patches that a patchset could be made of; a patchset is made by `linux/patch`"
    );
}

#[test]
fn a_step_without_machines() {
    let stages = "  dev: { run: own-machines }
  staging: { needs: [dev], run: patch-and-verify, targets: staging }
";
    let block = "  own-machines:
    patch: { uses: linux/patch, targets: other, way_back: none, because: it is a test }
";
    let wrong = text(stages).replace("blocks:\n", &format!("blocks:\n{block}"));
    let wrong =
        wrong.replace("targets:\n  staging", "targets:\n  other: { aws: { tags: { A: b } } }\n  staging");
    assert_eq!(
        problems(&wrong),
        [
            "2:19 patchset-without-targets: `dev` has no targets, so there are no machines that test the patches; name a step with `targets`"
        ]
    );
}

#[test]
fn a_step_that_would_run_before_anything_is_tested() {
    let wrong = text(&STAGES.replace("needs: [dev], ", ""));
    let hint = "add `dev` to its `needs`";
    assert_eq!(
        problems(&wrong),
        [
            format!(
                "15:3 untested-patches: `staging` installs patches and does not wait until `dev` has tested them; {hint}"
            ),
            format!(
                "16:3 untested-patches: `production` installs patches and does not wait until `dev` has tested them; {hint}"
            ),
        ]
    );
    let skipped = text(&STAGES.replace("  staging: {", "  staging: { when: \"run.id == 'a'\", "));
    assert!(
        problems(&skipped).contains(&format!(
            "16:3 untested-patches: `production` waits for `dev` only through steps under `when:`; {hint}"
        )),
        "{:#?}",
        problems(&skipped)
    );
}

#[test]
fn nothing_after_it() {
    let alone = text("  dev: { run: patch-and-verify, targets: dev }\n");
    assert_eq!(
        problems(&alone),
        [
            "2:19 unused-patchset: no step but `dev` installs patches: nothing takes the patchset; take `patchset` out, or add the stages that come after it"
        ]
    );
}

// ---- laws

#[derive(Clone, Debug)]
struct Case {
    machines: [usize; 3],
    wave: usize,
    parts: usize,
    budget: usize,
    soak: bool,
    side_by_side: bool,
    seed: u64,
    /// Faults in a thousand.
    faults: u64,
}

fn case() -> impl Strategy<Value = Case> {
    let shape = (1..6_usize, 1..4_usize, 1..5_usize, 1..4_usize, 0..3_usize, 0..4_usize);
    let faults = prop_oneof![Just(60_u64), Just(200), Just(400)];
    (shape, any::<bool>(), any::<bool>(), any::<u64>(), faults).prop_map(
        |((dev, staging, production, wave, parts, budget), soak, side_by_side, seed, faults)| Case {
            machines: [dev, staging, production],
            wave,
            parts,
            budget,
            soak,
            side_by_side,
            seed,
            faults,
        },
    )
}

fn hash(seed: u64, text: &str) -> u64 {
    let mut hash = seed ^ 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash >> 7
}

fn platform(target: &TargetId) -> &'static str {
    if target.as_str().ends_with('2') { "rocky-9-x86_64" } else { DEBIAN }
}

impl Case {
    fn plan(&self) -> Plan {
        let mut rollout = format!("waves: [{}], max_failures: {}", self.wave, self.budget);
        if self.soak {
            rollout += ", soak: 10m";
        }
        if self.parts > 0 {
            rollout += &format!(", max_in_flight: {}", self.parts);
        }
        let before = if self.side_by_side { "dev" } else { "staging" };
        let stages: String = [
            ("dev", ""),
            ("staging", "needs: [dev], "),
            ("production", &format!("needs: [{before}], ")),
        ]
        .iter()
        .map(|(id, needs)| {
            format!("  {id}: {{ {needs}run: patch-and-verify, targets: {id}, rollout: {{ {rollout} }} }}\n")
        })
        .collect();
        let [dev, staging, production] = self.machines;
        plan(&text(&stages), &[("dev", dev), ("staging", staging), ("production", production)])
    }

    fn drive(&self) -> Drive {
        let (seed, faults) = (self.seed, self.faults);
        Drive::new(self.plan())
            .script(move |task, target, attempt| {
                let hash = hash(seed, &format!("{}|{target:?}|{attempt}", task.name));
                let after = 30 + hash % 200;
                if (hash >> 20) % 1000 < faults { Reply::failed(after, "it broke") } else { Reply::ok(after) }
            })
            .packages(move |task, target, given| match task.patchset {
                Some(Part::Tests) => finds(seed, task, target, given),
                _ => exactly(platform(target), given),
            })
    }
}

/// The mirror moves from wave to wave, and not every machine has every package.
fn finds(seed: u64, task: &Task, target: &TargetId, given: &Value) -> Value {
    let platform = platform(target);
    let packages = ["nginx", "openssl", "postgresql", "kernel"].into_iter().filter_map(|name| {
        let has = !hash(seed, &format!("{name}|{target}")).is_multiple_of(3);
        let version = if hash(seed, &format!("{name}|{}", task.scope)).is_multiple_of(2) { "2" } else { "3" };
        (has && !bars(given, platform, name, version)).then_some((name, version))
    });
    outputs(platform, &packages.collect::<Vec<_>>())
}

/// A version of a package on a platform.
type Key = (String, String, String);

fn keys(outputs: &Value) -> Vec<Key> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let changed = outputs["changed"].as_array().expect("a list").iter();
    changed.map(|one| (text(&outputs["platform"]), text(&one["name"]), text(&one["to"]))).collect()
}

fn check_laws(drive: &Drive, plan: &Plan) -> Result<(), TestCaseError> {
    let tasks: BTreeMap<_, _> =
        plan.tasks.iter().chain(&plan.rollback).map(|task| (&task.name, task)).collect();
    // What dev machines have, which of them failed, and what is barred: read from the journal alone.
    let mut had: BTreeMap<TargetId, Vec<Key>> = BTreeMap::new();
    let mut failed: BTreeSet<TargetId> = BTreeSet::new();
    let mut barred: BTreeSet<Key> = BTreeSet::new();
    let mut locked: Option<Tested> = None;
    let key = |version: &Version| (version.platform.clone(), version.name.clone(), version.version.clone());
    for (_, event) in &drive.journal {
        match event {
            Event::OutputsRecorded { task, outputs } if tasks[task].patchset == Some(Part::Tests) => {
                had.extend(outputs.iter().map(|(id, value)| (id.clone(), keys(value))));
            }
            Event::TargetsFailed { task, targets }
                if matches!(tasks[task].role, Role::Step | Role::SoakCheck) =>
            {
                failed.extend(targets.iter().cloned());
            }
            Event::PackagesBarred { packages } => {
                barred.extend(packages.iter().map(|one| key(&one.package)));
                for one in packages {
                    prop_assert!(failed.contains(&one.broke), "{} did not fail", one.broke);
                }
            }
            Event::PackagesCleared { packages } => {
                for version in packages {
                    prop_assert!(barred.remove(&key(version)), "{} was not barred", version.name);
                }
            }
            Event::PatchsetLocked { tested, .. } => {
                prop_assert!(locked.is_none());
                let verified: BTreeSet<Key> = had
                    .iter()
                    .filter(|(id, _)| !failed.contains(*id))
                    .flat_map(|(_, keys)| keys.iter().cloned())
                    .collect();
                for (platform, names) in &tested.platforms {
                    for (name, version) in names {
                        let key = (platform.clone(), name.clone(), version.clone());
                        prop_assert!(
                            verified.contains(&key),
                            "{key:?} was locked and no machine verified it"
                        );
                        prop_assert!(!barred.contains(&key), "{key:?} was locked and is barred");
                    }
                }
                locked = Some(tested.clone());
            }
            Event::TaskStarted { task, attempt, targets, .. } if tasks[task].patchset.is_some() => {
                let takes = tasks[task].patchset == Some(Part::Takes);
                prop_assert!(!takes || locked.is_some(), "{task} started before anything was locked");
                for target in targets {
                    let installed = &drive.installed[&(task.clone(), *attempt, target.clone())];
                    for key in keys(&installed.outputs) {
                        prop_assert!(
                            !barred.contains(&key),
                            "{task} installed {key:?} on {target}: it is barred"
                        );
                        if let Some(tested) = locked.as_ref().filter(|_| takes) {
                            prop_assert!(
                                tested.holds(&key.0, &key.1, &key.2),
                                "{task} installed {key:?} on {target}, and nobody had tested it"
                            );
                        }
                    }
                }
            }
            _ => {}
        }
    }
    prop_assert!(locked.is_some(), "every run locks what it tested");
    prop_assert!(drive.run.finished());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 400, ..ProptestConfig::default() })]

    /// No machine outside of dev is given a version that no verified machine had, nor one that is barred; and the
    /// counts that say so agree with a full scan after every event.
    #[test]
    fn nothing_untested_and_nothing_barred_is_installed(case in case()) {
        let plan = case.plan();
        let mut drive = case.drive();
        drive.finish();
        check_laws(&drive, &plan)?;
        let mut run = runbook_engine::run::Run::new(std::sync::Arc::new(plan)).expect("a sound plan");
        for (at, event) in &drive.journal {
            run.apply(*at, event).expect("replays");
            prop_assert_eq!(run.disagreement(), None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]

    /// Killed before any append and resumed, a run gives every machine the same packages.
    #[test]
    fn a_crash_changes_nothing_about_what_is_installed(case in case()) {
        let plan = case.plan();
        let mut whole = case.drive();
        whole.finish();
        let step = 1 + whole.journal.len() / 60;
        for entry in (1..whole.journal.len()).step_by(step) {
            let mut drive = case.drive().dying_before(entry, 0);
            drive.finish();
            check_laws(&drive, &plan)?;
            prop_assert_eq!(&drive.installed, &whole.installed, "killed before entry {}", entry);
        }
    }
}
