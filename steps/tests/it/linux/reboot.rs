//! `linux/reboot`.

use runbook_steps::actions::linux::reboot::Reboot;
use serde_json::json;

use super::{attempt, jobs, run, survives, world};

#[tokio::test(start_paused = true)]
async fn once_on_each_host_however_often_the_process_dies() {
    let make = || {
        let world = world("");
        let attempt = attempt(&world, json!({ "only": "always" }));
        (world, attempt)
    };
    survives(&Reboot::default(), make, &[("reboot", 1)]).await;
}

#[tokio::test(start_paused = true)]
async fn it_is_proved_by_the_boot_id() {
    let world = world("{ kind: silent_after_reboot, targets: [box-3] }");
    let attempt = attempt(&world, json!({ "only": "always" }));
    let said = run(&Reboot::default(), &attempt).await;
    assert_eq!(said[..2], ["succeeded"; 2]);
    assert!(said[2].starts_with("unreachable: rebooted at 08:00:"), "{}", said[2]);
    assert!(said[2].ends_with("box-3 does not answer"), "{}", said[2]);
    let recorded = attempt.journal.recorded();
    let outputs = &recorded.outputs["box-1"];
    assert_eq!(outputs["rebooted"], true);
    assert_ne!(outputs["boot_id"], recorded.memory.checkpoints["box-1/boot"]);
}

#[tokio::test(start_paused = true)]
async fn only_where_it_is_needed() {
    let world = world("");
    let attempt = attempt(&world, json!({ "only": "needed" }));
    assert_eq!(run(&Reboot::default(), &attempt).await, ["succeeded"; 3]);
    assert_eq!(attempt.journal.recorded().outputs["box-1"]["rebooted"], false);
    assert!(jobs(&world).is_empty());
}

#[tokio::test(start_paused = true)]
async fn units_that_failed_afterwards_are_named() {
    let world = world("{ kind: unhealthy }");
    let attempt = attempt(&world, json!({ "only": "always" }));
    assert_eq!(run(&Reboot::default(), &attempt).await, ["succeeded"; 3]);
    assert_eq!(attempt.journal.recorded().outputs["box-1"]["failed_units"], json!(["shop.service"]));
}
