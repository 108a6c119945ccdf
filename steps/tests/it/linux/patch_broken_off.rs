//! `linux/patch`, broken off when packages are installed already.

use std::{sync::Arc, time::Duration};

use runbook_engine::outcome::ErrorClass;
use runbook_steps::{
    actions::linux::patch::Patch,
    context::StopReason,
    ports::{
        fault::FaultKind,
        linux::{Deed, Job, Order, Wanted},
    },
    world::World,
};
use serde_json::{Value, json};

use super::{
    NAMES, attempt,
    between::{Between, fault},
    hosts, jobs, run, world,
};
use crate::contract::attempt::Attempt;

fn install(reboot: &str) -> Value {
    json!({
        "operation": "Install", "select": "all", "held": "keep", "config_files": "keep", "reboot": reboot,
        "lock_wait": "10m",
    })
}

fn through(world: &Arc<World>, between: Between, inputs: Value) -> Attempt {
    let mut attempt = attempt(world, inputs);
    attempt.ports = between.ports(world);
    attempt
}

/// Every host counts as changed, and is known to have all four packages.
fn is_changed(attempt: &Attempt) {
    let recorded = attempt.journal.recorded();
    for name in NAMES {
        assert_eq!(recorded.reports[name].class, Some(ErrorClass::Failed), "{name}");
        assert_eq!(recorded.outputs[name]["platform"], "debian-12-amd64");
        assert_eq!(recorded.outputs[name]["changed"].as_array().map(Vec::len), Some(4), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_installed_when_the_time_is_over_was_changed() {
    let world = world("");
    let attempt = attempt(&world, install("RebootIfNeeded"));
    let (stop, clock) = (attempt.stop.clone(), world.ports().clock);
    tokio::spawn(async move {
        clock.sleep(Duration::from_secs(120)).await;
        stop.send_replace(StopReason::TimedOut);
    });
    let said = run(&Patch::default(), &attempt).await;
    let cause =
        "failed: the packages are installed, the reboot was not begun: the time was over before it was begun";
    assert_eq!(said, [cause; 3]);
    is_changed(&attempt);
    assert!(!jobs(&world).contains_key("reboot"));
}

#[tokio::test(start_paused = true)]
async fn a_host_whose_reboot_is_refused_was_changed() {
    for (kind, said) in [(FaultKind::Denied, "failed"), (FaultKind::NotSent, "unreachable")] {
        let world = world("");
        let reboots = |job: Option<&Job>| job.is_some_and(|job| matches!(job.deed, Deed::Reboot));
        let between = Between::of(&world)
            .refusing(move |call, _, job| reboots(job).then(|| fault(call, kind, "sudo wants a password")));
        let attempt = through(&world, between, install("RebootIfNeeded"));
        let cause = "the packages are installed, the reboot was not begun: ssh:start: sudo wants a password";
        assert_eq!(run(&Patch::default(), &attempt).await, vec![format!("{said}: {cause}"); 3]);
        is_changed(&attempt);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_host_fell_silent_with_is_known() {
    let world = world("");
    // The manifest of before is read before the installation, the one of afterwards never is.
    let clock = world.ports().clock;
    let began = clock.now();
    let silent = move |call, at: jiff::Timestamp| {
        (at.duration_since(began).as_secs() > 60).then(|| fault(call, FaultKind::NotSent, "no answer"))
    };
    let between = Between::of(&world).refusing(move |call, _, _| match call {
        "ssh:packages" => silent(call, clock.now()),
        _ => None,
    });
    let attempt = through(&world, between, install("NoReboot"));
    assert_eq!(run(&Patch::default(), &attempt).await, ["unreachable: ssh:packages: no answer"; 3]);
    is_changed(&attempt);
}

/// Somebody else's transaction ends in the middle on every host.
pub async fn half_done(world: &Arc<World>) {
    let wanted = ["curl", "openssl"].map(|name| Wanted {
        name: name.to_owned(),
        arch: "amd64".to_owned(),
        version: Some("1.0-2".to_owned()),
    });
    let order = Order { wanted: wanted.into(), ..Order::default() };
    for host in hosts() {
        let deed = Deed::Install(order.clone());
        let job = Job { token: format!("other-{}", host.name), run: "9z9z".into(), exclusive: true, deed };
        world.ports().linux.start(&host, &job).await.expect("it starts");
    }
    world.ports().clock.sleep(Duration::from_secs(3600)).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_after_a_repair_was_not_left_alone() {
    let world = world("{ kind: half_done, times: 1 }");
    half_done(&world).await;
    let mut inputs = install("NoReboot");
    inputs["packages"] = json!(["curl=7.0"]);
    let attempt = attempt(&world, inputs);
    let cause = "failed: what an interrupted transaction had left was ended, and nothing else was installed: the \
                 package manager refuses: version 7.0 of curl was not found";
    assert_eq!(run(&Patch::default(), &attempt).await, [cause; 3]);
    assert_eq!(jobs(&world)["repair"], 1);
    let recorded = attempt.journal.recorded();
    assert!(recorded.reports.values().all(|report| report.class == Some(ErrorClass::Failed)));
}

/// Refused for some minutes in the middle of the installation.
fn refused_for(world: &Arc<World>, minutes: i64) -> Between {
    let clock = world.ports().clock;
    let began = clock.now();
    Between::of(world).refusing(move |call, _, _| {
        let passed = clock.now().duration_since(began).as_secs();
        let refused = (120..120 + minutes * 60).contains(&passed);
        refused.then(|| fault(call, FaultKind::Denied, "sudo: account validation failure"))
    })
}

#[tokio::test(start_paused = true)]
async fn a_host_that_refuses_for_some_minutes_in_the_middle_is_waited_for() {
    let short = world("");
    let attempt = through(&short, refused_for(&short, 4), install("RebootIfNeeded"));
    assert_eq!(run(&Patch::default(), &attempt).await, ["succeeded"; 3]);
    let long = world("");
    let attempt = through(&long, refused_for(&long, 20), install("RebootIfNeeded"));
    let said = run(&Patch::default(), &attempt).await;
    assert!(said[0].starts_with("unknown: not heard of since 08:0"), "{}", said[0]);
    assert!(
        said[0].ends_with("while the installation was running: sudo: account validation failure"),
        "{}",
        said[0]
    );
}
