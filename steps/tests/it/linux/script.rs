//! `linux/script`.

use std::time::Duration;

use runbook_engine::outcome::{Effect, ErrorClass, Outcome};
use runbook_steps::{
    actions::linux::script::Script,
    context::StopReason,
    ports::linux::{Deed, Job},
};
use serde_json::json;

use super::{attempt, jobs, run, survives, world};

#[tokio::test(start_paused = true)]
async fn once_on_each_host_however_often_the_process_dies() {
    let make = || {
        let world = world("");
        let attempt = attempt(&world, json!({ "script": "true" }));
        (world, attempt)
    };
    survives(&Script::default(), make, &[("script", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_starts_nothing_twice() {
    for fault in ["answer_lost", "request_lost", "server_error", "throttled"] {
        let world = world(&format!("{{ kind: {fault}, call: ssh:start, times: 2 }}"));
        let attempt = attempt(&world, json!({ "script": "true" }));
        assert_eq!(run(&Script::default(), &attempt).await, ["succeeded"; 3], "{fault}");
        assert_eq!(jobs(&world)["script"], 1, "{fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn hosts_that_are_not_reached_were_not_begun() {
    let world = world(
        "{ kind: unreachable, targets: [box-1] }, { kind: host_key_changed, targets: [box-2] },
         { kind: sudo_refused, targets: [box-3] }",
    );
    let attempt = attempt(&world, json!({ "script": "true" }));
    let said = run(&Script::default(), &attempt).await;
    assert_eq!(said[0], "unreachable: box-1 does not answer");
    assert!(said[1].starts_with("unreachable: ") && said[1].contains("ssh-keygen -R box-2"), "{}", said[1]);
    assert_eq!(said[2], "failed: sudo wants a password on box-3");
    let recorded = attempt.journal.recorded();
    assert!(recorded.reports.values().all(|report| report.class == Some(ErrorClass::Undeliverable)));
}

#[tokio::test(start_paused = true)]
async fn what_may_change_a_host_is_not_done_beside_another_job() {
    let runs = |token: &str| Job {
        token: token.to_owned(),
        run: "9z9z".into(),
        exclusive: true,
        deed: Deed::Refresh { lock_wait: Duration::from_secs(1) },
    };
    for (effect, waits) in [(Effect::Unknown, true), (Effect::Changes, true), (Effect::Reads, false)] {
        let world = super::world_of("durations: { scan: 30m }", "");
        for target in super::hosts() {
            world
                .ports()
                .linux
                .start(&target, &runs(&format!("other-{}", target.name)))
                .await
                .expect("it starts");
        }
        let mut attempt = attempt(&world, json!({ "script": "true" }));
        attempt.effect = effect;
        let began = world.ports().clock.now();
        assert_eq!(run(&Script::default(), &attempt).await, ["succeeded"; 3]);
        let took = world.ports().clock.now().duration_since(began).as_mins();
        assert_eq!(took >= 30, waits, "{effect:?} took {took} minutes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_script_that_nobody_saw_the_end_of_is_unknown() {
    let world = world(
        "{ kind: job_killed, targets: [box-1] }, { kind: reboots_in_job, targets: [box-2] },
         { kind: cut_off, targets: [box-3] }",
    );
    let attempt = attempt(&world, json!({ "script": "true" }));
    let said = run(&Script::default(), &attempt).await;
    assert_eq!(said[0], "unknown: the script was killed on the host, and nobody saw its end");
    assert_eq!(said[1], "unknown: the host went down while the script ran, and nobody saw its end");
    assert!(said[2].starts_with("unknown: not heard of since 08:00:"), "{}", said[2]);
    assert!(said[2].ends_with("while the script was running: box-3 does not answer"), "{}", said[2]);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_cut_off_for_a_while_is_waited_for() {
    let world = world("{ kind: cut_off, after: 20m }");
    let attempt = attempt(&world, json!({ "script": "true" }));
    assert_eq!(run(&Script::default(), &attempt).await, ["succeeded"; 3]);
    let ended = attempt.journal.recorded().reports["box-1"].finished_at.expect("a time");
    // What counts is when the host was done, not when it was heard of again.
    assert!(ended.duration_since("2026-01-05T08:00:00Z".parse().expect("a time")).as_secs() < 120);
}

#[tokio::test(start_paused = true)]
async fn when_the_time_is_over_it_is_ended() {
    let world =
        super::world_of("durations: { command: 2h }", "{ kind: command_failed, targets: [box-3], exit: 4 }");
    let attempt = attempt(&world, json!({ "script": "sleep 7200" }));
    let (stop, clock) = (attempt.stop.clone(), world.ports().clock);
    tokio::spawn(async move {
        clock.sleep(Duration::from_secs(3600)).await;
        stop.send_replace(StopReason::TimedOut);
    });
    let said = run(&Script::default(), &attempt).await;
    assert_eq!(said, ["timed_out: the script did not end in time and was ended"; 3]);
    assert_eq!(world.calls().count("ssh:end"), 3);
}

#[tokio::test(start_paused = true)]
async fn another_exit_code_is_a_failure_with_its_words() {
    let world = world("{ kind: command_failed, exit: 4, output: no such table }");
    let attempt = attempt(&world, json!({ "script": "false" }));
    let said = run(&Script::default(), &attempt).await;
    assert_eq!(said, ["failed: the script exited with 4: no such table"; 3]);
    let recorded = attempt.journal.recorded();
    assert_eq!(recorded.outputs["box-1"]["exit_code"], 4);
    assert_eq!(recorded.reports["box-1"].outcome, Outcome::Failed);
}
