//! `check/log` counts lines from the moment when the machine's patch began, as the journal has it.

use crate::program::Place;

const FLEET: &str = "
fleet: logs
start: 2026-11-22T10:00:00Z
groups:
  - { name: box, count: 2, kind: host }
faults:
  - { kind: unhealthy_after_patch, step: deploy, targets: [box/2] }
";

fn runbook(since: &str) -> String {
    format!(
        "
runbook: logs
targets: {{ box: {{ hosts: {{ inventory: hosts.yaml }} }} }}
steps:
  look: {{ uses: local/command, effect: reads, targets: box, with: {{ script: uptime }} }}
  wait: {{ needs: [look], uses: gate/wait, with: {{ for: 1h }} }}
  deploy:
    needs: [wait]
    run: deploy-them
    targets: box
    rollout: {{ waves: [1, 100%], max_failures: 1 }}
blocks:
  deploy-them:
    deploy:
      uses: local/command
      effect: changes
      way_back: none
      because: nothing is changed here
      with: {{ script: deploy }}
    quiet: {{ needs: [deploy], uses: check/log, with: {{ unit: shop, patterns: [failed]{since} }} }}
"
    )
}

#[test]
fn since_the_machines_own_patch_or_since_a_step() {
    for (since, step) in [("", "deploy/wave-2/deploy"), (", since: deploy/deploy", "deploy/wave-2/deploy")] {
        let place = Place::new();
        let fleet = place.write("fleet.yaml", FLEET).display().to_string();
        let file = place.write("logs.yaml", &runbook(since)).display().to_string();
        place.run(&["run", &file, "--fleet", &fleet]).exits(0);
        let show = place.run(&["show", "--json"]).exits(0).json();
        let tasks = show["tasks"].as_array().expect("tasks");
        let deploy = tasks.iter().find(|task| task["task"] == step).expect("the task");
        let began = deploy["started_at"].as_str().expect("a time");
        assert!(began > "2026-11-22T11:00:00", "{began}");
        let cause = show["targets"]["box-2"]["cause"].as_str().unwrap_or_default();
        let expected = format!(
            "the journal of shop of box-2 has since {began} the line `simulated: the service failed`"
        );
        assert!(cause.ends_with(&expected), "{cause}\n{expected}");
        assert_eq!(show["targets"]["box-1"]["outcome"], "succeeded");
    }
}

/// Each step is a stage of its own there, and the patch began in another one.
#[test]
fn since_the_patch_also_where_every_step_stands_on_the_top_level() {
    let place = Place::new();
    let fleet = place.write("fleet.yaml", FLEET).display().to_string();
    let text = "
runbook: flat
targets: { box: { hosts: { inventory: hosts.yaml } } }
steps:
  deploy:
    uses: local/command
    targets: box
    effect: changes
    way_back: none
    because: nothing is changed here
    with: { script: deploy }
  wait: { needs: [deploy], uses: gate/wait, with: { for: 1h } }
  quiet: { needs: [wait], uses: check/log, targets: box, with: { unit: shop, patterns: [failed] } }
";
    let file = place.write("flat.yaml", text).display().to_string();
    place.run(&["run", &file, "--fleet", &fleet]).exits(10);
    let show = place.run(&["show", "--json"]).exits(0).json();
    let began = show["tasks"][0]["started_at"].as_str().expect("a time");
    let cause = show["targets"]["box-2"]["cause"].as_str().unwrap_or_default();
    assert!(cause.contains(&format!("has since {began} the line")), "{cause}\n{began}");
}

/// What was written between two attempts of a restore stays written: the second verification must not find it.
#[test]
fn since_the_latest_attempt_of_the_restore_that_is_verified() {
    let place = Place::new();
    let sick = "  - { kind: unhealthy_after_patch, step: restore, targets: [box/2] }\n";
    let fleet = place.write("fleet.yaml", &format!("{FLEET}{sick}")).display().to_string();
    let text = "
runbook: twice
targets: { box: { hosts: { inventory: hosts.yaml } } }
steps:
  deploy: { run: deploy-them, targets: box, rollout: { waves: [100%], max_failures: 1 } }
blocks:
  deploy-them:
    backup: { uses: local/command, effect: reads, backs_up: true, with: { script: backup } }
    deploy: { needs: [backup], uses: local/command, effect: changes, with: { script: deploy }, on_failure: [restore] }
    quiet: { needs: [deploy], uses: check/log, with: { unit: shop, patterns: [failed] }, on_failure: [restore] }
    restore:
      uses: local/command
      effect: changes
      restores: backup
      retry: { attempts: 2, errors: [failed], delay: 10m }
      with: { script: restore }
";
    let file = place.write("twice.yaml", text).display().to_string();
    place.run(&["run", &file, "--fleet", &fleet]).exits(11);
    let events = place.run(&["events", "--json"]).exits(0).stdout;
    let events =
        events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an event"));
    let starts: Vec<_> = events
        .filter(|entry| entry["event"]["type"] == "task_started")
        .filter(|entry| entry["event"]["task"].as_str().is_some_and(|task| task.ends_with("/restore")))
        .map(|entry| entry["at"].as_str().expect("a time").to_owned())
        .collect();
    assert_eq!(starts.len(), 2, "{starts:?}");
    let show = place.run(&["show", "--json"]).exits(0).json();
    let cause = show["targets"]["box-2"]["cause"].as_str().unwrap_or_default();
    assert!(cause.contains(&format!("has since {} the line", starts[1])), "{cause}\n{starts:?}");
    assert_eq!(show["targets"]["box-2"]["outcome"], "restore_failed", "{show:#}");
}
