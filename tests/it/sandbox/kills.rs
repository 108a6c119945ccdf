//! Killed with SIGKILL between every two AWS calls of every action and of every strategy of `aws/restore`, and resumed:
//! the same end, and the sandbox, another process, saw no effect twice.
//!
//! A point is a call and a side of it. A call that writes is held before its effect and after it. A call that only
//! reads changes nothing on either side, so it is held on one. There are many of those (polls): of each row of calls to
//! one reading operation the first may be a point, and of these rows every third one is;
//! `RUNBOOK_EVERY_KILL=1` takes every call.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    calls::{Calls, Effects},
    rollout::{End, Rollout, kill},
    server::When,
};

/// So many runners at a time: cores are few.
const AT_A_TIME: usize = 2;

/// Of so many rows of reading calls one is a point.
const ROWS: usize = 3;

/// Takes every point.
const EVERY: &str = "RUNBOOK_EVERY_KILL";

/// What a person may do twice without harm, and AWS too: the second time sets what is set already.
const SETTING: [&str; 3] = ["ec2:CreateTags", "ec2:ModifyInstanceAttribute", "ec2:ModifyVolumeAttribute"];

/// An action on a few machines.
struct Scene {
    runbook: String,
    fleet: String,
    /// Undisturbed.
    exit: i64,
}

/// What must be the same whether it was killed or not.
#[derive(Debug, PartialEq, Eq)]
struct Trace {
    end: End,
    effects: Effects,
    doubled: BTreeSet<String>,
}

impl Trace {
    #[track_caller]
    fn of(rollout: &Rollout) -> Self {
        let calls = rollout.sandbox.calls();
        let mut effects = calls.by_machine();
        effects.retain(|(operation, _), _| !SETTING.contains(&operation.as_str()));
        Self { end: rollout.end(), effects, doubled: calls.doubled() }
    }
}

impl Scene {
    fn rollout(&self) -> Rollout {
        Rollout::new(&self.runbook, &self.fleet)
    }

    #[track_caller]
    fn survives(&self) {
        let smooth = self.rollout();
        let end = smooth.run();
        assert_eq!(end.exit, Some(self.exit), "{}\n{}", smooth.page(), smooth.log());
        let expected = Trace::of(&smooth);
        assert_eq!(expected.doubled, [].into());
        let points = points(&smooth.sandbox.calls());
        eprintln!("{} calls, {} kills", smooth.sandbox.calls().0.len(), points.len());
        drop(smooth);
        let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..AT_A_TIME {
                scope.spawn(|| {
                    while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if let Some(difference) = self.killed_at(*point, &expected) {
                            eprintln!("{difference}");
                            failed.lock().expect("unpoisoned").push(difference);
                        }
                    }
                });
            }
        });
        let failed = failed.into_inner().expect("unpoisoned");
        assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), points.len(), failed.join("\n"));
    }

    /// `None`: it came out as if nothing had happened.
    fn killed_at(&self, (call, when): (usize, When), expected: &Trace) -> Option<String> {
        let rollout = self.rollout();
        rollout.sandbox.hold(call, when);
        let mut child = rollout.begin();
        let mut over = || child.try_wait().expect("it can be asked").is_some();
        let Some(held) = rollout.sandbox.held(&mut over) else {
            rollout.ends(child);
            // Which call comes when is not the same in every run; where there are fewer, nothing was killed.
            return None;
        };
        kill(child);
        rollout.sandbox.release();
        rollout.ends(rollout.go_on());
        let got = Trace::of(&rollout);
        (got != *expected).then(|| {
            format!(
                "killed {when:?} call {call} ({held}): {}\n{}\n{}",
                difference(expected, &got),
                rollout.page(),
                rollout.log()
            )
        })
    }
}

/// Where to kill.
fn points(calls: &Calls) -> Vec<(usize, When)> {
    let every = std::env::var_os(EVERY).is_some();
    let names: Vec<_> = calls.0.iter().map(|call| call.name()).collect();
    let mut points = Vec::new();
    let mut rows = 0;
    for (place, call) in calls.0.iter().enumerate() {
        if call.writes {
            points.extend([(place + 1, When::Before), (place + 1, When::After)]);
            continue;
        }
        let is_first = place == 0 || names[place - 1] != names[place];
        rows += usize::from(is_first);
        if every || is_first && rows.is_multiple_of(ROWS) {
            points.push((place + 1, When::Before));
        }
    }
    points
}

fn difference(expected: &Trace, got: &Trace) -> String {
    let mut lines = Vec::new();
    if expected.end != got.end {
        lines.push(format!("expected {:?}\ngot {:?}", expected.end, got.end));
    }
    lines.extend(got.doubled.iter().map(|effect| format!("twice: {effect}")));
    let all = expected.effects.keys().chain(got.effects.keys());
    for effect in all.collect::<BTreeSet<_>>() {
        let (wanted, found) = (expected.effects.get(effect), got.effects.get(effect));
        if wanted != found {
            let times = |count: Option<&usize>| count.copied().unwrap_or_default();
            lines.push(format!("{} on {}: {} for {}", effect.0, effect.1, times(found), times(wanted)));
        }
    }
    lines.join("\n")
}

/// Three machines; two volumes each.
const FLEET: &str = r#"
fleet: killed
start: 2026-11-21T16:00:00Z
groups:
  - { name: web, count: 3, tags: { Fleet: killed }, volumes: 2 }
"#;

/// One step with this action on all machines.
fn step(uses: &str, with: &str, more: &str) -> Scene {
    let runbook = format!(
        r#"
runbook: killed
targets:
  web: {{ aws: {{ tags: {{ Fleet: killed }} }} }}
steps:
  work:
    uses: {uses}
    targets: web
    with: {with}
{more}
"#
    );
    Scene { runbook, fleet: FLEET.into(), exit: 0 }
}

const NO_WAY_BACK: &str = "    way_back: none\n    because: the machines of this test are thrown away";

#[test]
fn snapshot() {
    step("aws/snapshot", "{ keep: 14d }", "").survives();
}

#[test]
fn backup() {
    step("aws/backup", BACKUP, "").survives();
}

/// Where AWS Backup keeps it, and as whom.
const BACKUP: &str = "{ keep: 14d, role: 'arn:aws:iam::123456789012:role/backup' }";

#[test]
fn scan() {
    step("aws/patch", "{ operation: Scan }", "").survives();
}

#[test]
fn install() {
    step("aws/patch", "{ operation: Install }", NO_WAY_BACK).survives();
}

#[test]
fn compliance() {
    let more = r#"  compliant:
    needs: [work]
    uses: aws/compliance
    targets: web
    with: { max_missing: 100, max_critical: 100, max_security: 100, max_other: 100 }"#;
    step("aws/patch", "{ operation: Scan }", more).survives();
}

#[test]
fn command() {
    step(
        "aws/command",
        "{ script: 'uptime' }",
        "    effect: changes\n    way_back: none\n    because: it is harmless",
    )
    .survives();
}

#[test]
fn reboot() {
    step("aws/reboot", "{}", NO_WAY_BACK).survives();
}

#[test]
fn replace_root_volume() {
    restored("aws/snapshot", "{ keep: 14d }", "replace-root-volume", 1).survives();
}

#[test]
fn swap_volumes() {
    restored("aws/snapshot", "{ keep: 14d }", "swap-volumes", 2).survives();
}

#[test]
fn backup_restore() {
    restored("aws/backup", BACKUP, "backup-restore", 2).survives();
}

/// Two of three machines are sick after their patches and go back to their backup.
fn restored(backup: &str, with: &str, strategy: &str, volumes: u32) -> Scene {
    let runbook = format!(
        r#"
runbook: killed
targets:
  web: {{ aws: {{ tags: {{ Fleet: killed }} }} }}
blocks:
  patched:
    backup:
      uses: {backup}
      with: {with}
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
    let fleet = format!(
        r#"
fleet: killed
start: 2026-11-21T16:00:00Z
groups:
  - {{ name: web, count: 3, tags: {{ Fleet: killed }}, volumes: {volumes} }}
faults:
  - {{ kind: unhealthy_after_patch, targets: [web/1, web/3] }}
"#
    );
    Scene { runbook, fleet, exit: 0 }
}
