//! Verdicts on what the callback plugin really wrote (`playbooks/recorded/`, ansible-core 2.19.14).

use runbook_engine::{ids::TargetId, outcome::ErrorClass};

use super::{Asked, Verdict, is_unclear, judge};
use crate::{playbooks::events, ports::process::Ended, program::End};

const MIXED: &str = include_str!("../../../playbooks/recorded/mixed.jsonl");
const ANY_ERRORS_FATAL: &str = include_str!("../../../playbooks/recorded/any_errors_fatal.jsonl");
const FATAL_IN_THE_ONLY_PLAY: &str = include_str!("../../../playbooks/recorded/fatal_in_the_only_play.jsonl");
const SERIAL: &str = include_str!("../../../playbooks/recorded/serial.jsonl");
const LOOP: &str = include_str!("../../../playbooks/recorded/loop.jsonl");

fn exited(code: i32, stderr: &str) -> End {
    End::Ended(Ended { code, stdout: String::new(), stderr: stderr.to_owned(), ended_at: None })
}

fn verdict(verdict: &Verdict) -> String {
    let class = verdict.class.map_or("-", ErrorClass::as_str);
    format!("{} {class}: {}", verdict.outcome, verdict.cause.as_deref().unwrap_or("-"))
}

fn judged(lines: &str, end: &End, hosts: &[&str], check: bool) -> Vec<String> {
    let hosts: Vec<TargetId> = hosts.iter().map(|host| TargetId::from(*host)).collect();
    judged_as(lines, end, &hosts, (check, false))
}

fn judged_as(lines: &str, end: &End, hosts: &[TargetId], (check, repeatable): (bool, bool)) -> Vec<String> {
    let asked = Asked { program: "ansible-playbook", playbook: "site.yml", check, repeatable, hosts };
    let told = events::read(lines.as_bytes());
    judge(asked, end, &told).iter().map(|(id, found)| format!("{id} {}", verdict(found))).collect()
}

#[test]
fn failed_unreachable_and_rescued_are_each_named_and_what_was_never_reached_is_failed() {
    let stderr = "[WARNING]: Could not match supplied host pattern, ignoring: nosuch\n";
    assert_eq!(
        judged(MIXED, &exited(4, stderr), &["ok1", "bad", "res", "gone", "nosuch", "elsewhere"], false),
        [
            "bad failed failed: the task `bad one` failed: non-zero return code, exit code 3: no space left",
            "elsewhere failed undeliverable: site.yml did not reach elsewhere: no play of it works on this host, or all \
             hosts before it failed",
            "gone unreachable undeliverable: unreachable for the task `ping`: Task failed: Failed to connect to the host \
             via ssh: ssh: connect to host 127.0.0.1 port 9: Connection refused",
            "nosuch failed undeliverable: site.yml did not reach nosuch: the inventory does not have it",
            "ok1 succeeded -: -",
            "res failed failed: the task `res` failed, and site.yml rescued it: non-zero return code, exit code 1",
        ]
    );
}

#[test]
fn what_ansible_gave_up_because_of_others_has_not_worked() {
    let given_up = "site.yml gave this host up because of others that failed; it did not do everything here";
    assert_eq!(
        judged(FATAL_IN_THE_ONLY_PLAY, &exited(2, ""), &["ok1", "bad", "res"], false),
        [
            "bad failed failed: the task `boom` failed: Failed as requested from task".to_owned(),
            format!("ok1 failed failed: {given_up}"),
            format!("res failed failed: {given_up}"),
        ]
    );
    // Its second play never began; the message of a task with `no_log` is not told.
    assert_eq!(
        judged(ANY_ERRORS_FATAL, &exited(2, ""), &["ok1", "bad", "res"], false),
        [
            "bad failed failed: the task `secret thing` failed: its output is hidden (no_log)".to_owned(),
            format!("ok1 failed failed: {given_up}"),
            format!("res failed failed: {given_up}"),
        ]
    );
    // `serial: 1`: the whole first batch failed. The others came through the play before, and have final counts.
    assert_eq!(
        judged(SERIAL, &exited(2, ""), &["ok1", "bad", "res"], false),
        [
            format!("bad failed failed: {given_up}"),
            "ok1 failed failed: the task `boom` failed: Failed as requested from task".to_owned(),
            format!("res failed failed: {given_up}"),
        ]
    );
}

#[test]
fn a_failure_that_the_playbook_ignores_is_none_and_a_loop_says_which_item_failed() {
    assert_eq!(
        judged(LOOP, &exited(2, ""), &["ok1", "bad"], false),
        [
            "bad failed failed: the task `each` failed: non-zero return code, exit code 7: 7 is missing",
            "ok1 succeeded -: -",
        ]
    );
}

#[test]
fn a_playbook_that_cannot_be_read_is_one_cause_and_touched_nobody() {
    let stderr = "[WARNING]: x\n[ERROR]: couldn't resolve module/action 'nosuch'.\nOrigin: site.yml:3:7\n";
    let all = judged("", &exited(4, stderr), &["a", "b"], false);
    let cause = "ansible-playbook did not begin with site.yml: it exited with 4: couldn't resolve module/action 'nosuch'.";
    assert_eq!(all, [format!("a failed undeliverable: {cause}"), format!("b failed undeliverable: {cause}")]);
    assert!(judged("", &exited(127, ""), &["a"], false)[0].contains("cannot be run on this machine"));
    // Without a word of our plugin nobody knows.
    assert!(judged("", &exited(0, ""), &["a"], false)[0].starts_with("a unknown failed"));
}

/// Cut in the middle: `bad` and `ok1` were at work, `res` was through with its task.
fn cut_short() -> String {
    let until =
        MIXED.lines().position(|line| line.contains("\"host\": \"res\", \"task\": \"bad one\", \"changed\""));
    let until = until.expect("it is in the recording");
    let lines = MIXED
        .lines()
        .take(until + 1)
        .filter(|line| !line.contains("\"ok1\", \"task\": \"bad one\", \"changed\""));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn what_ran_when_it_was_ended_may_run_on() {
    let hosts = ["ok1", "bad", "res", "gone", "never"];
    let lines = cut_short();
    let unknown = "site.yml did not end in time and was ended; the task `bad one` may run on";
    let all = judged(&lines, &End::Killed(None), &hosts, false);
    assert_eq!(all[0], format!("bad unknown timed_out: {unknown}"));
    assert!(all[1].starts_with("gone unreachable undeliverable"), "{all:?}");
    assert_eq!(
        all[2],
        "never timed_out undeliverable: site.yml did not end in time and was ended before it began here"
    );
    assert_eq!(all[3], format!("ok1 unknown timed_out: {unknown}"));
    assert_eq!(all[4], "res timed_out timed_out: site.yml did not end in time and was ended");

    let all = judged(&lines, &exited(99, "[ERROR]: User interrupted execution\n"), &hosts, false);
    assert_eq!(
        all[0],
        "bad unknown failed: site.yml ended early, with exit code 99: User interrupted execution; the task `bad one` may \
         run on"
    );
    // Where nothing was to be changed, nothing is unknown.
    let all = judged(&lines, &exited(137, ""), &hosts, true);
    assert_eq!(all[0], "bad failed failed: site.yml ended early, with exit code 137");

    let told = events::read(lines.as_bytes());
    assert!(is_unclear(&exited(137, ""), &told) && is_unclear(&End::Lost, &told));
    assert!(!is_unclear(&End::Killed(None), &told));
    assert!(!is_unclear(&exited(4, ""), &events::read(MIXED.as_bytes())));
}

#[test]
fn after_this_machine_went_down_nobody_knows() {
    assert!(judged("", &End::Lost, &["a"], false)[0].starts_with("a unknown failed: site.yml was started"));
    assert!(judged("", &End::Lost, &["a"], true)[0].starts_with("a failed failed: site.yml was started"));
}

#[test]
fn a_connection_that_breaks_in_the_middle_is_no_proof_of_anything() {
    let broke = MIXED
        .replace("ssh: connect to host 127.0.0.1 port 9: Connection refused", "Shared connection closed");
    let gone = |lines: &str| judged(lines, &exited(4, ""), &["gone"], false).remove(0);
    let unknown = "gone unknown failed: the connection broke while the task `ping` may run on";
    assert!(gone(&broke).starts_with(unknown), "{}", gone(&broke));
    let later = broke.replace(
        "{\"event\": \"unreachable\"",
        "{\"event\": \"ended\", \"host\": \"gone\", \"task\": \"before\"}\n{\"event\": \"unreachable\"",
    );
    assert!(gone(&later).starts_with(unknown), "{}", gone(&later));
}

#[test]
fn an_exit_code_that_no_host_explains_fails_them_all() {
    let ok = |code| judged(MIXED, &exited(code, ""), &["ok1"], false).remove(0);
    assert_eq!(ok(0), "ok1 succeeded -: -");
    assert_eq!(ok(250), "ok1 failed failed: ansible-playbook exited with 250, though no host failed");
}

/// Rescued, and then at work on the next task.
#[test]
fn a_failure_that_was_rescued_does_not_hide_what_runs() {
    let lines = r#"{"event": "loaded"}
{"event": "began", "host": "a", "task": "stop the old one"}
{"event": "failed", "host": "a", "task": "stop the old one", "message": "no such service"}
{"event": "began", "host": "a", "task": "apt upgrade"}
"#;
    let all = judged(lines, &End::Killed(None), &["a"], false);
    assert_eq!(
        all,
        [
            "a unknown timed_out: site.yml did not end in time and was ended; the task `apt upgrade` may run on"
        ]
    );
    let all = judged(lines, &End::Killed(None), &["a"], true);
    assert_eq!(all, ["a failed failed: the task `stop the old one` failed: no such service"]);
}

#[test]
fn a_connection_that_breaks_in_the_first_task_proves_nothing_either() {
    let lines = |task: &str, message: &str| {
        format!(
            r#"{{"event": "loaded"}}
{{"event": "began", "host": "a", "task": "{task}"}}
{{"event": "unreachable", "host": "a", "task": "{task}", "message": "{message}"}}
{{"event": "stats", "hosts": {{"a": {{"unreachable": 1}}}}}}
"#
        )
    };
    let hosts = [TargetId::from("a")];
    let judged = |task: &str, message: &str, how: (bool, bool)| {
        judged_as(&lines(task, message), &exited(4, ""), &hosts, how).remove(0)
    };
    let broke = "Shared connection to a closed.";
    let (changes, checked, repeatable) = ((false, false), (true, false), (false, true));
    assert_eq!(
        judged("install", broke, changes),
        format!("a unknown failed: the connection broke while the task `install` may run on: {broke}")
    );
    for (task, message, how) in [
        ("install", "Connection refused", changes),
        ("install", broke, checked),
        ("install", broke, repeatable),
        ("Gathering Facts", broke, changes),
    ] {
        let verdict = judged(task, message, how);
        assert!(verdict.starts_with("a unreachable "), "{task} {message} {how:?}: {verdict}");
    }
}
