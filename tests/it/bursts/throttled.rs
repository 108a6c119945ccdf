//! Half of all calls throttled: the run finishes, and no call storm comes of it.
//!
//! Every second call of each service is throttled on the way, so that what was passed on is as much as what was not.

use std::collections::BTreeMap;

use runbook_test_servers::{Microburst, Ministack, environment, start_machines};
use serde_json::{Value, json};

use crate::{
    moto::{account::Account, swap::Seen},
    program::{Done, Place},
    sandbox::{calls::Calls, rollout::Rollout},
};

/// Every second call.
fn half() -> Value {
    let codes = [
        ("ec2", "RequestLimitExceeded"),
        ("ssm", "ThrottlingException"),
        ("backup", "ThrottlingException"),
        ("sts", "Throttling"),
    ];
    let rule = |(service, code)| json!({ "service": service, "sequence": [1, 1], "error": { "code": code } });
    codes.map(rule).into_iter().collect()
}

/// Sixty machines in three stages.
const FLEET: &str = r#"
fleet: throttled
start: 2026-11-21T16:00:00Z
groups:
  - { name: dev, count: 4, tags: { Environment: dev, "Patch Group": LinuxProd } }
  - { name: staging, count: 16, tags: { Environment: staging, "Patch Group": LinuxProd }, volumes: 2 }
  - { name: production, count: 40, tags: { Environment: production, "Patch Group": LinuxProd } }
people:
  - { name: alice, groups: [change-managers], gate: approve, after: 12m, answer: approve }
  - { name: bob, groups: [change-managers], gate: approve, after: 25m, answer: approve }
"#;

/// The most calls of one service in any second of the world's clock; by service.
fn busiest(calls: &Calls) -> BTreeMap<String, usize> {
    let mut seconds: BTreeMap<(String, String), usize> = BTreeMap::new();
    for call in &calls.0 {
        let second = call.at.chars().take("2026-11-21T16:00:00".len()).collect();
        *seconds.entry((call.service.clone(), second)).or_default() += 1;
    }
    let mut most = BTreeMap::new();
    for ((service, _), count) in seconds {
        let known: &mut usize = most.entry(service).or_default();
        *known = count.max(*known);
    }
    most
}

#[test]
fn on_the_sandbox_sixty_machines_are_patched() {
    let smooth = Rollout::shipped("runbooks/patch-linux.yaml", FLEET);
    let expected = smooth.run();
    assert_eq!(expected.exit, Some(0), "{}", smooth.page());

    let mut rough = Rollout::shipped("runbooks/patch-linux.yaml", FLEET);
    let wire = Microburst::start(&rough.sandbox.url());
    wire.rules(&half());
    rough.by_way_of(wire.endpoint());
    assert_eq!(rough.run(), expected, "{}\n{}", rough.page(), rough.log());
    let (calm, calls) = (smooth.sandbox.calls(), rough.sandbox.calls());
    assert_eq!(calls.doubled(), [].into());
    // What was passed on is half of what was sent. A burst is sent before the first answer says that it is too much; from
    // then on it is less at a time than without faults. In all it is about as many: what waits longer is looked at more
    // often.
    let most = busiest(&calm);
    for (service, passed) in busiest(&calls) {
        let calm = most[&service];
        assert!(2 * passed <= calm + 4, "{service}: {passed} passed on in a second, {calm} without faults");
    }
    assert!(2 * calls.0.len() <= 3 * calm.0.len(), "{} calls for {}", calls.0.len(), calm.0.len());
}

/// Twelve machines at once.
const BACKED_UP: &str = r#"
runbook: backed-up
targets:
  all: { aws: { tags: { Environment: [dev, staging, production] } } }
steps:
  backup: { uses: aws/snapshot, targets: all, with: { keep: 14d } }
"#;

#[test]
fn on_moto_twelve_machines_are_backed_up() {
    let account = Account::open();
    let wire = Microburst::start(&account.moto.endpoint());
    wire.rules(&half());
    let user = account.user("anybody").by_way_of(wire.endpoint());
    user.run_other(BACKED_UP, &[]).exits(0);
    assert_eq!(Seen::of(&account).snapshots.len(), 24);
    let (throttled, most) = (wire.fired("CreateSnapshots"), wire.busiest_second());
    assert!((1..=36).contains(&throttled), "{throttled} throttled for 12 that were carried out");
    // Twelve are begun at once, and as many others may come in that second; later it is a few.
    assert!((1..=12).contains(&most), "{most} of twice as many calls throttled in a second");
    assert!(!account.moto.log().contains("\" 500 "), "{}", account.moto.log());
}

/// A script on each box.
const COUNTED: &str = r#"
runbook: counted
targets:
  boxes: { aws: { tags: { "Patch Group": boxes } } }
steps:
  count:
    uses: aws/command
    targets: boxes
    with: { script: 'echo x >>"$COUNTERS/$INSTANCE_ID"' }
    timeout: 10m
    effect: changes
    way_back: none
    because: counting does no harm
"#;

#[test]
fn on_ministack_each_script_runs_once() {
    let server = Ministack::start();
    let boxes = start_machines(&server.endpoint(), 6, &[("Patch Group", "boxes")]);
    let wire = Microburst::start(&server.endpoint());
    wire.rules(&half());
    let place = Place::new();
    let file = place.write("counted.yaml", COUNTED).display().to_string();
    let mut command = place.command(&["run", &file]);
    command.envs(environment(&wire.endpoint()));
    Done::from(command.output().expect("the binary runs")).exits(0);
    assert!(boxes.iter().all(|id| server.count(id) == 1));
    // Ten at once are the most that Systems Manager is sent of each family, and every second one of them is throttled.
    let most = wire.busiest_second();
    assert!((1..=10).contains(&most), "{most} of twice as many calls throttled in a second");
}
