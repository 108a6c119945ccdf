//! The clock, the call log, holds and people.

use serde_json::json;

use crate::rig::{FLEET, Rig, eventually, ssm};

#[tokio::test]
async fn time_stands_still_until_it_is_moved() {
    let rig = Rig::start(FLEET).await;
    assert_eq!(rig.get("/_sandbox/clock").await["now"], json!("2026-01-05T08:00:00Z"));
    let moved = rig.post("/_sandbox/clock", &json!({ "by": "1h" })).await;
    assert_eq!(moved["now"], json!("2026-01-05T09:00:00Z"));
    rig.post("/_sandbox/clock", &json!({ "to": "2026-01-05T10:00:00Z" })).await;
    // It never goes back.
    rig.post("/_sandbox/clock", &json!({ "to": "2026-01-05T07:00:00Z" })).await;
    assert_eq!(rig.get("/_sandbox/clock").await["now"], json!("2026-01-05T10:00:00Z"));
    let wrong = rig.send("POST /_sandbox/clock", r#"{"by":"1h","to":"2026-01-05T07:00:00Z"}"#).await.unwrap();
    assert_eq!(wrong.status, 400);
}

#[tokio::test]
async fn a_request_carries_time_there_and_back() {
    let rig = Rig::start(FLEET).await;
    let head = format!("{}x-runbook-clock: 2026-01-05T12:00:00Z", ssm("ListDocuments"));
    let answer = rig.send(&head, "{}").await.unwrap();
    assert_eq!(answer.header("x-runbook-clock"), Some("2026-01-05T12:00:00Z"));
    assert_eq!(rig.calls().await[0]["at"], json!("2026-01-05T12:00:00Z"));
    let answer = rig.send("GET /_sandbox/clock\nx-runbook-clock: noon", "").await.unwrap();
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn every_call_is_noted() {
    let rig = Rig::start(FLEET).await;
    rig.ssm("ListDocuments", &json!({})).await;
    let refused =
        rig.ssm("SendCommand", &json!({ "DocumentName": "Nowhere", "InstanceIds": ["i-12345678"] })).await;
    let calls = rig.calls().await;
    assert_eq!(calls.len(), 2);
    let list = &calls[0];
    assert_eq!(
        (&list["n"], &list["service"], &list["operation"], &list["writes"], &list["took_effect"]),
        (&json!(1), &json!("ssm"), &json!("ListDocuments"), &json!(false), &json!(false))
    );
    assert_eq!((&list["account"], &list["region"]), (&json!("123456789012"), &json!("eu-central-1")));
    let send = &calls[1];
    assert_eq!((&send["writes"], &send["took_effect"]), (&json!(true), &json!(false)));
    assert_eq!((&send["answered"], &send["error"]), (&json!(true), &json!("InvalidDocument")));
    assert_eq!(send["request_id"].as_str(), refused.header("x-amzn-requestid"));
}

#[tokio::test]
async fn a_held_call_goes_on_when_it_is_released() {
    for when in ["before", "after"] {
        let rig = Rig::start(FLEET).await;
        rig.post("/_sandbox/hold", &json!({ "call": 2, "when": when })).await;
        assert_eq!(rig.ssm("ListDocuments", &json!({})).await.status, 200);
        let holding = async {
            let answer = rig.ssm("GetDocument", &json!({ "Name": "AWS-RunShellScript" })).await;
            assert_eq!(answer.status, 200);
        };
        let watching = async {
            let held = rig.get("/_sandbox/held").await;
            assert_eq!(held, json!({ "n": 2, "operation": "ssm:GetDocument" }));
            // It is not over, so it is not in the log; others are not held up by it.
            assert_eq!(rig.calls().await.len(), 1);
            assert_eq!(rig.ssm("ListDocuments", &json!({})).await.status, 200);
            assert_eq!(rig.post("/_sandbox/release", &json!({})).await, json!({ "released": 1 }));
        };
        tokio::join!(holding, watching);
        let answered: Vec<_> = rig.calls().await.iter().map(|call| call["answered"].clone()).collect();
        assert_eq!(answered, [true, true, true]);
    }
}

#[tokio::test]
async fn a_held_call_whose_client_goes_away_is_dropped() {
    let rig = Rig::start(FLEET).await;
    rig.post("/_sandbox/hold", &json!({ "call": 1, "when": "before" })).await;
    let client = rig.begin(&ssm("ListDocuments"), "{}").await;
    rig.get("/_sandbox/held").await;
    drop(client);
    eventually(async || rig.calls().await.len() == 1).await;
    assert_eq!(rig.calls().await[0]["answered"], json!(false));
    assert_eq!(rig.post("/_sandbox/release", &json!({})).await, json!({ "released": 0 }));
}

#[tokio::test]
async fn people_say_what_the_fleet_says() {
    let fleet = format!("{FLEET}people:\n  - {{ name: anna, groups: [ops], after: 5m, answer: approve }}\n");
    let rig = Rig::start(&fleet).await;
    let said = rig.get("/_sandbox/people?gate=approve&opened=2026-01-05T08%3A00%3A00Z").await;
    assert_eq!(
        said,
        json!([{ "at": "2026-01-05T08:05:00Z", "user": "anna", "groups": ["ops"], "approve": true, "note": null }])
    );
    assert_eq!(rig.send("GET /_sandbox/nothing", "").await.unwrap().status, 404);
}
