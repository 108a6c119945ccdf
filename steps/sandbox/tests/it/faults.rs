//! What goes wrong on the way.

use serde_json::json;

use crate::rig::{FLEET, Rig};

#[tokio::test]
async fn a_lost_answer_is_a_closed_connection() {
    let fleet = format!("{FLEET}faults:\n  - {{ kind: answer_lost, call: 'sts:GetCallerIdentity' }}\n");
    let rig = Rig::start(&fleet).await;
    let ask = "Action=GetCallerIdentity&Version=2011-06-15";
    assert!(rig.sts(ask).await.is_none());
    assert_eq!(rig.sts(ask).await.unwrap().status, 200);
    let answered: Vec<_> = rig.calls().await.iter().map(|call| call["answered"].clone()).collect();
    assert_eq!(answered, [false, true]);
}

#[tokio::test]
async fn throttles_strike_later_pages_too() {
    let fleet = format!("{FLEET}faults:\n  - {{ kind: throttled, call: 'ssm:ListDocuments', times: 2 }}\n");
    let rig = Rig::start(&fleet).await;
    let first = json!({ "MaxResults": 1 });
    for _ in 0..2 {
        let throttled = rig.ssm("ListDocuments", &first).await;
        assert_eq!((throttled.status, &throttled.json()["__type"]), (400, &json!("ThrottlingException")));
    }
    assert_eq!(rig.ssm("ListDocuments", &first).await.status, 200);
    let calls = rig.calls().await;
    assert_eq!(calls[0]["error"], json!("ThrottlingException"));
}
