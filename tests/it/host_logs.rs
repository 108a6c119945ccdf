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
