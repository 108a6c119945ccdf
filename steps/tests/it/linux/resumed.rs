//! Attempts that are taken up late, or told to stop, while a connection fails now and then.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use runbook_engine::outcome::{ErrorClass, Outcome};
use runbook_steps::{
    action::{Action, Failure},
    actions::linux::{backup::Backup, patch::Patch, reboot::Reboot, script::Script, service::Service},
    context::StopReason,
    ports::{
        fault::{Fault, FaultKind},
        linux::{Deed, Ended, Progress, Verdict},
    },
    world::World,
};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    attempt,
    between::{Between, fault},
    jobs,
    patch_broken_off::half_done,
    reports, run, world, world_of,
};
use crate::contract::attempt::{Attempt, Life};

fn install(reboot: &str) -> Value {
    json!({
        "operation": "Install", "select": "all", "held": "keep", "config_files": "keep", "reboot": reboot,
        "lock_wait": "10m",
    })
}

/// Stops the life for this reason when so much time has passed.
fn stops(world: &Arc<World>, stop: &watch::Sender<StopReason>, after: Duration, reason: StopReason) {
    let (stop, clock) = (stop.clone(), world.ports().clock);
    tokio::spawn(async move {
        clock.sleep(after).await;
        stop.send_replace(reason);
    });
}

/// A first life that is stopped after so many seconds, while the hosts go on; hours later the time is over.
async fn resumed_late(world: &Arc<World>, action: &dyn Action, inputs: Value, seconds: u64) -> Attempt {
    let attempt = attempt(world, inputs);
    stops(world, &attempt.stop, Duration::from_secs(seconds), StopReason::Detach);
    assert!(matches!(attempt.live(action, None).await, Life::Ended(Err(Failure::Detached))));
    assert!(attempt.reports().is_empty());
    world.ports().clock.sleep(Duration::from_secs(5 * 3600)).await;
    attempt.stop.send_replace(StopReason::TimedOut);
    attempt
}

/// Every question to a host fails the first so many times; each kind of them is counted by itself.
fn flaky(world: &Arc<World>, times: usize) -> Between {
    let asked: Mutex<BTreeMap<(&str, String), usize>> = Mutex::default();
    Between::of(world).refusing(move |call, host, _| {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = asked.entry((call, host.name.clone())).or_default();
        *asked += 1;
        (*asked <= times).then(|| fault(call, FaultKind::NotSent, "the connection was reset"))
    })
}

#[tokio::test(start_paused = true)]
async fn one_look_that_fails_when_the_time_is_over_proves_nothing() {
    let cases: [(Box<dyn Action>, Value, u64); 4] = [
        (Box::new(Patch::default()), install("NoReboot"), 120),
        (Box::new(Reboot::default()), json!({ "only": "always" }), 15),
        (Box::new(Script::default()), json!({ "script": "true" }), 5),
        (Box::new(Service::default()), json!({ "name": "shop", "state": "restarted" }), 1),
    ];
    for (action, inputs, seconds) in cases {
        for times in 1..=3 {
            let world = world("");
            let name = action.doc().name;
            let mut attempt = resumed_late(&world, &*action, inputs.clone(), seconds).await;
            assert!(!attempt.journal.recorded().memory.intents.is_empty(), "{name}");
            attempt.ports = flaky(&world, times).ports(&world);
            assert_eq!(run(&*action, &attempt).await, ["succeeded"; 3], "{name} {times}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_when_the_process_stops_says_nothing_of_its_host() {
    for call in ["ssh:facts", "ssh:packages", "ssh:boot", "ssh:progress", "ssh:start"] {
        let world = world("");
        let mut attempt = attempt(&world, install("RebootIfNeeded"));
        let (stop, clock) = (attempt.stop.clone(), world.ports().clock);
        let began = clock.now();
        // Who presses Ctrl-C at a terminal stops every ssh with it.
        let between = Between::of(&world).refusing(move |asked, _, _| {
            let is_late = clock.now().duration_since(began).as_secs() > 100;
            (asked == call && is_late).then(|| {
                stop.send_replace(StopReason::Detach);
                fault(asked, FaultKind::NotSent, "the connection was closed")
            })
        });
        attempt.ports = between.ports(&world);
        let life = attempt.live(&Patch::default(), None).await;
        assert!(matches!(life, Life::Ended(Err(Failure::Detached))), "{call}: {life:?}");
        assert!(attempt.reports().is_empty(), "{call}: {:?}", attempt.reports());
        // And the next life finds everything as it is.
        attempt.stop.send_replace(StopReason::None);
        attempt.ports = world.ports();
        assert_eq!(run(&Patch::default(), &attempt).await, ["succeeded"; 3], "{call}");
        assert_eq!(jobs(&world)["install"], 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_looks_at_what_went_on_as_often_as_it_must() {
    let world = world("");
    let mut attempt = attempt(&world, install("NoReboot"));
    let clock = world.ports().clock;
    let began = clock.now();
    stops(&world, &attempt.stop, Duration::from_secs(120), StopReason::Cancelled);
    let between = Between::of(&world).refusing(move |call, _, _| {
        let passed = clock.now().duration_since(began).as_secs();
        let is_silent = call != "ssh:start" && (130..1500).contains(&passed);
        is_silent.then(|| fault(call, FaultKind::NotSent, "no answer"))
    });
    attempt.ports = between.ports(&world);
    assert_eq!(run(&Patch::default(), &attempt).await, ["succeeded"; 3]);
}

/// Every host is silent from now on.
fn silent(world: &Arc<World>) -> Between {
    Between::of(world).refusing(|call, _, _| Some(fault(call, FaultKind::NotSent, "no answer")))
}

/// How every host is reported, and that its class does not say that nothing was applied.
fn may_be_applied(attempt: &Attempt) -> Vec<Outcome> {
    let recorded = attempt.journal.recorded();
    let applied = |class: ErrorClass| !class.proves_nothing_applied();
    assert!(
        recorded.reports.values().all(|report| report.class.is_some_and(applied)),
        "{:?}",
        recorded.reports
    );
    recorded.reports.values().map(|report| report.outcome).collect()
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_life_began_on_a_host_that_is_silent_now_is_not_nothing() {
    let world = world("");
    let mut restarted =
        resumed_late(&world, &Service::default(), json!({ "name": "shop", "state": "restarted" }), 1).await;
    restarted.stop.send_replace(StopReason::None);
    restarted.ports = silent(&world).ports(&world);
    run(&Service::default(), &restarted).await;
    assert_eq!(may_be_applied(&restarted), [Outcome::Unknown; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_repair_that_an_earlier_life_began_on_a_host_that_is_silent_now_is_not_nothing() {
    let world = world("{ kind: half_done, times: 1 }");
    half_done(&world).await;
    let mut repaired = resumed_late(&world, &Patch::default(), install("NoReboot"), 5).await;
    assert!(repaired.journal.recorded().memory.intents.contains_key("box-1/repair-before"));
    assert!(!repaired.journal.recorded().memory.checkpoints.contains_key("box-1/repair-before"));
    repaired.stop.send_replace(StopReason::None);
    repaired.ports = silent(&world).ports(&world);
    run(&Patch::default(), &repaired).await;
    assert_eq!(may_be_applied(&repaired), [Outcome::Unreachable; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_repair_that_was_never_begun_is_nothing() {
    let world = world("{ kind: half_done, times: 1 }");
    half_done(&world).await;
    let mut attempt = attempt(&world, install("NoReboot"));
    let between = Between::of(&world).refusing(|call, _, job| {
        let repairs = job.is_some_and(|job| matches!(job.deed, Deed::Repair { .. }));
        repairs.then(|| fault(call, FaultKind::Denied, "sudo wants a password"))
    });
    attempt.ports = between.ports(&world);
    assert_eq!(run(&Patch::default(), &attempt).await, ["failed: ssh:start: sudo wants a password"; 3]);
    let recorded = attempt.journal.recorded();
    assert!(recorded.reports.values().all(|report| report.class == Some(ErrorClass::Undeliverable)));
}

#[tokio::test(start_paused = true)]
async fn a_host_whose_lists_are_not_brought_up_to_date_is_left_out_and_not_restored() {
    for (faults, words) in [
        (
            "{ kind: job_killed, job: refresh }",
            "failed: the refresh of the package lists was interrupted on the host",
        ),
        (
            "{ kind: reboots_in_job, job: refresh }",
            "failed: the refresh of the package lists was interrupted on the host",
        ),
        ("{ kind: cut_off, job: refresh }", "failed: not heard of since "),
        ("", "failed: the package lists could not be brought up to date: no mirror answers"),
    ] {
        for (action, inputs) in [
            (Box::new(Patch::default()) as Box<dyn Action>, install("NoReboot")),
            (Box::new(Backup::default()), json!({ "method": "packages" })),
        ] {
            let world = world(faults);
            let mut attempt = attempt(&world, inputs);
            if faults.is_empty() {
                // The lists are the first thing that is worked on.
                let between = Between::of(&world).telling(|seen| match seen {
                    Progress::Ended(ended) => Progress::Ended(Ended {
                        verdict: Verdict::Failed,
                        cause: "no mirror answers".to_owned(),
                        ..ended
                    }),
                    other => other,
                });
                attempt.ports = between.ports(&world);
            }
            let said = run(&*action, &attempt).await;
            assert!(said.iter().all(|said| said.starts_with(words)), "{faults}: {said:?}");
            let recorded = attempt.journal.recorded();
            assert!(
                recorded.reports.values().all(|report| report.class == Some(ErrorClass::Undeliverable)),
                "{faults}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_refuses_for_some_minutes_after_its_boot_is_waited_for() {
    for (seconds, said) in [(60..300, "succeeded"), (60..4_000, "failed: ssh:boot: sudo: no account")] {
        let world = world("");
        let mut attempt = attempt(&world, json!({ "only": "always" }));
        let clock = world.ports().clock;
        let began = clock.now();
        let between = Between::of(&world).refusing(move |call, _, _| -> Option<Fault> {
            let passed = clock.now().duration_since(began).as_secs();
            seconds.contains(&passed).then(|| fault(call, FaultKind::Denied, "sudo: no account"))
        });
        attempt.ports = between.ports(&world);
        assert_eq!(run(&Reboot::default(), &attempt).await, [said; 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_script_that_ended_before_its_time_was_over_was_not_ended_by_us() {
    let world = world("");
    let mut attempt = resumed_late(&world, &Script::default(), json!({ "script": "true" }), 5).await;
    // It is first heard of when it was asked to end: its end is older than that.
    let asked: Mutex<BTreeMap<String, usize>> = Mutex::default();
    let between = Between::of(&world).refusing(move |call, host, _| {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        let times = asked.entry(host.name.clone()).or_default();
        *times += usize::from(call == "ssh:progress");
        // One look-up, one question whether it is there, then silence for a while.
        (call == "ssh:progress" && (3..9).contains(times))
            .then(|| fault(call, FaultKind::NotSent, "no answer"))
    });
    attempt.ports = between.ports(&world);
    assert_eq!(run(&Script::default(), &attempt).await, ["succeeded"; 3]);
    let recorded = attempt.journal.recorded();
    let began: Timestamp = recorded.memory.intents["box-1/script"].at;
    let ended = recorded.reports["box-1"].finished_at.expect("a time");
    assert!(ended.duration_since(began).as_secs() < 120);
}

#[tokio::test(start_paused = true)]
async fn what_we_ended_is_said_to_have_been_ended() {
    let world = world_of("durations: { command: 2h }", "");
    let mut attempt = attempt(&world, json!({ "script": "true" }));
    stops(&world, &attempt.stop, Duration::from_secs(5), StopReason::TimedOut);
    // The host tells whole seconds.
    let between = Between::of(&world).telling(|seen| match seen {
        Progress::Ended(mut ended) => {
            ended.ended_at = ended.ended_at.and_then(|at| Timestamp::from_second(at.as_second()).ok());
            Progress::Ended(ended)
        }
        other => other,
    });
    attempt.ports = between.ports(&world);
    run(&Script::default(), &attempt).await;
    assert_eq!(reports(&attempt), ["timed_out: the script did not end in time and was ended"; 3]);
}
