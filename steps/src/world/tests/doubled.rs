//! What counts as done twice.

use jiff::Timestamp;
use runbook_engine::ids::TargetId;

use crate::world::{Call, CallLog};

/// A call of attempt 1 of a task that took effect.
fn call(name: &str, machine: Option<&str>, token: &str) -> Call {
    Call {
        at: Timestamp::UNIX_EPOCH,
        call: name.to_owned(),
        machines: machine.map(TargetId::new).into_iter().collect(),
        token: token.to_owned(),
        resource: None,
        source: None,
        operation: None,
        task: Some("dev/wave-1/step".to_owned()),
        attempt: Some(1),
        took_effect: true,
        answered: true,
    }
}

fn doubled(calls: &[Call]) -> usize {
    CallLog { calls: calls.to_vec() }.doubled().len()
}

/// A job or a volume has a new id each time: it is not what tells two calls apart.
#[test]
fn what_is_made_anew_is_made_twice_under_two_names() {
    for name in ["backup:StartBackupJob", "backup:StartRestoreJob", "ec2:CreateVolume"] {
        let made = |id: &str, token: &str| Call {
            resource: Some(id.to_owned()),
            source: Some("snap-1".to_owned()),
            ..call(name, Some("i-1"), token)
        };
        assert_eq!(doubled(&[made("1", "a"), made("2", "b")]), 1, "{name}");
        let again = Call { attempt: Some(2), ..made("2", "b") };
        assert_eq!(doubled(&[made("1", "a"), again]), 0, "{name}: another attempt");
    }
    let volume = |snapshot: &str| Call {
        source: Some(snapshot.to_owned()),
        ..call("ec2:CreateVolume", Some("i-1"), snapshot)
    };
    assert_eq!(doubled(&[volume("snap-1"), volume("snap-2")]), 0, "a machine has several volumes");
}

#[test]
fn what_is_acted_upon_tells_calls_apart() {
    let attach = |volume: &str| Call {
        resource: Some(volume.to_owned()),
        ..call("ec2:AttachVolume", Some("i-1"), "")
    };
    assert_eq!(doubled(&[attach("vol-1"), attach("vol-2")]), 0);
    assert_eq!(doubled(&[attach("vol-1"), attach("vol-1")]), 1);
}

/// The guard lets one delivery do something: another guard is another execution.
#[test]
fn a_script_may_be_sent_again_under_the_same_guard() {
    let sent = |token: &str, guard: &str| Call {
        operation: Some("Guarded"),
        source: Some(guard.to_owned()),
        ..call("ssm:SendCommand", Some("i-1"), token)
    };
    assert_eq!(doubled(&[sent("a", "g"), sent("a", "g"), sent("b", "g")]), 0);
    assert_eq!(doubled(&[sent("a", "g"), sent("b", "h")]), 1);
    let unguarded = |token: &str| call("ssm:SendCommand", Some("i-1"), token);
    assert_eq!(doubled(&[unguarded("a"), unguarded("b")]), 1);
}

#[test]
fn what_is_done_on_no_machine_is_done_once_too() {
    let program = |token: &str| call("process:start", None, token);
    assert_eq!(doubled(&[program("a"), program("b")]), 1);
    // A playbook starts on its hosts, and as a whole; one for each group of them.
    let hosts = [call("process:start", Some("h-1"), "a/h-1"), call("process:start", Some("h-2"), "b/h-2")];
    let whole = [program("a"), program("b")];
    assert_eq!(doubled(&[&hosts[..], &whole[..]].concat()), 0);
    // Two hosts that the world has no machines for.
    let named = |host: &str| Call { resource: Some(host.to_owned()), ..program(host) };
    assert_eq!(doubled(&[named("h-1"), named("h-2")]), 0);
    assert_eq!(doubled(&[named("h-1"), named("h-1")]), 1);
    // A webhook is told at least once, and what is forgotten twice is forgotten.
    for name in ["http:POST", "process:forget"] {
        let again = || call(name, None, "");
        assert_eq!(doubled(&[again(), again()]), 0, "{name}");
    }
}
