//! `linux/compliance` and `linux/policy`.

use runbook_steps::actions::linux::{compliance::Compliance, policy::Evaluate};
use serde_json::json;

use super::{attempt, run, survives, world, world_of};

#[tokio::test(start_paused = true)]
async fn security_updates_that_are_pending_are_too_many() {
    let world = world("");
    let strict = json!({ "max_missing_security": 0, "max_pending_reboot": 0, "max_drift": 0 });
    let strict = attempt(&world, strict);
    assert_eq!(
        run(&Compliance::default(), &strict).await,
        ["failed: 2 security updates are pending, 0 may be"; 3]
    );
    let loose =
        json!({ "max_missing_security": 2, "max_missing": 3, "max_pending_reboot": 0, "max_drift": 0 });
    let loose = attempt(&world, loose);
    assert_eq!(run(&Compliance::default(), &loose).await, ["failed: 4 updates are pending, 3 may be"; 3]);
}

#[tokio::test(start_paused = true)]
async fn drift_is_what_the_policy_says() {
    let world = world_of(
        "packages: [{ name: app, version: '1', next: '2' }, { name: bad, version: '6' },
                             { name: locked, version: '1', next: '2', held: true }]",
        "",
    );
    let inputs = json!({ "max_missing_security": 0, "max_pending_reboot": 0, "max_drift": 0,
                         "approved": ["a*", "locked"], "rejected": ["bad=6"] });
    let make = attempt(&world, inputs);
    assert_eq!(
        run(&Compliance::default(), &make).await,
        ["failed: 2 packages differ from the policy, 0 may be"; 3]
    );
    let recorded = make.journal.recorded();
    let outputs = &recorded.outputs["box-1"];
    assert_eq!((&outputs["drift"], &outputs["held"]), (&json!(["app=2", "bad=6"]), &json!(["locked=2"])));
}

#[tokio::test(start_paused = true)]
async fn a_policy_says_what_it_lets_through_and_why_not_the_rest() {
    let world = world("");
    let attempt_ = attempt(&world, json!({ "rejected": ["linux-image*"], "min_severity": "low" }));
    assert_eq!(run(&Evaluate::default(), &attempt_).await, ["succeeded"; 3]);
    let recorded = attempt_.journal.recorded();
    let outputs = &recorded.outputs["box-1"];
    assert_eq!(outputs["approved"], json!(["openssl=1.0-2"]));
    assert_eq!(outputs["kept_back"].as_array().map(Vec::len), Some(3));
}

#[tokio::test(start_paused = true)]
async fn asking_survives_everything() {
    let make = || {
        let world = world("");
        let limits = json!({ "max_missing_security": 9, "max_pending_reboot": 0, "max_drift": 0 });
        let attempt = attempt(&world, limits);
        (world, attempt)
    };
    survives(&Compliance::default(), make, &[("refresh", 1)]).await;
}
