//! Faults on the wire, by microburst in front of ministack.

use jiff::Timestamp;
use runbook_engine::ids::GroupName;
use runbook_steps::ports::{AwsFactory, fault::FaultKind, inventory::Inventory};
use runbook_test_servers::{Microburst, Ministack, start_machines};
use serde_json::json;

use crate::{
    aws, home,
    run_command::{ended, once, script},
    targets,
};

#[tokio::test]
async fn an_answer_lost_after_the_command_was_sent_is_ambiguous_and_the_command_is_found_and_not_repeated() {
    let server = Ministack::start();
    let wire = Microburst::start(&server.endpoint());
    let boxes = targets(&start_machines(&server.endpoint(), 2, &[]));
    let ssm = aws(&wire.endpoint()).await.ssm(&home());
    wire.rules(&json!([
        { "service": "ssm", "operation": "SendCommand", "times": 5, "response": { "abort_frac": 0.5 } },
    ]));
    let before = Timestamp::now();
    let command = script(&boxes, "marker", "echo x >>$COUNTERS/$INSTANCE_ID");
    let fault = ssm.send_command(command).await.expect_err("the answer is lost");
    assert_eq!(fault.kind, FaultKind::Ambiguous, "{fault}");
    assert_eq!(wire.fired("SendCommand"), 1, "it must not be tried again");

    let rows = ssm.list_commands("AWS-RunShellScript", before).await.expect("an answer");
    let found: Vec<_> = rows.iter().filter(|row| row.comment == "marker").collect();
    assert_eq!(found.len(), 1);
    once(&*ssm, &found[0].command_id, &boxes, ended).await;
    assert!(boxes.iter().all(|id| server.count(id.as_str()) == 1));
}

#[tokio::test]
async fn a_command_that_was_throttled_is_known_not_to_be_sent() {
    let server = Ministack::start();
    let wire = Microburst::start(&server.endpoint());
    let boxes = targets(&start_machines(&server.endpoint(), 1, &[]));
    let ssm = aws(&wire.endpoint()).await.ssm(&home());
    let rule = |error: serde_json::Value| json!([{ "service": "ssm", "operation": "SendCommand", "times": 2, "error": error }]);
    for (error, expected) in [
        (json!({ "code": "ThrottlingException" }), FaultKind::Throttled),
        (json!({ "code": "InternalServerError", "status": 500 }), FaultKind::Ambiguous),
        (json!({ "code": "AccessDeniedException" }), FaultKind::Denied),
        (json!({ "code": "ExpiredTokenException" }), FaultKind::Credentials),
    ] {
        wire.rules(&rule(error));
        let fault = ssm.send_command(script(&boxes, "marker", ":")).await.expect_err("it is refused");
        assert_eq!(fault.kind, expected, "{fault}");
    }
    wire.rules(&json!([]));
    assert_eq!(ssm.list_commands("AWS-RunShellScript", Timestamp::UNIX_EPOCH).await.expect("an answer"), []);
}

#[tokio::test]
async fn readings_outlast_a_fault_or_two() {
    let server = Ministack::start();
    let wire = Microburst::start(&server.endpoint());
    let boxes = targets(&start_machines(&server.endpoint(), 1, &[("Tier", "front")]));
    let aws = aws(&wire.endpoint()).await;
    wire.rules(&json!([
        { "service": "ec2", "operation": "DescribeInstances", "times": 1, "error": { "code": "RequestLimitExceeded" } },
        { "service": "ssm", "operation": "ListCommands", "times": 1, "response": { "abort_frac": 0.5 } },
    ]));
    let query = runbook_engine::target::TargetQuery::Aws {
        tags: [("Tier".to_owned(), vec!["front".to_owned()])].into(),
        ids: Vec::new(),
        resource_group: None,
        region: None,
        role: None,
        external_id: None,
    };
    let found = aws.resolve(&GroupName::new("front"), &query).await.expect("an answer");
    assert_eq!(found.iter().map(|target| &target.id).collect::<Vec<_>>(), boxes.iter().collect::<Vec<_>>());
    let rows = aws.ssm(&home()).list_commands("AWS-RunShellScript", Timestamp::UNIX_EPOCH).await;
    assert_eq!(rows.expect("an answer"), []);
    assert_eq!((wire.fired("DescribeInstances"), wire.fired("ListCommands")), (1, 1));
}

#[tokio::test]
async fn nobody_there_is_known_not_to_be_sent() {
    let boxes = targets(&["i-0123456789abcdef0".to_owned()]);
    let ssm = aws("http://127.0.0.1:1").await.ssm(&home());
    let fault = ssm.send_command(script(&boxes, "marker", ":")).await.expect_err("nobody listens");
    assert_eq!(fault.kind, FaultKind::NotSent, "{fault}");
}
