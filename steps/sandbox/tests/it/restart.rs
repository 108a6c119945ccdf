//! A sandbox goes on where it was.

use serde_json::json;

use runbook_sandbox::{Options, Sandbox, SandboxError};

use crate::rig::{FLEET, Rig};

#[tokio::test]
async fn two_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::open(FLEET, Some(folder.path())).await;
    rig.ssm("ListDocuments", &json!({})).await;
    rig.post("/_sandbox/clock", &json!({ "by": "1h" })).await;
    rig.stop().await;
    let rig = Rig::open(FLEET, Some(folder.path())).await;
    assert_eq!(rig.get("/_sandbox/clock").await["now"], json!("2026-01-05T09:00:00Z"));
    let token = rig.ssm("ListDocuments", &json!({ "MaxResults": 1 })).await.json()["NextToken"].clone();
    rig.stop().await;
    let rig = Rig::open(FLEET, Some(folder.path())).await;
    assert_eq!(rig.get("/_sandbox/clock").await["now"], json!("2026-01-05T09:00:00Z"));
    // Page tokens do not outlive it.
    assert_eq!(rig.ssm("ListDocuments", &json!({ "NextToken": token })).await.status, 400);
    let numbers: Vec<_> = rig.calls().await.iter().map(|call| call["n"].clone()).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test]
async fn one_folder_has_one_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let _rig = Rig::open(FLEET, Some(folder.path())).await;
    let options = Options { folder: Some(folder.path().to_owned()), speed: 0, seed: 7 };
    assert!(matches!(Sandbox::open(FLEET, &options), Err(SandboxError::InUse { .. })));
}

#[tokio::test]
async fn only_this_machine_may_reach_it() {
    for address in [([0, 0, 0, 0], 0), ([192, 0, 2, 1], 0)] {
        assert!(matches!(Sandbox::listen(address.into()).await, Err(SandboxError::NotLoopback { .. })));
    }
}
