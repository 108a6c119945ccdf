//! Run Command against ministack, which really runs scripts and lacks the batched reading.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use runbook_engine::ids::TargetId;
use runbook_steps::ports::{
    AwsFactory,
    fault::FaultKind,
    ssm::{Invocation, InvocationStatus, SendCommand, Ssm},
};
use runbook_test_servers::{Ministack, boto3, start_machines};

use crate::{aws, home, targets};

/// Room for a small machine that builds at the same time.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn script(instances: &[TargetId], comment: &str, script: &str) -> SendCommand {
    SendCommand {
        document: "AWS-RunShellScript".into(),
        instances: instances.to_vec(),
        parameters: BTreeMap::from([("commands".into(), vec![script.into()])]),
        comment: comment.into(),
        delivery_timeout: Duration::from_secs(60),
    }
}

/// How the command stands once it stands so on all machines.
pub(crate) async fn once(
    ssm: &dyn Ssm,
    command: &str,
    instances: &[TargetId],
    reached: impl Fn(&Invocation) -> bool,
) -> Vec<Invocation> {
    let poll = async {
        loop {
            let rows = ssm.invocations(command, instances).await.expect("an answer");
            if rows.len() == instances.len() && rows.iter().all(&reached) {
                return rows;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, poll).await.expect("it gets there in time")
}

pub(crate) fn ended(row: &Invocation) -> bool {
    row.status != InvocationStatus::Running
}

#[tokio::test]
async fn a_script_runs_for_real_and_its_result_is_read_machine_by_machine() {
    let server = Ministack::start();
    let boxes = targets(&start_machines(&server.endpoint(), 3, &[]));
    let ssm = aws(&server.endpoint()).await.ssm(&home());
    let command = script(
        &boxes,
        "runbook test",
        &format!(
            "until [ -e $COUNTERS/go ]; do sleep 0.05; done; echo out; echo err >&2; [ $INSTANCE_ID != {} ] || exit 7",
            boxes[1]
        ),
    );
    let id = ssm.send_command(command).await.expect("it is sent");
    let running = ssm.invocations(&id, &boxes).await.expect("an answer");
    assert!(running.iter().all(|row| row.status == InvocationStatus::Running && row.exit_code.is_none()));
    std::fs::write(server.counters().join("go"), "").expect("a file");
    let rows = once(&*ssm, &id, &boxes, ended).await;
    let codes: BTreeMap<&TargetId, Option<i32>> =
        rows.iter().map(|row| (&row.instance, row.exit_code)).collect();
    assert_eq!(codes, BTreeMap::from([(&boxes[0], Some(0)), (&boxes[1], Some(7)), (&boxes[2], Some(0))]));
    let failed = ssm.invocation(&id, &boxes[1]).await.expect("an answer");
    assert_eq!(failed.status, InvocationStatus::Failed);
    assert_eq!((failed.stdout.as_deref(), failed.stderr.as_deref()), (Some("out\n"), Some("err\n")));
    assert!(failed.ended_at.is_some());
    // Independent eyes see the same.
    let seen = boto3(
        &server.endpoint(),
        &format!("boto3.client('ssm').get_command_invocation(CommandId='{id}', InstanceId='{}')", boxes[1]),
    );
    assert_eq!((seen["ResponseCode"].as_i64(), seen["Comment"].as_str()), (Some(7), Some("runbook test")));
}

#[tokio::test]
async fn a_command_is_found_again_by_its_comment_among_more_than_one_page() {
    let server = Ministack::start();
    let boxes = targets(&start_machines(&server.endpoint(), 1, &[]));
    let ssm = aws(&server.endpoint()).await.ssm(&home());
    let before = Timestamp::now();
    let mut sent = BTreeMap::new();
    for number in 0..53 {
        let comment = format!("marker-{number}");
        let id = ssm.send_command(script(&boxes, &comment, ":")).await.expect("it is sent");
        sent.insert(id, comment);
    }
    let rows = ssm.list_commands("AWS-RunShellScript", before).await.expect("an answer");
    let found: BTreeMap<String, String> =
        rows.iter().map(|row| (row.command_id.clone(), row.comment.clone())).collect();
    assert_eq!(found, sent);
    assert!(rows.iter().all(|row| row.instances == boxes && row.document == "AWS-RunShellScript"));
    assert!(rows.iter().all(|row| row.requested_at.duration_since(before).as_secs().abs() < 600));
}

#[tokio::test]
async fn agents_are_told_apart_and_a_machine_without_one_refuses_commands() {
    let server = Ministack::start();
    let mut boxes = targets(&start_machines(&server.endpoint(), 2, &[]));
    let ssm = aws(&server.endpoint()).await.ssm(&home());
    let asked = [boxes[0].clone(), TargetId::new("i-00000000000000000")];
    let heard = ssm.agents(&asked).await.expect("an answer");
    assert_eq!(
        heard.iter().map(|agent| (&agent.instance, agent.online)).collect::<Vec<_>>(),
        [(&boxes[0], true)]
    );
    boxes.push(asked[1].clone());
    let fault = ssm.send_command(script(&boxes, "", ":")).await.expect_err("one of them is unknown");
    assert_eq!((fault.kind, fault.code.as_deref()), (FaultKind::Target, Some("InvalidInstanceId")));
}

#[tokio::test]
async fn what_the_server_lacks_is_a_fault_of_its_own() {
    let server = Ministack::start();
    let ssm = aws(&server.endpoint()).await.ssm(&home());
    let unknown = [TargetId::new("i-00000000000000000")];
    let fault =
        ssm.cancel_command("7c4ba25e-9d4c-4c36-8d31-2c3e4d5f6a7b", &unknown).await.expect_err("no such call");
    assert_eq!(fault.kind, FaultKind::Unsupported);
    let rows = ssm.invocations("7c4ba25e-9d4c-4c36-8d31-2c3e4d5f6a7b", &unknown).await.expect("an answer");
    assert_eq!(rows, []);
}

#[tokio::test]
async fn fifty_one_machines_and_long_comments_are_refused_before_anything_is_sent() {
    // There is no server: a call would not come back as `Invalid`.
    let ssm = aws("http://127.0.0.1:1").await.ssm(&home());
    let many: Vec<TargetId> = (0..51).map(|number| TargetId::new(format!("i-{number:017x}"))).collect();
    let too_many = ssm.send_command(script(&many, "", ":")).await.expect_err("51 machines");
    let too_long =
        ssm.send_command(script(&many[..1], &"x".repeat(101), ":")).await.expect_err("101 characters");
    assert_eq!((too_many.kind, too_long.kind), (FaultKind::Invalid, FaultKind::Invalid));
}
