//! `linux/service` and `linux/file`.

use runbook_steps::actions::linux::{file::File, service::Service};
use serde_json::json;

use super::{attempt, jobs, run, survives, world};

#[tokio::test(start_paused = true)]
async fn a_service_is_restarted_once() {
    let make = || {
        let world = world("");
        let attempt = attempt(&world, json!({ "name": "shop", "state": "restarted" }));
        (world, attempt)
    };
    survives(&Service::default(), make, &[("service", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_so_already_is_left_alone() {
    let world = world("");
    let started = attempt(&world, json!({ "name": "shop", "state": "started" }));
    assert_eq!(run(&Service::default(), &started).await, ["succeeded"; 3]);
    assert!(jobs(&world).is_empty());
    let stopped = attempt(&world, json!({ "name": "shop", "state": "stopped" }));
    assert_eq!(run(&Service::default(), &stopped).await, ["succeeded"; 3]);
    assert_eq!(stopped.journal.recorded().outputs["box-1"]["words"], "inactive (dead)");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_come_up_is_a_failure() {
    let world = world("{ kind: unhealthy, targets: [box-1] }");
    let attempt_ = attempt(&world, json!({ "name": "shop", "state": "restarted" }));
    let said = run(&Service::default(), &attempt_).await;
    assert_eq!(said, ["failed: shop is not restarted: failed", "succeeded", "succeeded"]);
    let other = attempt(&world, json!({ "name": "shoe", "state": "started" }));
    assert_eq!(run(&Service::default(), &other).await, ["failed: ssh:service: there is no service shoe"; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_file_is_put_in_its_place_once() {
    let make = || {
        let world = world("");
        let attempt = attempt(&world, json!({ "path": "/etc/motd", "content": "hello", "mode": "0644" }));
        (world, attempt)
    };
    survives(&File::default(), make, &[("file", 1)]).await;
    let world = world("");
    let wrong = attempt(&world, json!({ "path": "etc/motd", "content": "hello" }));
    assert_eq!(run(&File::default(), &wrong).await, ["failed: `etc/motd` does not begin at the root"; 3]);
}
