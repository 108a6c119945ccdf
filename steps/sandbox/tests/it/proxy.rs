//! The machines behind the proxy.

use serde_json::json;

use crate::rig::{FLEET, Rig};

#[tokio::test]
async fn machines_answer_their_checks() {
    let fleet = format!("{FLEET}faults:\n  - {{ kind: unhealthy, targets: [web-2], after: 1h }}\n");
    let rig = Rig::start(&fleet).await;
    let get =
        async |host: &str| rig.send(&format!("GET http://{host}:8080/healthz"), "").await.unwrap().status;
    assert_eq!((get("web-1").await, get("web-2").await), (200, 200));
    rig.post("/_sandbox/clock", &json!({ "by": "2h" })).await;
    assert_eq!((get("web-1").await, get("web-2").await), (200, 503));
    assert_eq!(rig.send("CONNECT web-2:22", "").await.unwrap().status, 502);
    let refused = rig.send("CONNECT web-2:22", "").await.unwrap();
    assert_eq!(refused.header("x-runbook-proxy"), Some("refused"));
    let webhook = rig.send("POST http://chat.example/hook", "hello").await.unwrap();
    assert_eq!(webhook.status, 204);
    // Neither checks nor messages are calls of AWS.
    assert!(rig.calls().await.is_empty());
}

#[tokio::test]
async fn a_tunnel_can_be_made_to_a_machine_that_is_well() {
    use tokio::io::AsyncReadExt as _;
    let rig = Rig::start(FLEET).await;
    let mut tunnel = rig.begin("CONNECT web-1:22", "").await;
    let mut start = [0; 12];
    tunnel.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
}
