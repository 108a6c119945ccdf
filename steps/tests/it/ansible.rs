//! `ansible/playbook`, with a stand-in for Ansible that counts how often it ran, and in the simulated world.

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use runbook_engine::{ids::TaskName, target::Target};
use runbook_steps::{
    action::{Failure, Inputs},
    actions::ansible::playbook::Playbook,
    context::StopReason,
    playbooks::Playbooks,
    ports::{clock::SystemClock, process::Process},
    programs::Programs,
    world::World,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::contract::{
    attempt::{Attempt, Life, host},
    crash_everywhere,
    nowhere::ports,
};

/// Says of every host of its limit that all is well, unless the playbook is called otherwise.
const STAND_IN: &str = r#"#!/bin/sh
work=$(dirname "$0")
printf '%s\n' "$*" >>"$work/runs"
[ ! -e "$work/barred" ] || { cat "$work/barred" >>"$RUNBOOK_PLAY_EVENTS"; echo 'ERROR! barred' >&2; exit 4; }
while [ $# -gt 1 ]; do
    case $1 in --limit) limit=${2#@} ;; --extra-vars) cat "${2#@}" >>"$work/vars"; echo >>"$work/vars" ;; esac
    case $1 in -i) cat "$2" >>"$work/inventory" ;; esac
    shift
done
cp "$limit" "$work/limit"
tell() { printf '%s\n' "$1" >>"$RUNBOOK_PLAY_EVENTS"; }
tell '{"event":"loaded"}'
hosts=
while read -r host; do
    tell "{\"event\":\"began\",\"host\":\"$host\",\"task\":\"patch\"}"
    hosts="$hosts${hosts:+,}\"$host\":{\"ok\":1,\"changed\":1}"
done <"$limit"
case $1 in
slow) while [ ! -e "$work/go" ]; do sleep 0.01; done ;;
dies) [ -e "$work/again" ] || { : >"$work/again"; exit 137; } ;;
unreadable) : >"$work/barred"; exit 137 ;;
moved) printf '%s\n' '{"event":"loaded"}' '{"event":"elsewhere","message":"web-1 has moved"}' >"$work/barred"; exit 137 ;;
gone) mv "$0" "$0-away"; exit 137 ;;
lost) [ -e "$work/again" ] || { : >"$work/again"; kill -9 $PPID; exit 1; } ;;
esac
while read -r host; do tell "{\"event\":\"ended\",\"host\":\"$host\",\"task\":\"patch\",\"changed\":true}"; done <"$limit"
tell "{\"event\":\"stats\",\"hosts\":{$hosts}}"
"#;

struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir(folder.path().join("work")).expect("a folder");
        let machine = Self { folder };
        fs::write(machine.work("ansible"), STAND_IN).expect("a file");
        fs::set_permissions(machine.work("ansible"), fs::Permissions::from_mode(0o755)).expect("a mode");
        machine
    }

    fn work(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("work").join(name)
    }

    fn attempt(&self, mut inputs: Value) -> Attempt {
        let memory = self.folder.path().join("memory");
        let process: Arc<dyn Process> =
            Arc::new(Programs::new(self.folder.path().join("state"), memory.clone()));
        let mut ports = ports(SystemClock);
        ports.ansible = Arc::new(Playbooks::new(Arc::clone(&process), memory));
        ports.process = process;
        inputs["program"] = json!(self.work("ansible"));
        Attempt::new(ports, inputs)
    }

    fn runs(&self) -> Vec<String> {
        let text = fs::read_to_string(self.work("runs")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// What is left of programs and playbooks.
    fn left(&self) -> usize {
        let entries = |name| fs::read_dir(self.folder.path().join(name)).into_iter().flatten().count();
        entries("state") + entries("memory")
    }
}

fn webs() -> [Target; 2] {
    [host("web-1"), host("web-2")]
}

/// In a runtime whose blocking calls come one after the other, so that a life that has died can be waited out.
fn mortal(lives: impl Future<Output = ()>) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().max_blocking_threads(1).build().expect("a runtime").block_on(lives);
}

#[tokio::test]
async fn one_invocation_for_the_wave_with_its_hosts_as_the_limit() {
    let machine = Machine::new();
    let inputs = json!({
        "playbook": "site.yml", "vars": { "version": "2.1" }, "tags": ["a", "b"], "check": true, "forks": 7,
    });
    let attempt = machine.attempt(inputs).on(webs());
    assert_eq!(attempt.live_to_the_end(&Playbook::default()).await, Ok(Value::Null));
    assert!(attempt.reports().values().all(|report| report == "succeeded"));
    assert_eq!(fs::read_to_string(machine.work("limit")).expect("a limit"), "web-1\nweb-2\n");
    assert_eq!(fs::read_to_string(machine.work("vars")).expect("variables"), "{\"version\":\"2.1\"}\n");
    let inventory = fs::read_to_string(machine.work("inventory")).expect("an inventory");
    assert!(inventory.contains("\"web-2\":{\"ansible_host\":\"127.0.0.1\"}"), "{inventory}");
    let runs = machine.runs();
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert!(runs[0].ends_with("--forks 7 --tags a,b --check -- site.yml"), "{runs:?}");
    let outputs = &attempt.journal.recorded().outputs["web-1"];
    assert_eq!(
        *outputs,
        json!({ "ok": 1, "changed": 1, "skipped": 0, "rescued": 0, "ignored": 0, "changes": ["patch"] })
    );
    assert_eq!(machine.left(), 0);
}

#[tokio::test]
async fn machines_with_other_inputs_have_an_invocation_of_their_own() {
    let machine = Machine::new();
    let attempt = machine.attempt(json!({ "playbook": "site.yml" })).on(webs());
    let other = attempt.inputs_of(&"web-1".into()).with("vars", json!({ "role": "db" }));
    let attempt = attempt.and(host("db-1"), other);
    attempt.live_to_the_end(&Playbook::default()).await.expect("all are reported");
    assert_eq!((machine.runs().len(), attempt.reports().len(), machine.left()), (2, 3, 0));
}

#[test]
fn however_often_the_process_dies_it_runs_once() {
    mortal(crash_everywhere(
        &Playbook::default(),
        || {
            let machine = Machine::new();
            let attempt = machine.attempt(json!({ "playbook": "site.yml" })).on(webs());
            (machine, attempt)
        },
        |machine, attempt, ended| async move {
            assert_eq!(ended, Ok(Value::Null));
            assert_eq!(attempt.reports().into_values().collect::<Vec<_>>(), ["succeeded"; 2]);
            assert_eq!(machine.runs().len(), 1);
        },
    ));
}

#[tokio::test]
async fn a_stopping_process_leaves_it_running_and_the_next_one_takes_it_up() {
    let machine = Machine::new();
    let attempt = machine.attempt(json!({ "playbook": "slow" })).on(webs());
    let stop = attempt.stop.clone();
    let seen = machine.work("limit");
    let stopping = tokio::spawn(async move {
        while !seen.exists() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        stop.send_replace(StopReason::Detach);
    });
    assert_eq!(attempt.live_to_the_end(&Playbook::default()).await, Err(Failure::Detached));
    stopping.await.expect("it stopped");
    attempt.stop.send_replace(StopReason::None);
    fs::write(machine.work("go"), "").expect("a file");
    attempt.live_to_the_end(&Playbook::default()).await.expect("all are reported");
    assert_eq!(attempt.reports()["web-1"], "succeeded");
    assert_eq!((machine.runs().len(), machine.left()), (1, 0));
}

/// A group is known by its machines: what they are given may have changed when the next life asks for it, as a rotated
/// secret has.
#[test]
fn what_was_started_with_another_secret_is_found_again_and_the_journal_has_no_trace_of_either() {
    mortal(async {
        let reported = json!({ "playbook": "site.yml", "env": { "PW": "hunter2" } });
        // Before the start, in the middle, and between the reports of a wave of two groups.
        for fuse in 1..=6 {
            let machine = Machine::new();
            let attempt = machine.attempt(reported.clone()).on(webs());
            let other = attempt.inputs_of(&"web-1".into()).with("vars", json!({ "role": "db" }));
            let attempt = attempt.and(host("db-1"), other);
            let died = matches!(attempt.live(&Playbook::default(), Some(fuse)).await, Life::Crashed);
            assert!(died || fuse > 3, "{fuse}");
            let attempt = attempt.given("env", &json!({ "PW": "correct horse" }));
            attempt.live_to_the_end(&Playbook::default()).await.expect("all are reported");
            assert_eq!(attempt.reports().into_values().collect::<Vec<_>>(), ["succeeded"; 3], "{fuse}");
            assert_eq!(machine.runs().len(), 2, "{fuse}: {:?}", machine.runs());
            assert_eq!(machine.left(), 0, "{fuse}");
        }
        let keys = |password: &str| {
            let machine = Machine::new();
            let inputs = json!({ "playbook": "site.yml", "env": { "PW": password } });
            let attempt = machine.attempt(inputs).on(webs());
            async move {
                attempt.live_to_the_end(&Playbook::default()).await.expect("all are reported");
                let memory = attempt.journal.recorded().memory.clone();
                let intents = memory.intents.into_iter().map(|(key, intent)| (key, intent.token));
                intents.collect::<Vec<_>>()
            }
        };
        assert_eq!(keys("hunter2").await, keys("correct horse").await);
    });
}

/// `run.status` and the like may come to something else for one host alone.
#[test]
fn hosts_that_are_no_longer_given_the_same_are_not_started_together() {
    mortal(async {
        let machine = Machine::new();
        let attempt = machine.attempt(json!({ "playbook": "slow" })).on(webs());
        // The intent is durable, the playbook not started.
        assert!(matches!(attempt.live(&Playbook::default(), Some(1)).await, Life::Crashed));
        assert_eq!(attempt.journal.recorded().memory.intents.len(), 1);
        assert_eq!(machine.runs().len(), 0);
        let attempt = attempt.given_one("web-2", "vars", &json!({ "status": "failing" }));
        attempt.live_to_the_end(&Playbook::default()).await.expect("all are reported");
        let why = &attempt.reports()["web-1"];
        assert!(why.starts_with("failed: the playbook was not started"), "{why}");
        assert_eq!(machine.runs().len(), 0);
    });
}

#[test]
fn only_a_repeatable_one_is_run_again_where_nobody_saw_its_end() {
    mortal(async {
        for playbook in ["dies", "lost"] {
            let machine = Machine::new();
            let attempt = machine.attempt(json!({ "playbook": playbook })).on(webs());
            assert!(matches!(attempt.live(&Playbook::default(), Some(2)).await, Life::Crashed));
            attempt.live_to_the_end(&Playbook::default()).await.expect("all are reported");
            assert!(attempt.reports()["web-1"].starts_with("unknown: "), "{:?}", attempt.reports());
            assert_eq!(machine.runs().len(), 1);

            let machine = Machine::new();
            let attempt = machine.attempt(json!({ "playbook": playbook, "repeatable": true })).on(webs());
            attempt.live_to_the_end(&Playbook::default()).await.expect("all are reported");
            assert_eq!(attempt.reports()["web-1"], "succeeded", "{playbook}");
            assert_eq!((machine.runs().len(), machine.left()), (2, 0));
        }
    });
}

#[test]
fn what_was_done_before_a_second_invocation_that_is_not_begun_is_not_forgotten() {
    mortal(async {
        for playbook in ["unreadable", "moved", "gone"] {
            for crash in [None, Some(1), Some(2)] {
                let machine = Machine::new();
                let inputs = json!({ "playbook": playbook, "repeatable": true });
                let attempt = machine.attempt(inputs).on(webs());
                if crash.is_some() {
                    attempt.live(&Playbook::default(), crash).await;
                }
                attempt.live_to_the_end(&Playbook::default()).await.expect("all are reported");
                for (host, report) in attempt.reports() {
                    assert!(report.starts_with("unknown: "), "{playbook} {crash:?} {host}: {report}");
                }
            }
        }
    });
}

#[tokio::test]
async fn without_ansible_nothing_was_done() {
    let machine = Machine::new();
    let attempt = machine.attempt(json!({ "playbook": "site.yml" }));
    let inputs = Inputs {
        values: [("playbook", "site.yml"), ("program", "/nowhere/ansible-playbook")]
            .map(|(key, value)| (key.to_owned(), json!(value)))
            .into(),
        ..Inputs::default()
    };
    let attempt = attempt.and(host("web-1"), inputs);
    attempt.live_to_the_end(&Playbook::default()).await.expect("it is reported");
    assert!(
        attempt.reports()["web-1"].starts_with("failed: `/nowhere/ansible-playbook` cannot be run"),
        "{:?}",
        attempt.reports()
    );
    assert_eq!(machine.left(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_simulated_playbook_touches_nothing_and_has_a_result_for_each_host() {
    const FLEET: &str = "
fleet: hosts
groups:
  - { name: box, count: 3, kind: host }
faults:
  - { kind: missing, targets: [box/1] }
  - { kind: command_failed, step: play, targets: [box/2], exit: 4 }
";
    let world = World::in_memory(FLEET, 1).expect("a fleet");
    let boxes = ["box-1", "box-2", "box-3"].map(host);
    let attempt =
        Attempt::new(world.ports_for(&TaskName::new("wave-1/play"), 1), json!({ "playbook": "site.yml" }))
            .on(boxes);
    attempt.live_to_the_end(&Playbook::default()).await.expect("all are reported");
    assert_eq!(
        attempt.reports().into_values().collect::<Vec<_>>(),
        [
            "unreachable: unreachable for the task `work`: Connection timed out",
            "failed: the task `work` failed: non-zero return code, exit code 4",
            "succeeded",
        ]
    );
}
