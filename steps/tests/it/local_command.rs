//! `local/command`, with real programs.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use runbook_engine::outcome::{ErrorClass, Outcome};
use runbook_steps::{
    action::Failure, actions::local::command::Command, context::StopReason, ports::clock::SystemClock,
    programs::Programs,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::contract::{
    attempt::{Attempt, Life, host},
    crash_everywhere,
    nowhere::ports,
};

/// A folder for programs to work in, and the two folders that are kept of them.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("work")).expect("a folder");
        Self { folder }
    }

    fn programs(&self) -> Programs {
        Programs::new(self.folder.path().join("state"), self.folder.path().join("memory"))
    }

    fn attempt(&self, mut inputs: Value) -> Attempt {
        let mut ports = ports(SystemClock);
        ports.process = Arc::new(self.programs());
        inputs["env"]["WORK"] = json!(self.folder.path().join("work"));
        Attempt::new(ports, inputs)
    }

    /// What each script wrote into its own file.
    fn counts(&self) -> BTreeMap<String, usize> {
        let files = fs::read_dir(self.folder.path().join("work")).into_iter().flatten().flatten();
        let count = |path: &Path| fs::read_to_string(path).map_or(0, |text| text.lines().count());
        files.map(|file| (file.file_name().to_string_lossy().into_owned(), count(&file.path()))).collect()
    }

    /// What is left of programs.
    fn left(&self) -> usize {
        let entries = |name| fs::read_dir(self.folder.path().join(name)).into_iter().flatten().count();
        entries("state") + entries("memory")
    }
}

/// In a runtime whose blocking calls come one after the other, so that a life that has died can be waited out.
fn mortal(lives: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().max_blocking_threads(1).build().expect("a runtime").block_on(lives);
}

#[tokio::test]
async fn once_per_machine_with_the_machine_in_its_environment() {
    let machine = Machine::new();
    let script = "echo \" $RUNBOOK_RUN $RUNBOOK_TASK $RUNBOOK_TARGET_ID $RUNBOOK_TARGET_NAME $RUNBOOK_TARGET_IP $OWN\"";
    let attempt = machine.attempt(json!({ "script": script, "env": { "OWN": "own" } }));
    let attempt = attempt.on([host("web-1"), host("web-2")]);
    assert_eq!(attempt.live_to_the_end(&Command::default()).await, Ok(Value::Null));
    for name in ["web-1", "web-2"] {
        let said = format!("7k2m production/wave-1/step {name} {name} 127.0.0.1 own");
        assert_eq!(attempt.journal.recorded().outputs[name], json!({ "stdout": said, "exit_code": 0 }));
        assert_eq!(attempt.reports()[name], "succeeded");
    }
    assert_eq!(machine.left(), 0);
}

#[tokio::test]
async fn once_where_there_are_no_machines() {
    let machine = Machine::new();
    let attempt = machine.attempt(json!({ "command": ["printf", "%s", "a b"] }));
    let result = attempt.live_to_the_end(&Command::default()).await;
    assert_eq!(result, Ok(json!({ "stdout": "a b", "exit_code": 0 })));
    assert_eq!(machine.left(), 0);
}

#[tokio::test]
async fn another_exit_code_is_a_failure_with_the_last_words() {
    let machine = Machine::new();
    let script = "echo out; echo first >&2; echo 'no space left on /var' >&2; exit 3";
    let attempt = machine.attempt(json!({ "script": script })).on([host("web-1")]);
    attempt.live_to_the_end(&Command::default()).await.expect("it is reported");
    assert_eq!(attempt.reports()["web-1"], "failed: the program exited with 3: no space left on /var");
    assert_eq!(attempt.journal.recorded().outputs["web-1"], json!({ "stdout": "out", "exit_code": 3 }));

    let attempt = machine.attempt(json!({ "script": script }));
    let failed = attempt.live_to_the_end(&Command::default()).await;
    assert_eq!(failed, Err(Failure::failed("the program exited with 3: no space left on /var")));
    assert_eq!(attempt.journal.recorded().outputs[""], json!({ "stdout": "out", "exit_code": 3 }));
}

#[tokio::test]
async fn last_words_are_never_cut_short() {
    let machine = Machine::new();
    let script = "echo whole >&2; printf '%09000d' 1 >&2; exit 3";
    let attempt = machine.attempt(json!({ "script": script }));
    let failed = attempt.live_to_the_end(&Command::default()).await;
    assert_eq!(failed, Err(Failure::failed("the program exited with 3: whole")));
}

#[tokio::test]
async fn what_cannot_be_started_was_not_applied() {
    let machine = Machine::new();
    let attempt = machine.attempt(json!({ "script": "echo", "env": { "BAD": "a\0b" } })).on([host("web-1")]);
    attempt.live_to_the_end(&Command::default()).await.expect("it is reported");
    let report = attempt.journal.recorded().reports["web-1"].clone();
    assert_eq!((report.outcome, report.class), (Outcome::Failed, Some(ErrorClass::Undeliverable)));
}

#[tokio::test]
async fn when_the_time_is_over_it_is_killed_and_reported() {
    let machine = Machine::new();
    let attempt = machine.attempt(json!({ "script": "echo x >\"$WORK/x\"; exec sleep 1000" }));
    let mut attempt = attempt.on([host("web-1"), host("web-2")]);
    attempt.settings.concurrency = 1;
    let stop = attempt.stop.clone();
    let file = machine.folder.path().join("work/x");
    let stopping = tokio::spawn(async move {
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        stop.send_replace(StopReason::TimedOut);
    });
    attempt.live_to_the_end(&Command::default()).await.expect("both are reported");
    stopping.await.expect("it stopped");
    assert_eq!(attempt.reports()["web-1"], "timed_out: the program did not end in time and was killed");
    assert_eq!(attempt.reports()["web-2"], "failed: the time was over before the program was started");
    assert_eq!(machine.left(), 0);
}

#[tokio::test]
async fn a_cancelled_run_lets_it_end() {
    let machine = Machine::new();
    let script = "echo x >\"$WORK/x\"; while [ ! -e \"$WORK/go\" ]; do sleep 0.01; done";
    let attempt = machine.attempt(json!({ "script": script })).on([host("web-1")]);
    let stop = attempt.stop.clone();
    let work = machine.folder.path().join("work");
    let stopping = tokio::spawn(async move {
        while !work.join("x").exists() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        stop.send_replace(StopReason::Cancelled);
        fs::write(work.join("go"), "").expect("a file");
    });
    attempt.live_to_the_end(&Command::default()).await.expect("it is reported");
    stopping.await.expect("it stopped");
    assert_eq!(attempt.reports()["web-1"], "succeeded");
}

#[tokio::test]
async fn a_stopping_process_leaves_it_running_and_the_next_one_takes_it_up() {
    let machine = Machine::new();
    let script = "echo x >>\"$WORK/x\"; while [ ! -e \"$WORK/go\" ]; do sleep 0.01; done; echo late";
    let attempt = machine.attempt(json!({ "script": script })).on([host("web-1")]);
    let work = machine.folder.path().join("work");
    attempt.stop.send_replace(StopReason::None);
    let stop = attempt.stop.clone();
    let seen = work.join("x");
    let stopping = tokio::spawn(async move {
        while !seen.exists() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        stop.send_replace(StopReason::Detach);
    });
    assert_eq!(attempt.live_to_the_end(&Command::default()).await, Err(Failure::Detached));
    stopping.await.expect("it stopped");
    assert!(attempt.reports().is_empty());
    attempt.stop.send_replace(StopReason::None);
    fs::write(work.join("go"), "").expect("a file");
    attempt.live_to_the_end(&Command::default()).await.expect("it is reported");
    assert_eq!(attempt.journal.recorded().outputs["web-1"]["stdout"], "late");
    assert_eq!((machine.counts()["x"], machine.left()), (1, 0));
}

#[test]
fn what_nobody_saw_the_end_of_is_unknown_and_not_repeated() {
    mortal(async {
        let machine = Machine::new();
        let attempt =
            machine.attempt(json!({ "script": "echo x >>\"$WORK/x\"; kill -9 $PPID" })).on([host("web-1")]);
        // The intent is durable, and the process dies before anything is reported.
        assert!(matches!(attempt.live(&Command::default(), Some(2)).await, Life::Crashed));
        attempt.live_to_the_end(&Command::default()).await.expect("it is reported");
        assert!(
            attempt.reports()["web-1"]
                .starts_with("unknown: the program was started, and nobody saw its end")
        );
        assert_eq!(machine.counts()["x"], 1);
    });
}

#[test]
fn through_every_crash_it_runs_once_per_machine() {
    mortal(async {
        let make = || {
            let machine = Machine::new();
            let script = "echo x >>\"$WORK/$RUNBOOK_TARGET_ID\"; echo \"out of $RUNBOOK_TARGET_ID\"";
            let attempt = machine.attempt(json!({ "script": script }));
            (machine, attempt.on(["web-1", "web-2", "web-3"].map(host)))
        };
        crash_everywhere(&Command::default(), make, |machine, attempt, ended| async move {
            assert_eq!(ended, Ok(Value::Null));
            let once = ["web-1", "web-2", "web-3"].map(|name| (name.to_owned(), 1));
            assert_eq!(machine.counts(), BTreeMap::from(once));
            for (name, report) in attempt.reports() {
                assert_eq!(report, "succeeded");
                assert_eq!(machine.left(), 0);
                assert_eq!(
                    attempt.journal.recorded().outputs[name.as_str()]["stdout"],
                    format!("out of {name}")
                );
            }
        })
        .await;
    });
}

#[test]
fn through_every_crash_it_runs_once_where_there_are_no_machines() {
    mortal(async {
        for (script, expected) in [
            ("echo x >>\"$WORK/x\"; echo out", Ok(json!({ "stdout": "out", "exit_code": 0 }))),
            ("echo x >>\"$WORK/x\"; exit 4", Err(Failure::failed("the program exited with 4"))),
        ] {
            let make = || {
                let machine = Machine::new();
                let attempt = machine.attempt(json!({ "script": script }));
                (machine, attempt)
            };
            crash_everywhere(&Command::default(), make, |machine, attempt, ended| {
                let expected = expected.clone();
                async move {
                    let mut said = attempt.journal.recorded().finished_at.clone();
                    said.dedup();
                    assert_eq!(said.len(), 1, "every life says the same of when it ended");
                    assert_eq!(ended, expected);
                    assert_eq!((machine.counts()["x"], machine.left()), (1, 0));
                }
            })
            .await;
        }
    });
}
