//! Laws that every run must keep, checked over generated runbooks, fleets and faults.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, test_runner::TestCaseError};
use runbook_engine::{
    ids::{TargetId, TaskName},
    laws::Oracle,
    outcome::{ErrorClass, Outcome, TargetOutcome},
    plan::{Plan, Role, Task},
    run::{
        Run,
        event::{Event, Report, RunEnd},
    },
};

use crate::{
    drive::{Drive, Reply},
    planned::plan,
};

/// A block's shape.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Backup, patch, two checks, restore.
    Flagship,
    /// The restore has a second rung and is tried twice.
    Ladder,
    /// Three rungs, and a check that covers some machines only.
    Rungs,
    /// The last rung is a person.
    Manual,
    /// A script before, a composite inside with a rollout of its own.
    Nested,
    /// Another change beside the patch, that nothing restores, and a slower one behind a wait.
    Beside,
}

#[derive(Clone, Debug)]
struct Stage {
    machines: usize,
    waves: Vec<usize>,
    soak: bool,
    max_failures: usize,
    max_in_flight: usize,
    shape: Shape,
    gate: bool,
    /// It waits for nothing.
    parallel: bool,
    /// It has the machines of the stage before once more.
    again: bool,
}

#[derive(Clone, Debug)]
struct Case {
    stages: Vec<Stage>,
    /// Which of 1,000 machines fail at what: the seed of the faults.
    seed: u64,
    /// Faults in a thousand.
    faults: u64,
}

fn stage() -> impl Strategy<Value = Stage> {
    let shape = prop_oneof![
        3 => Just(Shape::Flagship),
        1 => Just(Shape::Ladder),
        1 => Just(Shape::Rungs),
        1 => Just(Shape::Manual),
        1 => Just(Shape::Nested),
        1 => Just(Shape::Beside)
    ];
    let waves = prop::collection::btree_set(1..5_usize, 0..3);
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    (1..6_usize, waves, 0..3_usize, 0..3_usize, shape, flags).prop_map(
        |(machines, waves, max_failures, max_in_flight, shape, (soak, gate, parallel, again))| Stage {
            machines,
            waves: waves.into_iter().collect(),
            soak,
            max_failures,
            max_in_flight,
            shape,
            gate,
            parallel,
            again,
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    (prop::collection::vec(stage(), 1..4), any::<u64>(), prop_oneof![Just(0_u64), Just(60), Just(250)])
        .prop_map(|(stages, seed, faults)| Case { stages, seed, faults })
}

impl Case {
    fn text(&self) -> String {
        let mut text = String::from("runbook: generated\ntargets:\n");
        for at in 0..self.stages.len() {
            text += &format!("  g{at}: {{ aws: {{ tags: {{ Stage: g{at} }} }} }}\n");
        }
        text += "blocks:\n  inner:\n    look: { uses: check/tcp }\n    again: { needs: [look], uses: check/http }\n";
        for (at, stage) in self.stages.iter().enumerate() {
            text += &block(at, stage.shape);
        }
        text += "steps:\n";
        let mut before = None;
        for (at, stage) in self.stages.iter().enumerate() {
            let again = stage.again && at > 0;
            if stage.parallel && !again {
                before = None;
            }
            let group = if again { at - 1 } else { at };
            if stage.gate {
                let needs = before.as_ref().map(|id| format!("    needs: [{id}]\n")).unwrap_or_default();
                text += &format!("  wait{at}:\n{needs}    uses: gate/wait\n    with: {{ for: 1h }}\n");
                before = Some(format!("wait{at}"));
            }
            let needs = before.map(|id| format!("    needs: [{id}]\n")).unwrap_or_default();
            text += &format!(
                "  s{at}:\n{needs}    run: b{at}\n    targets: g{group}\n    rollout:\n      max_failures: {}\n",
                stage.max_failures
            );
            if !stage.waves.is_empty() {
                let waves: Vec<_> = stage.waves.iter().map(ToString::to_string).collect();
                text += &format!("      waves: [{}]\n", waves.join(", "));
            }
            if stage.soak {
                text += "      soak: 10m\n";
            }
            if stage.max_in_flight > 0 {
                text += &format!("      max_in_flight: {}\n", stage.max_in_flight);
            }
            before = Some(format!("s{at}"));
        }
        text
    }

    fn plan(&self) -> Plan {
        let names: Vec<_> = (0..self.stages.len()).map(|at| format!("g{at}")).collect();
        let groups: Vec<_> =
            names.iter().zip(&self.stages).map(|(name, stage)| (name.as_str(), stage.machines)).collect();
        plan(&self.text(), &groups)
    }

    fn drive(&self) -> Drive {
        let (seed, faults) = (self.seed, self.faults);
        Drive::new(self.plan())
            .script(move |task, target, attempt| reply(seed, faults, task, target, attempt))
    }
}

fn block(at: usize, shape: Shape) -> String {
    let common = "    backup: { uses: aws/snapshot }
    patch: { needs: [backup], uses: aws/patch, retry: { attempts: 2, errors: [undeliverable] }, on_failure: [restore] }
    healthy: { needs: [patch], uses: check/http, on_failure: [restore] }
";
    let rest = match shape {
        Shape::Flagship => {
            "    compliant: { needs: [patch], uses: check/tcp, on_failure: [restore] }
    restore: { uses: aws/restore, targets: { failed_in: [patch, healthy, compliant] }, with: { from: backup } }
"
        }
        Shape::Ladder => {
            "    restore: { uses: aws/restore, with: { from: backup }, retry: { attempts: 2, delay: 1m }, on_failure: [again] }
    again: { uses: aws/restore, with: { from: backup } }
"
        }
        Shape::Rungs => {
            "    compliant: { needs: [patch], uses: check/tcp, when: target.name <= 'g1-002', on_failure: [restore] }
    restore: { uses: aws/restore, with: { from: backup }, on_failure: [again] }
    again: { uses: aws/restore, with: { from: backup }, on_failure: [last] }
    last: { uses: aws/restore, with: { from: backup } }
"
        }
        Shape::Manual => {
            "    restore: { uses: aws/restore, with: { from: backup }, on_failure: [by-hand] }
    by-hand: { uses: gate/manual, with: { instructions: re-image it }, timeout: 2h }
"
        }
        Shape::Nested => {
            "    restore: { uses: aws/restore, with: { from: backup } }
    inner: { needs: [healthy], run: inner, rollout: { waves: [1], max_failures: 1 } }
"
        }
        Shape::Beside => {
            "    restore: { uses: aws/restore, with: { from: backup } }
    tune: { needs: [backup], uses: aws/command, with: { script: tune } }
    settle: { uses: gate/wait, with: { for: 20m } }
    later: { needs: [backup, settle], uses: aws/command, with: { script: later } }
"
        }
    };
    format!("  b{at}:\n{common}{rest}")
}

/// Faults by task, machine and attempt: the same in every life of a run.
fn reply(seed: u64, faults: u64, task: &Task, target: Option<&TargetId>, attempt: u32) -> Reply {
    let mut hash = seed ^ 0xcbf2_9ce4_8422_2325;
    let name = format!("{}|{target:?}|{attempt}", task.name);
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    let after = 30 + hash % 200;
    if (hash >> 20) % 1000 >= faults {
        return Reply::ok(after).remote();
    }
    match (hash >> 40) % 6 {
        0 => {
            Reply::with(after, Report::failed(Outcome::Failed, ErrorClass::Undeliverable, "never delivered"))
        }
        1 => Reply::with(after, Report::failed(Outcome::Unreachable, ErrorClass::Failed, "went silent")),
        2 => Reply::ok(100_000),
        3 => Reply::with(after, Report::failed(Outcome::Unknown, ErrorClass::Failed, "the answer was lost")),
        _ => Reply::failed(after, "it broke"),
    }
}

/// The end of a run, and each machine's outcome with its cause.
type Summary = (Option<RunEnd>, BTreeMap<String, (TargetOutcome, Option<String>)>);

/// What a run came to, without its times.
fn summary(drive: &Drive) -> Summary {
    let end = drive.journal.iter().rev().find_map(|(_, event)| match event {
        Event::RunFinished { status } => Some(*status),
        _ => None,
    });
    let views = drive.run.targets();
    (end, views.into_iter().map(|view| (view.id.to_string(), (view.outcome, view.cause))).collect())
}

/// The machines that an entry begins to change, not to restore.
fn entered<'e>(plan: &Plan, event: &'e Event) -> &'e [TargetId] {
    let Event::TaskStarted { task, targets, .. } = event else { return &[] };
    let known = plan.tasks.iter().chain(&plan.rollback).find(|known| known.name == *task);
    let changes =
        |task: &Task| task.effect.may_change() && task.restores.is_none() && matches!(task.role, Role::Step);
    if known.is_some_and(changes) { targets } else { &[] }
}

fn check_laws(drive: &Drive, plan: &Plan) -> Result<(), TestCaseError> {
    let mut oracle = Oracle::new(plan);
    drive.journal.iter().for_each(|(at, event)| oracle.hear(*at, event));
    let views = drive.run.targets();
    let broken = oracle.verdict(views.iter().map(|view| (view.id, view.outcome)));
    prop_assert!(broken.is_empty(), "{broken:?}");
    prop_assert!(drive.run.commands(drive.now).is_empty(), "a finished journal yields nothing more to do");
    prop_assert!(drive.run.finished());
    for ((task, attempt, target), count) in &drive.effects {
        prop_assert_eq!(*count, 1, "attempt {} of {} on {:?}", attempt, task, target);
    }
    // Whoever is told to have succeeded or to be restored was changed, unless a person is needed.
    let changed: BTreeSet<&TargetId> =
        drive.journal.iter().flat_map(|(_, event)| entered(plan, event)).collect();
    let stuck = summary(drive).0 == Some(RunEnd::Stuck);
    for view in views.iter().filter(|_| !stuck) {
        let told = matches!(view.outcome, TargetOutcome::Succeeded | TargetOutcome::Restored);
        prop_assert!(
            !told || changed.contains(view.id),
            "{} is {}, and was not changed",
            view.id,
            view.outcome
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_run_keeps_the_laws(case in case()) {
        let plan = case.plan();
        let mut drive = case.drive();
        drive.finish();
        check_laws(&drive, &plan)?;
    }
}

/// What a person does in the middle of a run.
#[derive(Clone, Copy, Debug)]
enum Meddling {
    Pause,
    CancelAndRestore,
    CancelAndLeave,
    Exclude,
    /// What is unknown is looked at, as soon as the run asks: it was applied, or not.
    Resolve {
        applied: bool,
    },
}

fn meddle(drive: &mut Drive, what: Meddling) {
    let by = || "bob".to_owned();
    match what {
        Meddling::Pause => {
            drive.record(Event::RunPaused { by: by(), gate: None, cause: None });
            drive.until(|drive| drive.run.quiet() && drive.next().is_none());
            if !drive.run.finished() {
                drive.record(Event::RunUnpaused { by: by() });
            }
        }
        Meddling::CancelAndRestore | Meddling::CancelAndLeave => {
            let restore = matches!(what, Meddling::CancelAndRestore);
            drive.record(Event::CancelRequested { restore, by: by(), cause: None });
        }
        Meddling::Exclude => {
            let free = drive
                .run
                .targets()
                .iter()
                .map(|view| view.id.clone())
                .find(|id| drive.run.may_exclude(id).is_ok());
            if let Some(target) = free {
                drive.record(Event::TargetsExcluded { targets: vec![target], by: by(), because: None });
            }
        }
        Meddling::Resolve { applied } => {
            drive.until(|drive| !drive.run.unknowns().is_empty());
            let unknown: Vec<_> =
                drive.run.unknowns().into_iter().map(|(task, id)| (task.clone(), id.cloned())).collect();
            for (task, target) in unknown {
                drive.record(Event::TargetResolved { task, target, applied, by: by(), note: None });
            }
        }
    }
}

fn meddling() -> impl Strategy<Value = Meddling> {
    prop_oneof![
        Just(Meddling::Pause),
        Just(Meddling::CancelAndRestore),
        Just(Meddling::CancelAndLeave),
        Just(Meddling::Exclude),
        any::<bool>().prop_map(|applied| Meddling::Resolve { applied }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 400, ..ProptestConfig::default() })]

    /// Whatever a person does at whatever moment, the run ends and keeps the laws.
    #[test]
    fn a_person_may_step_in_at_any_moment(case in case(), what in meddling(), share in 1..100_usize) {
        let plan = case.plan();
        let mut whole = case.drive();
        whole.finish();
        let moment = 1 + whole.journal.len() * share / 100;
        let mut drive = case.drive();
        drive.until(|drive| drive.journal.len() >= moment);
        if drive.run.status().exit_code().is_none() && !drive.saw(|event| matches!(event, Event::OutcomeDecided { .. })) {
            meddle(&mut drive, what);
        }
        drive.finish();
        check_laws(&drive, &plan)?;
        if share % 5 == 0 {
            drive.assert_saved_states_are_the_journal(1 + drive.journal.len() / 20);
        }
        if drive.saw(|event| matches!(event, Event::CancelRequested { restore: true, .. })) && summary(&drive).0 == Some(RunEnd::Cancelled) {
            for view in drive.run.targets() {
                let wave = drive.run.changed_targets().values().any(|left| left.contains(view.id));
                prop_assert!(!wave, "{} is left changed after a cancel that restores", view.id);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]

    /// Killed before any append and resumed, a run ends the same and does nothing twice.
    #[test]
    fn a_run_killed_before_any_append_ends_the_same(case in case()) {
        let plan = case.plan();
        let mut whole = case.drive();
        whole.finish();
        let expected = summary(&whole);
        let step = 1 + whole.journal.len() / 60;
        for entry in (1..whole.journal.len()).step_by(step) {
            let mut drive = case.drive().dying_before(entry, 0);
            drive.finish();
            check_laws(&drive, &plan)?;
            let (end, targets) = summary(&drive);
            prop_assert_eq!(end, expected.0, "killed before entry {}", entry);
            prop_assert_eq!(targets.keys().collect::<Vec<_>>(), expected.1.keys().collect::<Vec<_>>());
            for (id, (outcome, cause)) in targets {
                let (then, why) = &expected.1[&id];
                prop_assert_eq!(outcome, *then, "{} when killed before entry {}", id, entry);
                // Where two checks fail on one machine, the one that counts is the one that failed first, and a life that
                // was cut short may hear of them in the other order.
                prop_assert_eq!(cause.is_some(), why.is_some(), "{} when killed before entry {}", id, entry);
                let other = cause.as_deref().filter(|_| cause != *why);
                if let Some(task) = other.and_then(|cause| cause.split(" failed: ").next()) {
                    let name = TaskName::from(task);
                    let view = drive.run.task(&name);
                    let failed = view.is_some_and(|view| {
                        view.targets().any(|(target, outcome, _)| {
                            target.as_str() == id && outcome != TargetOutcome::Succeeded
                        })
                    });
                    prop_assert!(failed, "{} names {}, which did not fail on it", id, task);
                }
            }
        }
    }

    /// Every prefix of a journal replays to a state whose indexes agree with a full scan.
    #[test]
    fn indexes_agree_with_a_full_scan(case in case()) {
        let plan = std::sync::Arc::new(case.plan());
        let mut drive = case.drive();
        drive.finish();
        let mut run = Run::new(plan).expect("a sound plan");
        for (at, event) in &drive.journal {
            run.apply(*at, event).expect("replays");
            prop_assert_eq!(run.disagreement(), None);
        }
    }

    /// A state that is saved and restored behind every entry goes on as the journal does.
    #[test]
    fn saved_states_are_what_the_journal_tells(case in case()) {
        let mut drive = case.drive();
        drive.finish();
        drive.assert_saved_states_are_the_journal(1);
    }
}
