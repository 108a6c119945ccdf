//! Laws of the patchset, over generated stages and faults.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, test_runner::TestCaseError};
use runbook_engine::{
    ids::TargetId,
    patchset::{Part, Tested, Version},
    plan::{Plan, Role, Task},
    run::{Run, event::Event},
};
use serde_json::Value;

use super::{DEBIAN, bars, exactly, outputs, text};
use crate::{
    drive::{Drive, Reply},
    planned::plan,
};

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
        let mut run = Run::new(std::sync::Arc::new(plan)).expect("a sound plan");
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
        whole.assert_saved_states_are_the_journal(1 + whole.journal.len() / 60);
        let step = 1 + whole.journal.len() / 60;
        for entry in (1..whole.journal.len()).step_by(step) {
            let mut drive = case.drive().dying_before(entry, 0);
            drive.finish();
            check_laws(&drive, &plan)?;
            prop_assert_eq!(&drive.installed, &whole.installed, "killed before entry {}", entry);
        }
    }
}
