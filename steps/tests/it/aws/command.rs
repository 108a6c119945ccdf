//! `aws/command`.

use runbook_steps::{action::Failure, actions::aws::command::Command, context::StopReason};
use serde_json::json;

use super::{attempt, reports, survives, world};

#[tokio::test(start_paused = true)]
async fn a_script_runs_once_on_every_machine() {
    let make = || {
        let world = world("");
        let attempt = attempt(&world, json!({ "script": "uptime" }));
        (world, attempt)
    };
    survives(&Command::default(), make, &["succeeded"; 3], &[("ssm:SendCommand", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn lost_answers_and_throttles_double_nothing() {
    let make = || {
        let world = world("{ kind: throttled, times: 3 }, { kind: answer_lost }");
        let attempt = attempt(&world, json!({ "script": "uptime" }));
        (world, attempt)
    };
    survives(&Command::default(), make, &["succeeded"; 3], &[("ssm:SendCommand", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_lost_is_sent_again_if_it_is_guarded() {
    let world = world("{ kind: request_lost }");
    let script = attempt(&world, json!({ "script": "uptime" }));
    script.live_to_the_end(&Command::default()).await.unwrap();
    assert_eq!(reports(&world, &script), ["succeeded"; 3]);

    let world = super::world("{ kind: request_lost }");
    let document = attempt(&world, json!({ "document": "Own-Document" }));
    document.live_to_the_end(&Command::default()).await.unwrap();
    assert_eq!(
        reports(&world, &document),
        ["unknown: Own-Document may have been sent, cannot be found, and must not run twice"; 3]
    );
    assert_eq!(world.calls().count("ssm:SendCommand"), 0);
}

#[tokio::test(start_paused = true)]
async fn every_end_has_its_words() {
    let world = world(
        "{ kind: command_failed, targets: [web/1], exit: 3, output: no space left on /var },
         { kind: undeliverable, targets: [web/2] }, { kind: command_timed_out, targets: [web/3] }",
    );
    let attempt = attempt(&world, json!({ "script": "uptime" }));
    attempt.live_to_the_end(&Command::default()).await.unwrap();
    assert_eq!(
        reports(&world, &attempt),
        [
            "failed: exited with 3: no space left on /var",
            "unreachable: the command never reached the machine (Undeliverable)",
            "timed_out: it ran into its execution time-out and was killed",
        ]
    );
    let web1 = world.machine("web-1").unwrap();
    assert_eq!(attempt.journal.recorded().outputs[&web1]["exit_code"], json!(3));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_not_there_does_not_hold_the_others_up() {
    let world = world("{ kind: missing, targets: [web/2] }");
    let attempt = attempt(&world, json!({ "script": "uptime" }));
    attempt.live_to_the_end(&Command::default()).await.unwrap();
    let reports = reports(&world, &attempt);
    assert_eq!((reports[0].as_str(), reports[2].as_str()), ("succeeded", "succeeded"));
    assert_eq!(reports[1], "unreachable: Systems Manager does not know the machine, or it is stopped");
}

#[tokio::test(start_paused = true)]
async fn a_script_of_which_nobody_can_say_whether_it_ran_is_not_sent_again() {
    let world = world("{ kind: delivery_timed_out, targets: [web/1], times: 1 }");
    let attempt = attempt(&world, json!({ "script": "uptime" }));
    attempt.live_to_the_end(&Command::default()).await.unwrap();
    let reports = reports(&world, &attempt);
    assert_eq!(reports[0], "unknown: nobody can say whether it ran (DeliveryTimedOut)");
    assert_eq!(reports[1..], ["succeeded"; 2]);
    assert_eq!(world.calls().count_on("ssm:SendCommand", &world.machine("web-1").unwrap()), 1);
}

/// The search for a command whose answer was lost ends behind a jump of the clock, before anybody said that the time is over.
#[tokio::test(start_paused = true)]
async fn behind_its_deadline_nothing_is_sent() {
    let world = world("{ kind: request_lost, times: 1 }");
    let mut attempt = attempt(&world, json!({ "script": "uptime" }));
    attempt.timeout = std::time::Duration::from_secs(1);
    attempt.live_to_the_end(&Command::default()).await.unwrap();
    let cause = "ssm:SendCommand: the connection broke before the answer came, again and again until the time was over";
    assert_eq!(reports(&world, &attempt), vec![format!("failed: {cause}"); 3]);
    assert_eq!(world.calls().count("ssm:SendCommand"), 0);
    let recorded = attempt.journal.recorded();
    let class = recorded.reports.values().next().and_then(|report| report.class);
    assert!(class.is_some_and(|class| class.proves_nothing_applied()), "nothing is restored");
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_told_late_is_judged_by_when_it_ended() {
    for (after, expected) in [("30m", "succeeded"), ("3h", "succeeded")] {
        let world = world(&format!("{{ kind: late_result, after: {after} }}"));
        let attempt = attempt(&world, json!({ "script": "uptime" }));
        attempt.live_to_the_end(&Command::default()).await.unwrap();
        assert_eq!(reports(&world, &attempt), [expected; 3]);
        let recorded = attempt.journal.recorded();
        let ended = recorded.reports.values().filter_map(|report| report.finished_at).max().unwrap();
        assert!(world.now().duration_since(ended).as_secs() > 29 * 60);
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_time_is_over_it_is_cancelled_and_waited_for() {
    let world = world("{ kind: command_timed_out }");
    let attempt = attempt(&world, json!({ "script": "sleep 10000" }));
    let stop = attempt.stop.clone();
    let ports = world.ports();
    tokio::spawn(async move {
        ports.clock.sleep(std::time::Duration::from_secs(300)).await;
        stop.send_replace(StopReason::TimedOut);
    });
    attempt.live_to_the_end(&Command::default()).await.unwrap();
    let cause = "the command was not over by 2026-01-05 11:00 UTC, when its time was, and was cancelled";
    assert_eq!(reports(&world, &attempt), vec![format!("timed_out: {cause}"); 3]);
    assert_eq!(world.calls().count("ssm:CancelCommand"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_stops_leaves_it_running_and_finds_it_again() {
    let world = world("");
    let attempt = attempt(&world, json!({ "script": "uptime" }));
    let stop = attempt.stop.clone();
    let ports = world.ports();
    tokio::spawn(async move {
        ports.clock.sleep(std::time::Duration::from_secs(4)).await;
        stop.send_replace(StopReason::Detach);
    });
    assert_eq!(attempt.live_to_the_end(&Command::default()).await, Err(Failure::Detached));
    assert_eq!(attempt.reports().len(), 0);
    attempt.stop.send_replace(StopReason::None);
    attempt.live_to_the_end(&Command::default()).await.unwrap();
    assert_eq!(reports(&world, &attempt), ["succeeded"; 3]);
    assert_eq!(world.calls().count("ssm:SendCommand"), 1);
    assert_eq!(attempt.journal.recorded().looked_up, 1);
}
