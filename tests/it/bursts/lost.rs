//! Answers that are lost after the effect: what was made is found again, and not made twice.

use std::collections::{BTreeMap, BTreeSet};

use runbook_test_servers::Microburst;
use serde_json::{Value, json};

use crate::{
    moto::{
        account::{Account, SPOILED},
        swap::Seen,
    },
    sandbox::{
        calls::Effects,
        rollout::{End, Rollout},
    },
};

/// Each answer of these calls breaks off in the middle.
fn lost(calls: &[(&str, &str)]) -> Value {
    let rule = |(service, operation): &(&str, &str)| {
        let mut rule = json!({
            "service": service,
            "operation": operation,
            "response": { "abort_frac": 0.5 },
        });
        // A question is asked until it is answered: whether one may (DryRun), and what boot a machine has.
        rule["body"] = match *operation {
            "SendCommand" => json!("!contains(Comment, ':boot:')"),
            // With its token it is the same job again, however often it is asked for: until somebody answers.
            "StartBackupJob" => {
                rule["times"] = json!(5);
                json!("ResourceArn")
            }
            _ => json!("!DryRun"),
        };
        rule
    };
    calls.iter().map(rule).collect()
}

/// Two of three machines are sick after their patches, and go back to their backup.
fn rollout(backup: &str, strategy: &str) -> Rollout {
    let runbook = format!(
        r#"
runbook: lost
targets:
  web: {{ aws: {{ tags: {{ Fleet: lost }} }} }}
blocks:
  patched:
    backup: {backup}
    patch:
      needs: [backup]
      uses: aws/patch
      with: {{ operation: Install }}
      on_failure: [restore]
    healthy:
      needs: [patch]
      uses: check/http
      with: {{ url: "http://{{{{ target.private_ip }}}}:8080/healthz", within: 2m, every: 30s }}
      on_failure: [restore]
    restore:
      uses: aws/restore
      targets: {{ failed_in: [patch, healthy] }}
      with: {{ from: backup, strategy: {strategy} }}
steps:
  all:
    run: patched
    targets: web
    rollout: {{ max_failures: 2 }}
"#
    );
    let fleet = r#"
fleet: lost
start: 2026-11-21T16:00:00Z
groups:
  - { name: web, count: 3, tags: { Fleet: lost }, volumes: 2 }
faults:
  - { kind: unhealthy_after_patch, targets: [web/1, web/3] }
"#;
    Rollout::new(&runbook, fleet)
}

/// How a run ended, and what was done to each machine; the sandbox's own log says it.
fn trace(rollout: &Rollout) -> (End, Effects, BTreeSet<String>) {
    let end = rollout.run();
    let calls = rollout.sandbox.calls();
    (end, calls.by_machine(), calls.doubled())
}

/// With every answer of these calls lost the same is done, once.
#[track_caller]
fn found_again(backup: &str, strategy: &str, calls: &[(&str, &str)]) {
    let smooth = trace(&rollout(backup, strategy));
    assert_eq!((smooth.0.exit, &smooth.2), (Some(0), &[].into()));

    let mut rollout = rollout(backup, strategy);
    let wire = Microburst::start(&rollout.sandbox.url());
    wire.rules(&lost(calls));
    rollout.by_way_of(wire.endpoint());
    let rough = trace(&rollout);
    assert_eq!(rough, smooth, "{}\n{}", rollout.page(), rollout.log());
    for (_, operation) in calls {
        assert!(wire.fired(operation) > 0, "no answer of {operation} was lost");
    }
}

#[test]
fn on_the_sandbox_commands_snapshots_and_volumes() {
    let calls = [
        ("ssm", "SendCommand"),
        ("ec2", "CreateSnapshots"),
        ("ec2", "CreateVolume"),
        ("ec2", "AttachVolume"),
    ];
    found_again("{ uses: aws/snapshot, with: { keep: 14d } }", "swap-volumes", &calls);
}

#[test]
fn on_the_sandbox_backup_jobs() {
    let backup = "{ uses: aws/backup, with: { keep: 14d, role: 'arn:aws:iam::123456789012:role/backup' } }";
    found_again(backup, "backup-restore", &[("backup", "StartBackupJob"), ("ssm", "SendCommand")]);
}

#[test]
fn on_moto_snapshots_and_volumes() {
    let account = Account::open();
    let before = Seen::of(&account);
    let wire = Microburst::start(&account.moto.endpoint());
    let calls = [("ec2", "CreateSnapshots"), ("ec2", "CreateVolume"), ("ec2", "AttachVolume")];
    wire.rules(&lost(&calls));
    let user = account.user("anybody").by_way_of(wire.endpoint());
    user.run(&["--limit", "production"]).exits(0);

    // Each was sent once: four machines, and two volumes of two of them.
    let sent: BTreeMap<_, _> = calls.iter().map(|(_, call)| (*call, wire.fired(call))).collect();
    assert_eq!(sent, [("CreateSnapshots", 4), ("CreateVolume", 4), ("AttachVolume", 4)].into());
    let after = Seen::of(&account);
    assert_eq!((after.snapshots.len(), after.volumes.len()), (8, before.volumes.len() + 4));
    let mut replaced = BTreeSet::new();
    for name in SPOILED {
        let machine = &account.estate[name];
        for (device, old) in [("/dev/sda1", &machine.root), ("/dev/sdf", &machine.data)] {
            assert_ne!(after.attached(machine, device).0, *old, "{name}");
            replaced.insert(old.clone());
        }
    }
    assert_eq!(after.loose(), replaced);
    assert!(!account.moto.log().contains("\" 500 "), "{}", account.moto.log());
}
