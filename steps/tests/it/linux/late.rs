//! Starts whose answers nobody has, and that arrive late; ends that are heard of late, or by a wrong clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use runbook_engine::outcome::ErrorClass;
use runbook_steps::{
    action::Action,
    actions::linux::{backup::Backup, file::File, patch::Patch, script::Script, service::Service},
    context::StopReason,
    ports::{
        fault::FaultKind,
        linux::{Deed, Job, Progress},
    },
    world::World,
};
use serde_json::{Value, json};

use super::{
    NAMES, attempt,
    between::{Between, fault},
    jobs, run, world,
};
use crate::contract::attempt::{Life, host};

/// Carries a start out when it was on its way for so long.
fn arrives(world: &Arc<World>, name: &str, job: Job, after: Duration) {
    let (ports, host) = (world.ports(), host(name));
    tokio::spawn(async move {
        ports.clock.sleep(after).await;
        ports.linux.start(&host, &job).await.expect("it starts");
    });
}

fn script() -> Deed {
    Deed::Script { script: "true".into(), env: [].into(), as_root: false, looks_for: None }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_arrives_after_it_was_refused_is_waited_for() {
    let world = world("");
    let (inner, times) = (Arc::clone(&world), AtomicUsize::new(0));
    let between = Between::of(&world).refusing(move |call, host, job| {
        let job = job?;
        if times.fetch_add(1, Ordering::Relaxed) < 3 {
            arrives(&inner, &host.name, job.clone(), Duration::from_secs(15));
            return Some(fault(call, FaultKind::Ambiguous, "the connection broke"));
        }
        Some(fault(call, FaultKind::Denied, "sudo wants a password"))
    });
    let mut attempt = attempt(&world, json!({ "script": "true" }));
    attempt.ports = between.ports(&world);
    assert_eq!(run(&Script::default(), &attempt).await, ["succeeded"; 3]);
    assert_eq!(jobs(&world)["script"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_start_that_never_arrives_was_none() {
    let world = world("");
    let times = AtomicUsize::new(0);
    let between = Between::of(&world).refusing(move |call, _, job| {
        job?;
        let first = times.fetch_add(1, Ordering::Relaxed) < 3;
        let kind = if first { FaultKind::Ambiguous } else { FaultKind::Denied };
        Some(fault(call, kind, "sudo wants a password"))
    });
    let mut attempt = attempt(&world, json!({ "script": "true" }));
    attempt.ports = between.ports(&world);
    assert_eq!(run(&Script::default(), &attempt).await, ["failed: ssh:start: sudo wants a password"; 3]);
    let recorded = attempt.journal.recorded();
    assert!(recorded.reports.values().all(|report| report.class == Some(ErrorClass::Undeliverable)));
}

#[tokio::test(start_paused = true)]
async fn a_start_of_a_life_that_died_arrives_in_the_next_one() {
    let world = world("");
    let mut attempt = crate::contract::attempt::Attempt::new(world.ports(), json!({ "script": "true" }))
        .on([host("box-1")]);
    attempt.settings.settle = world.settle();
    // It dies when the intent is durable: the call was made, or was not.
    assert!(matches!(attempt.live(&Script::default(), Some(1)).await, Life::Crashed));
    let token = attempt.journal.recorded().memory.intents["box-1/script"].token.clone();
    let job = Job { token, run: "7k2m".into(), exclusive: true, deed: script() };
    arrives(&world, "box-1", job, Duration::from_secs(10));
    attempt.stop.send_replace(StopReason::TimedOut);
    attempt.live_to_the_end(&Script::default()).await.expect("an end");
    let said = attempt.reports()["box-1"].clone();
    assert_eq!(said, "timed_out: the script did not end in time and was ended");
    assert_eq!(jobs(&world)["script"], 1);
}

/// Every action that changes a host, what it is asked, and the job that does it.
fn actions() -> Vec<(Box<dyn Action>, Value, &'static str)> {
    vec![
        (
            Box::new(Patch::default()),
            json!({
                "operation": "Install", "select": "all", "held": "keep", "config_files": "keep",
                "reboot": "NoReboot", "lock_wait": "10m",
            }),
            "install",
        ),
        (Box::new(Backup::default()), json!({ "method": "packages" }), "keep"),
        (Box::new(Service::default()), json!({ "name": "shop", "state": "restarted" }), "service"),
        (Box::new(File::default()), json!({ "path": "/etc/motd", "content": "hello" }), "file"),
        (Box::new(Script::default()), json!({ "script": "true" }), "script"),
    ]
}

/// When each host was done, as it was reported.
async fn finished(action: &dyn Action, attempt: &crate::contract::attempt::Attempt) -> Vec<Timestamp> {
    assert_eq!(run(action, attempt).await, ["succeeded"; 3], "{}", action.doc().name);
    let recorded = attempt.journal.recorded();
    NAMES.iter().map(|name| recorded.reports[*name].finished_at.expect("a time")).collect()
}

#[tokio::test(start_paused = true)]
async fn what_counts_is_when_the_host_was_done() {
    for (action, inputs, job) in actions() {
        let world = world(&format!("{{ kind: cut_off, job: {job}, after: 20m }}"));
        let attempt = attempt(&world, inputs);
        let began = world.ports().clock.now();
        for at in finished(&*action, &attempt).await {
            assert!(at.duration_since(began) < SignedDuration::from_mins(12), "{job}");
        }
        assert!(world.ports().clock.now().duration_since(began) > SignedDuration::from_mins(20), "{job}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_whose_clock_is_ahead_is_not_late() {
    for (action, inputs, job) in actions() {
        let world = world("");
        let between = Between::of(&world).telling(|seen| match seen {
            Progress::Ended(mut ended) => {
                ended.ended_at = ended.ended_at.map(|at| at + SignedDuration::from_hours(30));
                Progress::Ended(ended)
            }
            other => other,
        });
        let mut attempt = attempt(&world, inputs);
        attempt.ports = between.ports(&world);
        let ended = finished(&*action, &attempt).await;
        let now = world.ports().clock.now();
        assert!(ended.iter().all(|at| *at <= now), "{job}");
    }
}
