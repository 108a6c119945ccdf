//! `check/*`: by when it must pass, how long it must stay so, what is tolerated.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use runbook_engine::outcome::{ErrorClass, Outcome};
use runbook_steps::{
    action::{Action, Failure},
    actions::check::{command::Command, http::Http as CheckHttp, tcp::Tcp},
    context::StopReason,
    ports::{
        hindrance::Hindrance,
        http::{Http, Request},
        process::{Ended, Process, Program, Progress},
    },
};
use serde_json::{Value, json};

use crate::contract::{
    attempt::{Attempt, Life, host, inputs_of},
    nowhere::{Nowhere, ports},
    time::Jumping,
};

/// What is answered, or why nothing is.
type Answer = Result<u16, &'static str>;

/// No answer that lies with this machine.
const FEW: &str = "too many open files (os error 24)";

/// A service that answers as it is told: each answer as often as it says, the last one for ever. It remembers when it
/// was asked, in seconds.
struct Service {
    clock: Jumping,
    answers: Mutex<VecDeque<(usize, Answer)>>,
    asked: Mutex<Vec<u64>>,
}

impl Service {
    fn answer(&self) -> Result<u16, Hindrance> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(self.clock.passed().as_secs());
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let last = answers.len() == 1;
        let (left, answer) = answers.front_mut().expect("an answer");
        let answer = answer.map_err(|why| Hindrance { why: why.to_owned(), ours: why == FEW });
        *left -= 1;
        if *left == 0 && !last {
            answers.pop_front();
        } else if *left == 0 {
            *left = 1;
        }
        answer
    }

    fn asked(&self) -> Vec<u64> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Http for Service {
    async fn request(&self, request: Request) -> Result<u16, Hindrance> {
        assert_eq!((request.method, request.body), ("GET", None));
        self.answer()
    }

    async fn connect(&self, host: &str, port: u16, _timeout: Duration) -> Result<(), Hindrance> {
        assert_eq!((host, port), ("10.0.0.5", 5432));
        self.answer().map(|_| ())
    }
}

#[async_trait]
impl Process for Service {
    async fn start(&self, program: Program) -> Result<(), Hindrance> {
        assert_eq!(program.command, ["/bin/sh", "-c", "is-it-well"]);
        Ok(())
    }

    async fn progress(&self, _token: &str) -> Result<Progress, String> {
        let code = self.answer().map(i32::from).map_err(|hindrance| hindrance.why)?;
        Ok(Progress::Ended(Ended { code, stdout: String::new(), stderr: String::new(), ended_at: None }))
    }

    async fn kill(&self, token: &str) -> Result<(), String> {
        Nowhere.kill(token).await
    }

    async fn forget(&self, _token: &str) -> Result<(), String> {
        Ok(())
    }
}

fn service<const N: usize>(answers: [(usize, Answer); N], inputs: Value) -> (Arc<Service>, Attempt) {
    let clock = Jumping::new();
    let service = Arc::new(Service { clock, answers: Mutex::new(answers.into()), asked: Mutex::default() });
    let mut ports = ports(clock);
    ports.http = Arc::clone(&service) as _;
    ports.process = Arc::clone(&service) as _;
    (service, Attempt::new(ports, inputs))
}

fn page(within: &str, stay: &str, tolerate: u64) -> Value {
    json!({
        "url": "http://u:p@10.0.0.5:8080/healthz?key=secret#x", "expect": 200,
        "within": within, "for": stay, "every": "15s", "tolerate": tolerate,
    })
}

async fn result<const N: usize>(
    answers: [(usize, Answer); N],
    inputs: Value,
) -> (Result<Value, String>, Vec<u64>) {
    let (service, attempt) = service(answers, inputs);
    let result = attempt.live_to_the_end(&CheckHttp::default()).await;
    (result.map_err(|failure| failure.to_string()), service.asked())
}

const SICK: Answer = Ok(503);
const WELL: Answer = Ok(200);

#[tokio::test(start_paused = true)]
async fn a_first_pass_is_enough_where_it_need_not_stay_so() {
    assert_eq!(result([(1, WELL)], page("5m", "0s", 1)).await, (Ok(Value::Null), vec![0]));
    let late = result([(2, SICK), (1, Err("connection refused")), (1, WELL)], page("5m", "0s", 0)).await;
    assert_eq!(late, (Ok(Value::Null), vec![0, 15, 30, 45]));
}

#[tokio::test(start_paused = true)]
async fn the_last_look_for_a_first_pass_is_when_the_time_is_over() {
    let passed = result([(3, SICK), (1, WELL)], page("40s", "0s", 1)).await;
    assert_eq!(passed, (Ok(Value::Null), vec![0, 15, 30, 40]));
    let failed = result([(9, SICK)], page("40s", "0s", 1)).await;
    assert_eq!(
        failed,
        (Err("http://10.0.0.5:8080/healthz answered 503 for 40s".to_owned()), vec![0, 15, 30, 40])
    );
    let once = result([(9, SICK)], page("0s", "0s", 1)).await;
    assert_eq!(once, (Err("http://10.0.0.5:8080/healthz answered 503 for 0s".to_owned()), vec![0]));
}

#[tokio::test(start_paused = true)]
async fn the_cause_names_what_was_seen_last() {
    let (failed, _) = result([(3, SICK), (9, Err("connection refused"))], page("5m", "0s", 1)).await;
    assert_eq!(
        failed,
        Err("http://10.0.0.5:8080/healthz gave no answer (connection refused) for 5m".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn it_must_stay_so_from_the_first_pass_on() {
    let passed = result([(1, SICK), (1, WELL)], page("5m", "40s", 1)).await;
    assert_eq!(passed, (Ok(Value::Null), vec![0, 15, 30, 45, 55]));
}

#[tokio::test(start_paused = true)]
async fn as_many_failures_in_a_row_as_said_are_tolerated() {
    let passed = result([(2, WELL), (2, SICK), (1, WELL), (2, SICK), (1, WELL)], page("5m", "105s", 2)).await;
    assert_eq!(passed, (Ok(Value::Null), vec![0, 15, 30, 45, 60, 75, 90, 105]));
    let failed = result([(2, WELL), (9, SICK)], page("5m", "5m", 2)).await;
    let cause = "http://10.0.0.5:8080/healthz answered 503 3 times in a row, 1m after it had passed";
    assert_eq!(failed, (Err(cause.to_owned()), vec![0, 15, 30, 45, 60]));
    let strict = result([(2, WELL), (1, SICK), (1, WELL)], page("5m", "5m", 0)).await;
    let cause = "http://10.0.0.5:8080/healthz answered 503 30s after it had passed";
    assert_eq!(strict, (Err(cause.to_owned()), vec![0, 15, 30]));
}

#[tokio::test(start_paused = true)]
async fn it_does_not_end_on_a_failure() {
    let passed = result([(2, WELL), (1, SICK), (1, WELL)], page("5m", "30s", 1)).await;
    assert_eq!(passed, (Ok(Value::Null), vec![0, 15, 30, 45]));
    let (failed, asked) = result([(2, WELL), (9, SICK)], page("5m", "30s", 1)).await;
    assert!(failed.is_err());
    assert_eq!(asked, vec![0, 15, 30, 45]);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_this_machine_cannot_make_is_made_again_and_is_nobodys_failure() {
    let passed = result([(3, Err(FEW)), (2, WELL), (1, Err(FEW)), (1, WELL)], page("5m", "45s", 1)).await;
    assert_eq!(passed, (Ok(Value::Null), vec![0, 15, 30, 45, 60, 75, 90]));
    // It does not add up with the service's own failures.
    let passed = result([(1, WELL), (1, SICK), (1, Err(FEW)), (1, WELL)], page("5m", "40s", 1)).await;
    assert_eq!(passed, (Ok(Value::Null), vec![0, 15, 30, 40]));
    let why = "gave no answer (too many open files (os error 24))";
    for (answers, cause) in [
        ([(1, SICK), (9, Err(FEW))], format!("{why} for 5m")),
        ([(1, WELL), (9, Err(FEW))], format!("{why} 2 times in a row, 30s after it had passed")),
    ] {
        let (_, attempt) = service(answers, page("5m", "5m", 1));
        let attempt = attempt.on([host("web-1")]);
        let cause = format!("http://10.0.0.5:8080/healthz {cause}");
        assert_eq!(attempt.live_to_the_end(&CheckHttp::default()).await, Err(Failure::NeedsPerson { cause }));
        assert!(attempt.reports().is_empty(), "{:?}", attempt.reports());
    }
    let inputs = json!({ "host": "10.0.0.5", "port": 5432, "within": "20s" });
    let (_, attempt) = service([(1, Err(FEW))], inputs);
    let failed = attempt.live_to_the_end(&Tcp::default()).await;
    assert!(matches!(failed, Err(Failure::NeedsPerson { .. })), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn every_machine_is_watched_for_itself_and_side_by_side() {
    let (service, mut attempt) = service([(1, WELL)], page("5m", "1m", 1));
    attempt.settings.concurrency = 2;
    let attempt = attempt.on((0..100).map(|number| host(&format!("web-{number}"))));
    attempt.live_to_the_end(&CheckHttp::default()).await.expect("all are well");
    assert_eq!(service.clock.passed(), Duration::from_secs(60));
    let recorded = attempt.journal.recorded();
    assert_eq!((recorded.reports.len(), recorded.entries), (100, 1), "one entry for all of them");
}

#[tokio::test(start_paused = true)]
async fn every_machine_has_inputs_of_its_own() {
    let (_, attempt) = service([(9, SICK)], json!({}));
    let page = |number: usize| json!({ "url": format!("http://10.0.0.{number}/"), "within": "0s" });
    let attempt = attempt.and(host("web-1"), inputs_of(page(1))).and(host("web-2"), inputs_of(page(2)));
    attempt.live_to_the_end(&CheckHttp::default()).await.expect("both are reported");
    assert_eq!(attempt.reports()["web-2"], "failed: http://10.0.0.2/ answered 503 for 0s");
}

#[tokio::test(start_paused = true)]
async fn a_check_is_fresh_after_a_resume() {
    let (service, attempt) = service([(1, SICK), (1, WELL)], page("5m", "30s", 1));
    let attempt = attempt.on([host("web-1")]);
    assert!(matches!(attempt.live(&CheckHttp::default(), Some(0)).await, Life::Crashed));
    assert_eq!(service.asked(), vec![0, 15, 30, 45]);
    attempt.live_to_the_end(&CheckHttp::default()).await.expect("it is well");
    assert_eq!(service.asked(), vec![0, 15, 30, 45, 45, 60, 75]);
    let recorded = attempt.journal.recorded();
    assert_eq!((recorded.looked_up, recorded.memory.intents.len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_check_stops_when_it_must() {
    for (reason, expected) in [
        (
            StopReason::TimedOut,
            Failure::Failed {
                outcome: Outcome::TimedOut,
                class: ErrorClass::TimedOut,
                cause: "http://10.0.0.5:8080/healthz was not healthy for long enough when the time was over: it answered 503"
                    .to_owned(),
            },
        ),
        (StopReason::Cancelled, Failure::failed("the run was cancelled")),
        (StopReason::Detach, Failure::Detached),
    ] {
        let (service, attempt) = service([(1, SICK)], page("5m", "0s", 1));
        let clock = service.clock;
        let stop = attempt.stop.clone();
        let stopping = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(20)).await;
            stop.send_replace(reason);
        });
        assert_eq!(attempt.live_to_the_end(&CheckHttp::default()).await, Err(expected));
        assert_eq!(clock.passed(), Duration::from_secs(20));
        stopping.await.expect("it stopped");
    }
}

#[tokio::test(start_paused = true)]
async fn a_port_is_checked_by_connecting() {
    let inputs = json!({ "host": "10.0.0.5", "port": 5432, "within": "20s" });
    let (_, attempt) = service([(1, Err("connection refused")), (1, WELL)], inputs.clone());
    attempt.live_to_the_end(&Tcp::default()).await.expect("it is well");
    let (_, attempt) = service([(1, Err("connection refused"))], inputs);
    let failed = attempt.live_to_the_end(&Tcp::default()).await;
    assert_eq!(failed, Err(Failure::failed("10.0.0.5:5432 took no connection (connection refused) for 20s")));
    let (_, attempt) = service([(1, WELL)], json!({ "host": "10.0.0.5", "port": 70000 }));
    let failed = attempt.live_to_the_end(&Tcp::default()).await;
    assert_eq!(failed, Err(Failure::failed("the input `port` is not a number from 1 to 65535")));
}

#[tokio::test(start_paused = true)]
async fn a_script_is_checked_by_its_exit_code() {
    let inputs = json!({ "script": "is-it-well", "expect_exit": 3, "within": "20s" });
    // Each look asks for what an earlier one may have left, for its end, and once more to clean up.
    let (_, attempt) = service([(1, Ok(3))], inputs.clone());
    attempt.live_to_the_end(&Command::default()).await.expect("it is well");
    let (_, attempt) = service([(1, Ok(1))], inputs);
    let failed = attempt.live_to_the_end(&Command::default()).await;
    assert_eq!(failed, Err(Failure::failed("the script exited with 1 for 20s")));
}

#[test]
fn checks_say_that_they_are_checks() {
    let checks: [&dyn Action; 3] = [&CheckHttp::default(), &Tcp::default(), &Command::default()];
    for check in checks {
        assert!(check.doc().is_check() && check.doc().repeatable);
    }
}
