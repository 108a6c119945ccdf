//! Systems Manager: who gets a command, and what the lists say.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::rig::{code, id, pass, world};
use crate::{
    ports::{
        fault::FaultKind,
        ssm::{InvocationStatus, Ssm},
    },
    world::{SendRequest, fault_rule::RuleKind},
};

fn patch(operation: &str) -> SendRequest {
    SendRequest {
        document: "AWS-RunPatchBaseline".into(),
        instances: Vec::new(),
        targets: vec![("tag:aws:autoscaling:groupName".into(), vec!["nobody".into()])],
        parameters: BTreeMap::from([
            ("Operation".into(), vec![operation.to_owned()]),
            ("SnapshotId".into(), vec!["ours".into()]),
        ]),
        comment: String::new(),
        delivery_timeout: Duration::from_secs(600),
        max_concurrency: "50".into(),
        max_errors: "0".into(),
    }
}

fn script(text: &str) -> SendRequest {
    SendRequest {
        document: "AWS-RunShellScript".into(),
        parameters: BTreeMap::from([("commands".into(), vec![text.to_owned()])]),
        targets: vec![("resource-groups:Name".into(), vec!["web".into()])],
        ..patch("Scan")
    }
}

#[tokio::test(start_paused = true)]
async fn errors_are_counted_as_the_service_counts_them() {
    let (world, account) = world("faults: [{ kind: command_failed, targets: [web], exit: 3 }]");
    let one_by_one = |max_errors: &str| SendRequest {
        max_concurrency: "1".into(),
        max_errors: max_errors.to_owned(),
        ..script("true")
    };
    for (max_errors, failed, status) in [("0", 1, "Failed"), ("1", 2, "Failed"), ("100%", 3, "Success")] {
        let sent = account.send(one_by_one(max_errors)).await.unwrap();
        assert_eq!((sent.target_count, sent.status.as_str()), (3, "Pending"));
        pass(&world, 100).await;
        let seen = account.command(&sent.id).await.unwrap().unwrap();
        let details: Vec<_> = seen.parts.iter().map(|part| part.invocation.details.as_str()).collect();
        let terminated = details.iter().filter(|details| **details == "Terminated").count();
        assert_eq!(
            (seen.error_count, terminated),
            (failed, 3 - failed as usize),
            "{max_errors}: {details:?}"
        );
        assert_eq!(seen.status, status);
    }
    let wrong = SendRequest { max_concurrency: "0".into(), ..script("true") };
    assert_eq!(code(account.send(wrong).await), "ValidationException");
}

#[tokio::test(start_paused = true)]
async fn tags_choose_whoever_is_registered_and_ids_must_all_be() {
    let (world, account) = world("faults: [{ kind: unmanaged, targets: [web/3] }]");
    let sent = account.send(script("cat /proc/sys/kernel/random/boot_id")).await.unwrap();
    assert_eq!(sent.target_count, 2);
    let none = account.send(patch("Scan")).await.unwrap();
    assert_eq!((none.target_count, none.details.as_str()), (0, "NoInstancesInTag"));
    let named = SendRequest {
        instances: vec![id(&world, "web-1"), id(&world, "web-3")],
        targets: Vec::new(),
        ..script("true")
    };
    let fault = account.send(named).await.unwrap_err();
    assert_eq!((fault.kind, fault.code.as_deref()), (FaultKind::Target, Some("InvalidInstanceId")));
    assert_eq!(world.calls().count("ssm:SendCommand"), 2);
    pass(&world, 20).await;
    let first = account.command(&sent.id).await.unwrap().unwrap();
    let boot = first.parts[0].invocation.stdout.clone().unwrap();
    assert_eq!(boot.trim().len(), 36);
    // A reboot changes it, and nothing else does.
    let machine = id(&world, "web-1");
    crate::ports::ec2::Ec2::reboot_instances(&account, std::slice::from_ref(&machine)).await.unwrap();
    pass(&world, 90).await;
    let again = account.send(script("cat /proc/sys/kernel/random/boot_id")).await.unwrap();
    pass(&world, 20).await;
    let again = account.command(&again.id).await.unwrap().unwrap();
    assert_ne!(again.parts[0].invocation.stdout.as_ref(), Some(&boot));
    assert_eq!(again.parts[1].invocation.stdout, first.parts[1].invocation.stdout);
}

#[tokio::test(start_paused = true)]
async fn somebody_else_patches_and_scans() {
    let (world, account) = world(
        "
faults:
  - { kind: foreign_patching, targets: [web/1], after: 1m }
  - { kind: foreign_scan, targets: [web/2] }
  - { kind: late_report, targets: [web/3], after: 5m }
",
    );
    pass(&world, 120).await;
    let executing = account.executing(None).await.unwrap();
    assert_eq!((executing.len(), executing[0].document.as_str()), (1, "AWS-RunPatchBaseline"));
    assert_eq!(executing[0].instances, [id(&world, "web-1")]);
    let machines = [id(&world, "web-1"), id(&world, "web-2"), id(&world, "web-3")];
    let scan = SendRequest { instances: machines.to_vec(), targets: Vec::new(), ..patch("Scan") };
    let scan = SendRequest { max_errors: "3".into(), ..scan };
    let sent = account.send(scan).await.unwrap();
    pass(&world, 60).await;
    let parts = account.invocations(&sent.id, &[]).await.unwrap();
    let statuses: Vec<_> = parts.iter().map(|part| part.status).collect();
    let (failed, ok) = (InvocationStatus::Failed, InvocationStatus::Succeeded);
    assert_eq!(statuses, [failed, ok, ok], "two patch operations disturb each other");
    let states = account.patch_states(&machines).await.unwrap();
    assert_eq!(states.len(), 1, "one has not reported yet, one never did");
    assert_eq!(states[0].snapshot_id.as_deref(), Some("ours"));
    pass(&world, 60).await;
    let states = account.patch_states(&machines).await.unwrap();
    assert_ne!(states[0].snapshot_id.as_deref(), Some("ours"), "another scan took its place");
    pass(&world, 300).await;
    let states = account.patch_states(&machines).await.unwrap();
    assert_eq!(states.len(), 3);
    assert_eq!(states[2].snapshot_id.as_deref(), Some("ours"));
    assert!(account.list_commands("AWS-RunPatchBaseline", Timestamp::MIN).await.unwrap().len() == 2);
}

#[tokio::test(start_paused = true)]
async fn parts_can_be_late_refused_or_run_twice() {
    let (world, account) = world(
        "
faults:
  - { kind: late_part, targets: [web/1], document: AWS-RunShellScript, after: 40s }
  - { kind: reboots_and_repeats, targets: [web/2] }
  - { kind: terminated, targets: [web/3] }
",
    );
    let sent = account.send(script("true")).await.unwrap();
    assert!(account.command(&sent.id).await.unwrap().is_none(), "not visible at first");
    pass(&world, 20).await;
    let parts = account.invocations(&sent.id, &[]).await.unwrap();
    let details: Vec<_> = parts.iter().map(|part| part.details.as_str()).collect();
    assert_eq!(details, ["InProgress", "Terminated"]);
    assert!(account.agents(&[id(&world, "web-2")]).await.unwrap()[0].online);
    pass(&world, 160).await;
    let parts = account.invocations(&sent.id, &[]).await.unwrap();
    let statuses: Vec<_> = parts.iter().map(|part| part.status).collect();
    assert_eq!(
        statuses,
        [InvocationStatus::Succeeded, InvocationStatus::Succeeded, InvocationStatus::NeverRan]
    );
    assert_eq!(parts[1].stdout.as_deref(), Some("first pass\nsecond pass\n"));
}

#[tokio::test(start_paused = true)]
async fn a_stopped_or_silent_node_is_no_error() {
    let (world, account) = world("faults: [{ kind: agent_lost, targets: [web/2], after: 1m }]");
    let machines = [id(&world, "web-1"), id(&world, "web-2")];
    crate::ports::ec2::Ec2::stop_instances(&account, &machines[..1]).await.unwrap();
    pass(&world, 600).await;
    let agents = account.agents(&machines).await.unwrap();
    assert_eq!(agents.len(), 1);
    assert!(!agents[0].online && world.is_healthy("web-2") == Some(true));
    assert_eq!(account.all_agents().await.unwrap()[0].ping_status, "ConnectionLost");
}

#[tokio::test(start_paused = true)]
async fn what_runs_on_a_machine_that_is_stopped_is_given_up() {
    let (world, account) = world("");
    let machine = [id(&world, "web-1")];
    let install = SendRequest { instances: machine.to_vec(), targets: Vec::new(), ..patch("Install") };
    let sent = account.send(install).await.unwrap();
    pass(&world, 60).await;
    crate::ports::ec2::Ec2::stop_instances(&account, &machine).await.unwrap();
    pass(&world, 1000).await;
    assert_eq!(account.invocations(&sent.id, &machine).await.unwrap()[0].details, "InProgress");
    pass(&world, 7200).await;
    assert_eq!(account.invocations(&sent.id, &machine).await.unwrap()[0].details, "DeliveryTimedOut");
    crate::ports::ec2::Ec2::start_instances(&account, &machine).await.unwrap();
    pass(&world, 90).await;
    assert!(account.patch_states(&machine).await.unwrap().is_empty(), "it never came to its report");
}

#[test]
fn every_kind_of_fault_is_in_the_book() {
    let page = include_str!("../../../../docs/sandbox.md");
    let error = serde_yaml::from_str::<RuleKind>("nothing_that_is_known").unwrap_err().to_string();
    let (_, kinds) = error.split_once("expected one of").expect("the kinds");
    let kinds: Vec<_> = kinds.split('`').skip(1).step_by(2).collect();
    assert!(kinds.len() > 40, "{error}");
    let missing: Vec<_> = kinds.into_iter().filter(|kind| !page.contains(&format!("`{kind}`"))).collect();
    assert_eq!(missing, [""; 0]);
}
