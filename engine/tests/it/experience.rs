//! Experience: what journals tell, what plans say of it, and what windows make of it.

use runbook_engine::{
    duration::Span,
    experience::{Collector, Experience, Known},
    ids::TargetId,
    outcome::{ErrorClass, Outcome, TargetOutcome},
    plan::{Plan, Refusal, Task},
    run::event::{Event, Report},
};

use crate::{
    drive::{Drive, Reply},
    planned::{experienced, flagship, plan},
};

const ONE_STAGE: &str =
    "  production: { run: patch-and-verify, targets: production, rollout: { max_failures: 3 } }\n";

/// A stage in three waves, the last in three parts, behind a window of six hours.
const WINDOW: &str = "  window:
    uses: gate/window
    with: { cron: \"0 22 * * SAT\", duration: 6h, timezone: Europe/Berlin, cutoff: 1h }
    timeout: 9d
  production:
    needs: [window]
    run: patch-and-verify
    targets: production
    rollout: { waves: [1, 3, 100%], max_in_flight: 2, soak: 1h, window: window }
";

/// How long actions take on Linux, in seconds: median and p95.
fn known(lengths: &[(&str, u64, u64)]) -> Experience {
    let known = lengths.iter().map(|(action, median, p95)| Known {
        action: (*action).into(),
        platform: Some("linux".into()),
        median: Span::from_secs(*median),
        p95: Span::from_secs(*p95),
        times: 40,
        runs: 2,
    });
    known.collect()
}

/// Twenty minutes for what a wave does, forty at most; a restore takes as long.
fn usual() -> Experience {
    known(&[
        ("aws/snapshot", 300, 600),
        ("aws/patch", 600, 1_200),
        ("check/tcp", 60, 120),
        ("check/http", 300, 600),
        ("aws/restore", 1_200, 2_400),
    ])
}

fn production(stages: &str, machines: usize, experience: Experience) -> Plan {
    experienced(&flagship(stages), &[("production", machines)], experience)
        .unwrap_or_else(|refusal| panic!("{refusal:#?}"))
}

/// What a run's journal tells.
fn told(plan: &Plan, drive: &Drive) -> Vec<String> {
    let mut collector = Collector::default();
    let mut hearing = collector.journal(plan);
    drive.journal.iter().for_each(|(at, event)| hearing.hear(*at, event));
    shown(&collector.experience())
}

fn shown(experience: &Experience) -> Vec<String> {
    let line = |known: &Known| {
        let Known { action, platform, median, p95, times, runs } = known;
        format!("{action} {platform:?}: {median}, {p95}, {times} in {runs}")
    };
    experience.iter().map(line).collect()
}

#[test]
fn a_journal_tells_how_long_machines_took_and_restores_too() {
    let plan = plan(&flagship(ONE_STAGE), &[("production", 20)]);
    let mut drive = Drive::new(plan.clone()).script(|task, target, _| {
        let number: u64 = target.and_then(|id| id.as_str()[11..].parse().ok()).unwrap_or(0);
        match (task.action.as_str(), number) {
            ("aws/patch", _) => Reply::ok(60 * number),
            ("check/http", 7) if task.name.as_str() == "production/wave-1/healthy" => {
                Reply::failed(30, "503")
            }
            ("aws/restore", _) => Reply::ok(480),
            _ => Reply::ok(30),
        }
    });
    drive.finish();
    assert_eq!(drive.with_outcome(TargetOutcome::Restored), ["production-007"]);
    // The machine that failed a check tells nothing there, and tells of both checks after it was restored.
    assert_eq!(
        told(&plan, &drive),
        [
            "aws/patch Some(\"linux\"): 10m, 19m, 20 in 1",
            "aws/restore Some(\"linux\"): 8m, 8m, 1 in 1",
            "aws/snapshot Some(\"linux\"): 30s, 30s, 20 in 1",
            "check/http Some(\"linux\"): 30s, 30s, 20 in 1",
            "check/tcp Some(\"linux\"): 30s, 30s, 21 in 1",
        ]
    );
}

#[test]
fn another_attempt_is_part_of_it() {
    let plan = plan(&flagship(ONE_STAGE), &[("production", 1)]);
    let mut drive = Drive::new(plan.clone()).script(|task, _, attempt| match task.action.as_str() {
        "aws/patch" if attempt == 1 => {
            Reply::with(60, Report::failed(Outcome::Failed, ErrorClass::Throttled, "too many"))
        }
        _ => Reply::ok(60),
    });
    drive.finish();
    let again = drive.journal.iter().find_map(|(at, event)| match event {
        Event::RetryScheduled { at: due, .. } => Some(due.duration_since(*at).as_secs()),
        _ => None,
    });
    let whole = Span::from_secs(120 + again.expect("a second attempt").unsigned_abs());
    assert!(told(&plan, &drive).contains(&format!("aws/patch Some(\"linux\"): {whole}, {whole}, 1 in 1")));
}

#[test]
fn what_nobody_saw_does_not_count_unless_the_remote_side_said_when() {
    let lengths = |remote: bool| {
        let plan = plan(&flagship(ONE_STAGE), &[("production", 2)]);
        let mut drive = Drive::new(plan.clone()).script(move |task, _, _| match task.action.as_str() {
            "aws/patch" if remote => Reply::ok(300).remote(),
            "aws/patch" => Reply::ok(300),
            _ => Reply::ok(60),
        });
        drive.until(|drive| drive.status("production/wave-1/patch") == "running");
        drive.crash(5 * 3_600).finish();
        told(&plan, &drive).into_iter().find(|line| line.starts_with("aws/patch"))
    };
    assert_eq!(lengths(true).as_deref(), Some("aws/patch Some(\"linux\"): 5m, 5m, 2 in 1"));
    assert_eq!(lengths(false), None);
}

#[test]
fn journals_add_up_and_their_order_does_not_matter() {
    let plan = plan(&flagship(ONE_STAGE), &[("production", 4)]);
    let drives: Vec<Drive> = [60, 600]
        .into_iter()
        .map(|secs| {
            let mut drive = Drive::new(plan.clone()).script(move |_, _, _| Reply::ok(secs));
            drive.finish();
            drive
        })
        .collect();
    let heard = |order: &[usize]| {
        let mut collector = Collector::default();
        for at in order {
            let mut hearing = collector.journal(&plan);
            drives[*at].journal.iter().for_each(|(at, event)| hearing.hear(*at, event));
        }
        collector.experience()
    };
    assert_eq!(heard(&[0, 1]), heard(&[1, 0]));
    assert_eq!(shown(&heard(&[0, 1]))[0], "aws/patch Some(\"linux\"): 1m, 10m, 8 in 2");
}

#[test]
fn a_plan_freezes_what_it_uses_and_a_plan_without_any_is_as_it_ever_was() {
    let bare = plan(&flagship(ONE_STAGE), &[("production", 2)]);
    assert!(!bare.to_canonical_json().contains("experience"));
    let mut lengths: Vec<Known> = usual().iter().cloned().collect();
    lengths.extend(known(&[("aws/reboot", 60, 90)]).iter().cloned());
    lengths.push(Known { platform: Some("windows".into()), ..lengths[0].clone() });
    let with = production(ONE_STAGE, 2, lengths.into_iter().rev().collect());
    assert_eq!(with.experience, usual(), "neither what no step uses, nor other platforms");
    assert_ne!(with.digest(), bare.digest(), "what is approved is what is used");
    let text = with.to_canonical_json();
    let read = Plan::from_json(&text).expect("a plan");
    assert_eq!((read.digest(), &read), (with.digest(), &with));
    let stripped = Plan { experience: Experience::default(), ..with };
    assert_eq!(stripped.digest(), bare.digest());
}

#[test]
fn steps_wait_for_each_other_and_machines_do_not_but_parts_do() {
    let plan = production(WINDOW, 9, usual());
    let table = plan.timetable();
    let of = |scope: &str| {
        let estimate = table.of(&scope.into());
        format!("{}, {}", estimate.median.in_words(), estimate.p95.in_words())
    };
    // The two checks run side by side.
    assert_eq!(of("production/wave-1"), "20m, 40m");
    // Three machines are two parts of two at most, and five are three.
    assert_eq!(of("production/wave-2"), "20m, 40m");
    assert_eq!(of("production/wave-3"), "1h, 2h");
    // With a soak of an hour and its checks behind each wave.
    assert_eq!(table.whole().median, Span::from_mins(20 + 20 + 60 + 3 * 65));
    assert!(table.whole().unknown.is_empty());
}

#[test]
fn what_there_is_no_history_of_is_named_and_counts_as_nothing() {
    let plan = production(ONE_STAGE, 2, known(&[("aws/patch", 600, 1_200)]));
    let whole = plan.timetable().whole();
    assert_eq!((whole.median, whole.p95), (Span::from_mins(10), Span::from_mins(20)));
    let unknown: Vec<String> = whole.unknown.iter().map(|(action, _)| action.to_string()).collect();
    assert_eq!(unknown, ["aws/snapshot", "check/http", "check/tcp"]);
    let summary = plan.to_summary_json();
    let task = |name: &str| {
        let mut tasks = summary["tasks"].as_array().expect("tasks").iter();
        tasks.find(|task| task["task"] == name).expect(name)["expected"].clone()
    };
    assert_eq!(
        task("production/wave-1/patch"),
        serde_json::json!({ "median_s": 600, "p95_s": 1200, "times": 40, "runs": 2, "no_history": [] })
    );
    assert_eq!(task("production/wave-1/backup"), serde_json::Value::Null);
}

/// When each wave began, in UTC; the window is open from Saturday 21:00 to Sunday 03:00, and nothing starts after 02:00.
fn begun(drive: &Drive) -> Vec<String> {
    let waves = drive.journal.iter().filter_map(|(at, event)| match event {
        Event::WaveStarted { scope } => Some(format!("{scope} {at}")),
        _ => None,
    });
    waves.collect()
}

#[test]
fn a_wave_that_does_not_fit_any_more_waits_for_the_next_opening() {
    let with = |experience: Experience| {
        let mut drive = Drive::new(production(WINDOW, 9, experience)).script(slow);
        drive.finish();
        drive.assert_saved_states_are_the_journal(40);
        begun(&drive)
    };
    // Without experience only the cut-off counts: wave 3 begins at half past midnight, and is not over by 03:00.
    let without = with(Experience::default());
    assert_eq!(without[0], "production/wave-1 2026-11-21T21:00:00Z");
    let third = &without[2];
    assert!(third.starts_with("production/wave-3 2026-11-22T0"), "{third}");
    // Wave 3 needs 2h, and a restore 40m: it must begin before 00:20.
    let known = with(usual());
    assert_eq!(known[..2], without[..2]);
    assert_eq!(known[2], "production/wave-3 2026-11-28T21:00:00Z", "the next Saturday");
    // Where it needs less, it begins as before.
    assert_eq!(with(known_of_a_fast_fleet()), without);
}

/// A patch takes half an hour, everything else five minutes.
fn slow(task: &Task, _: Option<&TargetId>, _: u32) -> Reply {
    Reply::ok(if task.action.as_str() == "aws/patch" { 1_800 } else { 300 })
}

fn known_of_a_fast_fleet() -> Experience {
    known(&[("aws/patch", 60, 120), ("aws/restore", 60, 120)])
}

#[test]
fn a_run_that_waits_says_how_much_of_the_window_it_needs() {
    let mut drive = Drive::new(production(WINDOW, 9, usual())).script(slow);
    drive.until(|drive| {
        drive.status("production/wave-1/window") == "waiting" || drive.status("window") == "waiting"
    });
    assert_eq!(drive.run.waiting_on()[0].on, "the window `0 22 * * SAT` (Europe/Berlin)");
    drive.until(|drive| drive.status("production/wave-3/window") == "waiting");
    let on = &drive.run.waiting_on()[0].on;
    assert_eq!(on, "the window `0 22 * * SAT` (Europe/Berlin), with 2h 40m of it left");
}

#[test]
fn a_window_that_is_not_asked_again_counts_for_the_first_wave() {
    let once = WINDOW.replace(", window: window", "");
    let plan = production(&once, 9, usual());
    let rooms = plan.rooms();
    let room = &rooms["window"];
    assert_eq!((room.wave.as_str(), room.need()), ("production/wave-1", Span::from_mins(80)));
    assert_eq!(rooms.len(), 1);
}

#[test]
fn a_wave_that_fits_into_no_opening_is_no_plan() {
    let hours = known(&[("aws/patch", 3_600, 5_400), ("aws/restore", 3_600, 6_000)]);
    let refused = experienced(&flagship(WINDOW), &[("production", 9)], hours);
    let Err(Refusal::Invalid(problems)) = refused else { panic!("{refused:#?}") };
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(problems[0].code, "window-too-short");
    assert_eq!(
        problems[0].message,
        "`production/wave-3` fits into no opening of the window: in earlier runs 95 of 100 machines were through \
         its steps in 4h 30m and restored in 1h 40m, and the window is open for 6h"
    );
    let line = flagship(WINDOW).lines().position(|line| line == "  window:").expect("the gate") + 1;
    assert_eq!(problems[0].place.line, line);
    // Fewer machines are fewer parts, and fit.
    production(WINDOW, 4, known(&[("aws/patch", 3_600, 5_400), ("aws/restore", 3_600, 6_000)]));
}

/// A plan that somebody put together otherwise does not wait for ever.
#[test]
fn a_wave_that_never_fits_fails_its_window_with_the_reason() {
    let mut plan = production(WINDOW, 2, usual());
    plan.experience = known(&[("aws/patch", 30_000, 30_000)]);
    let mut drive = Drive::new(plan);
    drive.finish();
    let cause = drive.journal.iter().find_map(|(_, event)| match event {
        Event::TaskFailed { cause, .. } => Some(cause.clone()),
        _ => None,
    });
    assert_eq!(cause.as_deref(), Some("the wave needs 8h 20m of the window, which is open for 6h"));
    assert_eq!(drive.with_outcome(TargetOutcome::NotStarted).len(), 2);
}
