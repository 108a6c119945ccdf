//! Corners of the rules in which a machine could be forgotten, restored for nothing, or waited for without end.

use runbook_engine::{
    ids::TargetId,
    outcome::{ErrorClass, Outcome, TargetOutcome},
    run::{
        Status,
        event::{Event, Report, RunEnd},
    },
};

use crate::{
    drive::{Drive, Reply},
    planned::{flagship, plan},
};

fn end(drive: &Drive) -> RunEnd {
    match drive.run.status() {
        Status::Ended(end) => end,
        other => panic!("{other:?}"),
    }
}

fn broken(on: &'static [(&'static str, &'static str)]) -> impl Fn(&str, Option<&TargetId>) -> bool {
    move |task, target| {
        on.iter().any(|(name, id)| *name == task && target.is_some_and(|target| target.as_str() == *id))
    }
}

/// A run in which exactly these tasks fail on these machines.
fn failing(text: &str, groups: &[(&str, usize)], on: &'static [(&'static str, &'static str)]) -> Drive {
    let fails = broken(on);
    let mut drive = Drive::new(plan(text, groups)).script(move |task, target, _| {
        if fails(task.name.as_str(), target) { Reply::failed(60, "it broke") } else { Reply::ok(60) }
    });
    drive.finish();
    drive
}

const LADDER: &str = "runbook: ladder
targets: { all: { aws: { tags: { A: b } } } }
blocks:
  b:
    backup: { uses: aws/snapshot }
    patch: { needs: [backup], uses: aws/patch, on_failure: [r1] }
    healthy: { needs: [patch], uses: check/http, on_failure: [r1] }
    r1: { uses: aws/restore, with: { from: backup }, on_failure: [r2] }
    r2: { uses: aws/restore, with: { from: backup }, on_failure: [r3] }
    r3: { uses: aws/restore, with: { from: backup } }
steps:
  s: { run: b, targets: all, rollout: { waves: [1, 100%], max_failures: 1 } }
";

#[test]
fn the_third_rung_brings_a_machine_back_and_the_rollout_goes_on() {
    let on = &[("s/wave-1/patch", "all-001"), ("s/wave-1/r1", "all-001"), ("s/wave-1/r2", "all-001")];
    let drive = failing(LADDER, &[("all", 3)], on);
    assert_eq!(end(&drive), RunEnd::Succeeded, "{:?}", drive.run.cause());
    assert_eq!(drive.with_outcome(TargetOutcome::Restored), ["all-001"]);
    assert_eq!(drive.with_outcome(TargetOutcome::Succeeded).len(), 2);
}

#[test]
fn a_ladder_without_a_good_rung_is_stuck() {
    let on = &[
        ("s/wave-1/patch", "all-001"),
        ("s/wave-1/r1", "all-001"),
        ("s/wave-1/r2", "all-001"),
        ("s/wave-1/r3", "all-001"),
    ];
    let drive = failing(LADDER, &[("all", 3)], on);
    assert_eq!(end(&drive), RunEnd::Stuck);
    assert_eq!(drive.with_outcome(TargetOutcome::RestoreFailed), ["all-001"]);
    assert_eq!(drive.with_outcome(TargetOutcome::NotStarted).len(), 2);
}

#[test]
fn a_restore_without_a_check_left_still_has_a_verdict() {
    let text = "runbook: nocheck
params: { check: { type: boolean, default: false } }
targets: { all: { aws: { tags: { A: b } } } }
blocks:
  b:
    backup: { uses: aws/snapshot }
    patch: { needs: [backup], uses: aws/patch, on_failure: [restore] }
    healthy: { needs: [patch], uses: check/http, when: params.check, on_failure: [restore] }
    restore: { uses: aws/restore, targets: { failed_in: [patch] }, with: { from: backup } }
steps:
  s: { run: b, targets: all, rollout: { waves: [1, 100%], max_failures: 1 } }
";
    let on = &[("s/wave-1/patch", "all-001"), ("s/wave-1/restore", "all-001")];
    let drive = failing(text, &[("all", 2)], on);
    assert_eq!(end(&drive), RunEnd::Stuck, "a failed restore is never forgotten");
}

#[test]
fn a_wave_whose_first_step_is_left_out_at_run_time_does_not_hang() {
    let text = "runbook: when
targets: { all: { aws: { tags: { A: b } } } }
steps:
  probe: { uses: local/command, effect: reads, with: { script: 'true' } }
  fix:
    needs: [probe]
    uses: aws/command
    targets: all
    effect: reads
    when: steps.probe.status == 'failed'
  after: { needs: [fix], uses: local/command, effect: reads, with: { script: 'true' } }
";
    let drive = failing(text, &[("all", 2)], &[]);
    assert_eq!(end(&drive), RunEnd::Succeeded);
    assert_eq!(drive.status("fix/wave-1"), "skipped");
    assert_eq!(drive.status("after"), "succeeded", "what `when:` leaves out satisfies");
}

#[test]
fn a_changed_machine_that_a_later_step_does_not_reach_is_restored() {
    let stages =
        "  production: { run: patch-and-verify, targets: production, rollout: { max_failures: 1 } }\n";
    let mut drive =
        Drive::new(plan(&flagship(stages), &[("production", 2)])).script(|task, target, _| {
            match (task.name.as_str(), target.map(TargetId::as_str)) {
                ("production/wave-1/healthy", Some("production-001")) => Reply::with(
                    60,
                    Report::failed(Outcome::Failed, ErrorClass::Undeliverable, "never delivered"),
                ),
                _ => Reply::ok(60),
            }
        });
    drive.finish();
    assert_eq!(drive.with_outcome(TargetOutcome::Restored), ["production-001"]);
}

const COMPOSITE_BRANCH: &str = "runbook: composite
targets: { all: { aws: { tags: { A: b } } } }
blocks:
  b:
    backup: { uses: aws/snapshot }
    patch: { needs: [backup], uses: aws/patch, way_back: none, because: the branch of the composite restores }
    healthy: { needs: [patch], uses: check/http }
steps:
  s: { run: b, targets: all, on_failure: [kick] }
  kick: { uses: aws/command, effect: reads, targets: { failed_in: [s] } }
";

#[test]
fn a_composites_branch_takes_the_machines_that_failed_and_its_failure_needs_a_person() {
    let drive = failing(COMPOSITE_BRANCH, &[("all", 3)], &[("s/wave-1/patch", "all-002")]);
    assert_eq!(end(&drive), RunEnd::Failed);
    let kicks: Vec<_> = drive
        .journal
        .iter()
        .filter_map(|(_, event)| match event {
            Event::TaskStarted { task, targets, .. } if task.as_str().starts_with("kick") => {
                Some(targets.clone())
            }
            _ => None,
        })
        .collect();
    assert_eq!(kicks, [vec![TargetId::new("all-002")]]);
    let name: &'static str = Box::leak(
        drive
            .run
            .tasks()
            .map(|view| view.task.name.to_string())
            .find(|name| name.starts_with("kick"))
            .expect("a task")
            .into_boxed_str(),
    );
    let both: &'static [(&str, &str)] =
        Box::leak(Box::new([("s/wave-1/patch", "all-002"), (name, "all-002")]));
    let drive = failing(COMPOSITE_BRANCH, &[("all", 3)], both);
    assert_eq!(end(&drive), RunEnd::Stuck, "a branch step failed on a machine");
}

#[test]
fn an_approval_after_the_expiry_is_refused() {
    let text = "runbook: late
steps:
  approve: { uses: gate/approval, with: { approvers: [alice], expires: 1h } }
";
    let mut drive = Drive::new(plan(text, &[]));
    drive.until(|drive| drive.status("approve") == "waiting");
    drive.now = crate::drive::plus(drive.now, 7200);
    let event =
        Event::ApprovalGiven { task: "approve".into(), by: "alice".into(), role: "alice".into(), note: None };
    assert!(drive.run.apply(drive.now, &event).is_err());
    drive.finish();
    assert_eq!(end(&drive), RunEnd::Failed);
}
