//! Ten situations that a night brings, each with its outcome.

use runbook_engine::{
    ids::{RunId, TargetId, TaskName},
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

const ONE_STAGE: &str = "  production: { run: patch-and-verify, targets: production }\n";

fn task(name: &str) -> TaskName {
    TaskName::new(name)
}

fn ended(drive: &Drive) -> (RunEnd, Option<String>) {
    drive.assert_saved_states_are_the_journal(1 + drive.journal.len() / 60);
    match drive.run.status() {
        Status::Ended(end) => (end, drive.run.cause()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_backup_fails_on_one_machine() {
    let stages =
        "  production: { run: patch-and-verify, targets: production, rollout: { max_failures: 1 } }\n";
    let mut drive =
        Drive::new(plan(&flagship(stages), &[("production", 4)])).script(|task, target, _| {
            match (task.action.as_str(), target.map(TargetId::as_str)) {
                ("aws/snapshot", Some("production-002")) => Reply::failed(30, "the snapshot ended in error"),
                _ => Reply::ok(60),
            }
        });
    drive.finish();
    assert_eq!(ended(&drive), (RunEnd::Succeeded, None), "one failure is inside the budget");
    assert_eq!(drive.with_outcome(TargetOutcome::Failed), ["production-002"]);
    assert!(
        !drive.entered("production/wave-1/patch").contains(&"production-002".into()),
        "no backup, no patch"
    );
    assert_eq!(
        drive.status("production/wave-1/restore"),
        "skipped",
        "nothing was changed on it, nothing is restored"
    );
    drive.assert_nothing_twice();
}

#[test]
fn the_budget_is_exceeded_in_mid_wave_with_280_machines_to_go() {
    let stages = "  production:
    run: patch-and-verify
    targets: production
    rollout: { waves: [20, 100%], max_failures: 2, max_in_flight: 20 }
";
    let mut drive = Drive::new(plan(&flagship(stages), &[("production", 320)])).script(|task, target, _| {
        let number: u32 =
            target.and_then(|id| id.as_str().rsplit('-').next()?.parse().ok()).unwrap_or_default();
        // The third part of wave 2 (machines 41 to 60) has three machines that the patch breaks.
        let broken = task.action.as_str() == "aws/patch" && (41..=43).contains(&number);
        if broken { Reply::failed(60 + u64::from(number), "no space left on /var") } else { Reply::ok(300) }
    });
    drive.finish();
    let (end, cause) = ended(&drive);
    assert_eq!(end, RunEnd::Restored, "{cause:?}");
    assert!(cause.expect("a cause").contains("over its budget"));
    assert_eq!(
        drive.with_outcome(TargetOutcome::Restored),
        ["production-041", "production-042", "production-043"]
    );
    let untouched = drive.with_outcome(TargetOutcome::NotStarted);
    assert_eq!(untouched.len(), 260, "everything behind the part in which it happened");
    // The others of that part had entered their change: they went on through the block and stay.
    assert_eq!(drive.with_outcome(TargetOutcome::Succeeded).len(), 57);
    assert_eq!(drive.status("production/wave-2/part-3/backup"), "skipped");
    drive.assert_nothing_twice();
}

#[test]
fn a_restore_fails_inside_the_budget() {
    let stages = "  production:
    run: patch-and-verify
    targets: production
    rollout: { waves: [4, 100%], max_failures: 50% }
";
    let mut drive =
        Drive::new(plan(&flagship(stages), &[("production", 8)])).script(|task, target, _| {
            match (task.name.as_str(), target.map(TargetId::as_str)) {
                ("production/wave-1/healthy", Some("production-001" | "production-003")) => {
                    Reply::failed(60, "answered 503")
                }
                ("production/wave-1/restore", Some("production-003")) => {
                    Reply::failed(60, "the volume could not be attached")
                }
                _ => Reply::ok(60),
            }
        });
    drive.finish();
    let (end, cause) = ended(&drive);
    assert_eq!(end, RunEnd::Stuck);
    assert!(cause.expect("a cause").contains("the volume could not be attached"));
    assert_eq!(drive.with_outcome(TargetOutcome::RestoreFailed), ["production-003"]);
    assert_eq!(
        drive.with_outcome(TargetOutcome::Restored),
        ["production-001"],
        "every verification still ended"
    );
    assert_eq!(drive.with_outcome(TargetOutcome::NotStarted).len(), 4, "no machine of wave 2 was changed");
}

#[test]
fn two_days_dead_with_300_commands_in_flight() {
    let mut drive = Drive::new(plan(&flagship(ONE_STAGE), &[("production", 300)])).script(|task, _, _| {
        if task.action.as_str() == "aws/patch" { Reply::ok(1800).remote() } else { Reply::ok(60) }
    });
    drive.until(|drive| drive.status("production/wave-1/patch") == "running");
    let entered = drive.entered("production/wave-1/patch");
    drive.crash(2 * 86_400).finish();
    assert_eq!(entered.len(), 300);
    assert_eq!(
        ended(&drive),
        (RunEnd::Succeeded, None),
        "the commands ended in time, though nobody was there"
    );
    assert_eq!(drive.with_outcome(TargetOutcome::Succeeded).len(), 300);
    drive.assert_nothing_twice();
}

#[test]
fn an_answer_comes_after_the_time_out() {
    let stages =
        "  production: { run: patch-and-verify, targets: production, rollout: { max_failures: 1 } }\n";
    let mut drive = Drive::new(plan(&flagship(stages), &[("production", 2)])).script(|task, target, _| {
        match (task.action.as_str(), target.map(TargetId::as_str)) {
            // It finished in time on the machine, and says so too late.
            ("aws/patch", Some("production-001")) => Reply {
                after: std::time::Duration::from_secs(2 * 3600 + 60),
                report: Report::succeeded().at("2026-11-20T10:00:00Z".parse().expect("a time")),
                remote: false,
            },
            // It finished, too late.
            ("aws/patch", Some("production-002")) => Reply::ok(2 * 3600 + 120).remote(),
            _ => Reply::ok(60),
        }
    });
    // The remote side cannot be cancelled: both answers stand.
    drive.keep_after_stop = true;
    drive.finish();
    assert!(drive.saw(|event| matches!(event, Event::AttemptTimedOut { .. })));
    assert_eq!(drive.with_outcome(TargetOutcome::Succeeded), ["production-001"]);
    assert_eq!(
        drive.with_outcome(TargetOutcome::Restored),
        ["production-002"],
        "a late success is a time-out"
    );
    assert_eq!(ended(&drive).0, RunEnd::Succeeded);
}

#[test]
fn the_window_closes_between_two_waves() {
    let stages = "  window:
    uses: gate/window
    with: { cron: \"0 22 * * SAT\", duration: 6h, timezone: Europe/Berlin, cutoff: 2h }
    timeout: 9d
  production:
    needs: [window]
    run: patch-and-verify
    targets: production
    rollout: { waves: [1, 2, 100%], soak: 3h, window: window }
";
    let mut drive = Drive::new(plan(&flagship(stages), &[("production", 6)]));
    drive.until(|drive| drive.status("production/wave-3/window") == "waiting");
    // Saturday 22:00 in Berlin is 21:00 UTC; wave 2 began before the cut-off at 01:00 UTC, wave 3 would not.
    assert_eq!(drive.run.waiting_on()[0].kind.as_str(), "window");
    assert_eq!(drive.with_outcome(TargetOutcome::Succeeded).len(), 2);
    drive.finish();
    assert_eq!(ended(&drive), (RunEnd::Succeeded, None));
    let wave_3 = drive.journal.iter().find_map(|(at, event)| match event {
        Event::WaveStarted { scope } if scope.as_str() == "production/wave-3" => Some(at.to_string()),
        _ => None,
    });
    assert_eq!(wave_3.as_deref(), Some("2026-11-28T21:00:00Z"), "the next Saturday");
}

#[test]
fn no_window_opens_in_time_for_the_next_wave() {
    let stages = "  window:
    uses: gate/window
    with: { cron: \"0 22 * * SAT\", duration: 6h, timezone: Europe/Berlin, cutoff: 2h }
    timeout: 2d
  production:
    needs: [window]
    run: patch-and-verify
    targets: production
    rollout: { waves: [1, 100%], soak: 5h, window: window }
";
    let mut drive = Drive::new(plan(&flagship(stages), &[("production", 6)]));
    drive.finish();
    let (end, cause) = ended(&drive);
    assert_eq!(end, RunEnd::Failed, "{cause:?}");
    assert_eq!(drive.with_outcome(TargetOutcome::Succeeded), ["production-001"]);
    assert_eq!(drive.with_outcome(TargetOutcome::NotStarted).len(), 5);
}

const THREE_STAGES: &str = "  dev: { run: patch-and-verify, targets: dev }
  staging:
    needs: [dev]
    run: patch-and-verify
    targets: staging
    rollout: { waves: [50%, 100%] }
  approve:
    needs: [staging]
    uses: gate/approval
    with: { approvers: [alice], expires: 24h, on_reject: rollback }
  production: { needs: [approve], run: patch-and-verify, targets: production }
";

#[test]
fn the_approval_is_rejected_after_staging() {
    let mut drive =
        Drive::new(plan(&flagship(THREE_STAGES), &[("dev", 2), ("staging", 4), ("production", 8)]));
    drive.until(|drive| drive.status("approve") == "waiting");
    drive.record(Event::ApprovalRejected {
        task: task("approve"),
        by: "alice".into(),
        note: Some("too many errors".into()),
    });
    drive.finish();
    let (end, cause) = ended(&drive);
    assert_eq!(end, RunEnd::Failed, "a gate refused");
    assert!(cause.expect("a cause").contains("too many errors"));
    assert_eq!(drive.with_outcome(TargetOutcome::Restored).len(), 6, "what was changed was restored");
    assert_eq!(drive.with_outcome(TargetOutcome::NotStarted).len(), 8);
    let order: Vec<_> = drive
        .journal
        .iter()
        .filter_map(|(_, event)| match event {
            Event::TaskStarted { task, .. } if task.as_str().ends_with("rollback/restore") => {
                Some(task.to_string())
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        order,
        ["staging/wave-2/rollback/restore", "staging/wave-1/rollback/restore", "dev/wave-1/rollback/restore"],
        "newest wave first"
    );
}

#[test]
fn a_soak_finds_a_machine_of_an_old_wave_sick() {
    let stages = "  production:
    run: patch-and-verify
    targets: production
    rollout: { waves: [2, 4, 100%], soak: 15m, max_failures: 1 }
";
    let mut drive =
        Drive::new(plan(&flagship(stages), &[("production", 6)])).script(|task, target, _| {
            match (task.name.as_str(), target.map(TargetId::as_str)) {
                ("production/wave-2/soak/healthy", Some("production-001")) => {
                    Reply::failed(60, "answered 503")
                }
                _ => Reply::ok(60),
            }
        });
    drive.finish();
    assert_eq!(ended(&drive), (RunEnd::Succeeded, None), "contained");
    assert_eq!(drive.with_outcome(TargetOutcome::Restored), ["production-001"]);
    assert_eq!(drive.entered("production/wave-2/soak/restore"), ["production-001"]);
    assert_eq!(drive.entered("production/wave-2/soak/restore/verify/healthy"), ["production-001"]);
    let backup =
        drive.run.backup_for(&task("production/wave-2/soak/restore"), &TargetId::new("production-001"));
    assert_eq!(
        backup.as_deref().and_then(|value| value["id"].as_str()),
        Some("production/wave-1/backup:production-001"),
        "its own wave's backup"
    );
    assert!(
        !drive.entered("production/wave-3/soak/healthy").contains(&"production-001".into()),
        "what is restored soaks no more"
    );
}

#[test]
fn a_pause_during_a_restore_stops_everything_but_the_restore() {
    let stages = "  production:
    run: patch-and-verify
    targets: production
    rollout: { waves: [2, 100%], max_failures: 1 }
";
    let mut drive =
        Drive::new(plan(&flagship(stages), &[("production", 4)])).script(|task, target, _| {
            match (task.name.as_str(), target.map(TargetId::as_str)) {
                ("production/wave-1/healthy", Some("production-001")) => Reply::failed(60, "answered 503"),
                _ => Reply::ok(60),
            }
        });
    drive.until(|drive| drive.status("production/wave-1/restore") == "running");
    drive.record(Event::RunPaused { by: "bob".into(), gate: None, cause: None });
    drive.until(|drive| drive.run.paused() && drive.run.quiet() && drive.next().is_none());
    assert_eq!(drive.run.status(), Status::Paused);
    assert_eq!(
        drive.with_outcome(TargetOutcome::Restored),
        ["production-001"],
        "the branch and its verification went on"
    );
    assert_eq!(drive.status("production/wave-2/backup"), "pending");
    drive.record(Event::RunUnpaused { by: "bob".into() });
    drive.finish();
    assert_eq!(ended(&drive), (RunEnd::Succeeded, None));
}

#[test]
fn a_rollback_the_next_morning_restores_what_was_changed() {
    let original = plan(&flagship(THREE_STAGES), &[("dev", 2), ("staging", 4), ("production", 3)]);
    let mut night = Drive::new(original.clone());
    night.until(|drive| drive.status("approve") == "waiting");
    night.record(Event::ApprovalGiven {
        task: task("approve"),
        by: "alice".into(),
        role: "alice".into(),
        note: None,
    });
    night.finish();
    assert_eq!(ended(&night), (RunEnd::Succeeded, None));
    let link = runbook_engine::plan::Link {
        run: RunId::new("7k2m"),
        kind: runbook_engine::plan::LinkKind::Rollback,
    };
    let undo =
        runbook_engine::plan::rollback_of(&original, &night.run.changed_targets(), night.run.backups(), link);
    let mut morning = Drive::new(undo);
    morning.finish();
    assert_eq!(ended(&morning), (RunEnd::Succeeded, None));
    assert_eq!(morning.with_outcome(TargetOutcome::Restored).len(), 9);
    let restored: u32 = morning
        .effects
        .iter()
        .filter(|((task, _, _), _)| task.as_str().ends_with("/restore"))
        .map(|(_, count)| *count)
        .sum();
    assert_eq!(restored, 9, "each machine once");
    let checked =
        morning.effects.keys().filter(|(task, _, _)| task.as_str().ends_with("verify/healthy")).count();
    assert_eq!(checked, 9, "restored is said only after the checks");
}

#[test]
fn a_machine_that_is_gone_before_its_wave_fails_and_counts() {
    let stages = "  production: { run: patch-and-verify, targets: production, rollout: { waves: [1, 100%], max_failures: 1 } }\n";
    let mut drive = Drive::new(plan(&flagship(stages), &[("production", 4)]))
        .gone("production-003", "it was terminated yesterday");
    drive.finish();
    assert_eq!(ended(&drive), (RunEnd::Succeeded, None), "one is inside the budget");
    assert_eq!(drive.with_outcome(TargetOutcome::Failed), ["production-003"]);
    assert_eq!(drive.entered("production/wave-2/backup"), ["production-002", "production-004"]);
    assert_eq!(drive.run.budget(&"production".into()), Some((1, 1)));
}

#[test]
fn unknown_machines_without_a_way_back_wait_for_a_person() {
    let text = "runbook: command
targets: { all: { aws: { tags: { A: b } } } }
steps:
  run: { uses: aws/command, targets: all, rollout: { max_failures: 1 }, way_back: none, because: it only reads }
";
    let lost = || {
        Drive::new(plan(text, &[("all", 3)])).script(|_, target, _| match target.map(TargetId::as_str) {
            Some("all-002") => {
                Reply::with(60, Report::failed(Outcome::Unknown, ErrorClass::Failed, "nobody knows"))
            }
            _ => Reply::ok(60),
        })
    };
    let found = |applied| {
        let mut drive = lost();
        drive.until(|drive| !drive.run.unknowns().is_empty());
        assert_eq!(drive.run.waiting_on()[0].kind.as_str(), "operator");
        let (task, target) = drive.run.unknowns()[0];
        let (task, target) = (task.clone(), target.cloned());
        drive.record(Event::TargetResolved { task, target, applied, by: "bob".into(), note: None });
        drive.finish();
        assert_eq!(ended(&drive), (RunEnd::Succeeded, None));
        drive
    };
    assert_eq!(found(true).with_outcome(TargetOutcome::Succeeded).len(), 3);
    let not_applied = found(false);
    assert_eq!(not_applied.with_outcome(TargetOutcome::Failed), ["all-002"], "it is unknown no more");
    let causes: Vec<_> = not_applied.run.targets().iter().filter_map(|view| view.cause.clone()).collect();
    assert_eq!(causes, ["run/wave-1 failed: bob found it not applied"]);

    let mut other = lost();
    other.finish();
    assert_eq!(ended(&other).0, RunEnd::Stuck, "nobody resolved it for 24 hours");
}

#[test]
fn what_changes_a_machine_behind_its_restore_is_not_made_good_by_it() {
    let text = "runbook: beside
targets: { all: { aws: { tags: { A: b } } } }
steps:
  stage: { run: change, targets: all, rollout: { max_failures: 1 } }
blocks:
  change:
    backup: { uses: aws/snapshot }
    patch: { needs: [backup], uses: aws/patch, on_failure: [restore] }
    healthy: { needs: [patch], uses: check/http, on_failure: [restore] }
    restore: { uses: aws/restore, with: { from: backup } }
    pause: { uses: gate/wait, with: { for: 30m } }
    tune: { needs: [backup, pause], uses: aws/command, with: { script: tune } }
";
    let night = |tuned: Outcome| {
        let mut drive = Drive::new(plan(text, &[("all", 2)])).script(move |task, target, _| {
            let sick = target.is_some_and(|id| id.as_str() == "all-002");
            match (task.action.as_str(), tuned) {
                ("aws/patch", _) if sick => Reply::failed(60, "it does not boot"),
                ("aws/command", Outcome::Unknown) if sick => {
                    Reply::with(60, Report::failed(Outcome::Unknown, ErrorClass::Failed, "nobody knows"))
                }
                _ => Reply::ok(60),
            }
        });
        drive.finish();
        drive
    };
    let unknown = night(Outcome::Unknown);
    assert_eq!(unknown.entered("stage/wave-1/tune"), ["all-001", "all-002"], "it stands beside the patch");
    assert_eq!(ended(&unknown).0, RunEnd::Stuck, "a person must look");
    let well = night(Outcome::Succeeded);
    assert_eq!(ended(&well).0, RunEnd::Succeeded, "one failure is inside the budget");
    let left = well.run.changed_targets();
    let left: Vec<_> = left.values().flatten().map(TargetId::as_str).collect();
    assert_eq!(left, ["all-001", "all-002"], "a rollback brings both back");
}
