//! Whole transcripts: what a person sees.

use insta::assert_snapshot;

use crate::program::Place;

const BROKEN: &str = "\
runbook: broken
targets:
  web: { hosts: { a: { address: 127.0.0.1 } } }
steps:
  patch:
    uses: aws/pach
    targets: web
  verify:
    uses: check/http
    targets: webb
    needs: [pach]
    with: { url: \"http://{{ target.private_ip }}/\" }
";

const GATED: &str = "\
runbook: gated
params:
  count: { type: integer, default: 2 }
  who: { type: string, enum: [world, moon] }
steps:
  hello:
    uses: local/command
    effect: reads
    with: { script: \"echo hello {{ params.who | sh }}\" }
  approve:
    needs: [hello]
    uses: gate/approval
    with: { approvers: [nobody-we-know], expires: 1h }
";

#[test]
fn help() {
    let place = Place::new();
    assert_snapshot!(place.run(&["--help"]).exits(0).transcript(&place));
}

#[test]
fn help_of_run() {
    let place = Place::new();
    assert_snapshot!(place.run(&["run", "--help"]).exits(0).transcript(&place));
}

#[test]
fn an_unknown_command_is_wrong_usage() {
    let place = Place::new();
    assert_snapshot!(place.run(&["rnu"]).exits(2).transcript(&place));
}

#[test]
fn init_then_check_then_run() {
    let place = Place::new();
    let folder = place.path("first").display().to_string();
    assert_snapshot!("init", place.run(&["init", &folder]).exits(0).transcript(&place));
    assert_snapshot!("init_again", place.run(&["init", &folder]).exits(2).transcript(&place));
    let (rollout, fleet) = (format!("{folder}/rollout.yaml"), format!("{folder}/fleet.yaml"));
    assert_snapshot!("init_check", place.run(&["check", &rollout]).exits(0).transcript(&place));
    assert_snapshot!(
        "init_plan",
        place.run(&["plan", &rollout, "--fleet", &fleet]).exits(0).transcript(&place)
    );
    place.run(&["run", &rollout, "--fleet", &fleet]).exits(0);
}

#[test]
fn check_says_everything_at_once() {
    let place = Place::new();
    let file = place.write("broken.yaml", BROKEN).display().to_string();
    assert_snapshot!(place.run(&["check", &file]).exits(3).transcript(&place));
}

#[test]
fn plan_refuses_what_check_refuses() {
    let place = Place::new();
    let file = place.write("broken.yaml", BROKEN).display().to_string();
    assert_snapshot!(place.run(&["plan", &file]).exits(3).transcript(&place));
}

#[test]
fn a_file_that_is_not_there() {
    let place = Place::new();
    let file = place.path("none.yaml").display().to_string();
    assert_snapshot!("no_file_check", place.run(&["check", &file]).exits(3).transcript(&place));
    assert_snapshot!("no_file_run", place.run(&["run", &file]).exits(3).transcript(&place));
}

#[test]
fn parameters_that_do_not_fit() {
    let place = Place::new();
    let file = place.write("gated.yaml", GATED).display().to_string();
    let given = ["plan", file.as_str(), "--param", "count=many", "--param", "whom=world"];
    assert_snapshot!("params_wrong", place.run(&given).exits(3).transcript(&place));
    assert_snapshot!(
        "params_no_value",
        place.run(&["plan", &file, "--param", "who"]).exits(2).transcript(&place)
    );
}

#[test]
fn nothing_has_run_yet() {
    let place = Place::new();
    assert_snapshot!("list_empty", place.run(&["list"]).exits(0).transcript(&place));
    let json = place.run(&["list", "--json"]).exits(0);
    assert_eq!(json.stdout, "");
    assert_snapshot!("show_empty", place.run(&["show"]).exits(2).transcript(&place));
    assert_snapshot!("resume_unknown", place.run(&["resume", "7k2m"]).exits(2).transcript(&place));
}

#[test]
fn a_plan_of_a_shipped_runbook() {
    let place = Place::new();
    let planned = place.run(&["plan", "runbooks/patch-linux.yaml", "--fleet", "runbooks/fleets/happy.yaml"]);
    assert_snapshot!(planned.exits(0).transcript(&place));
}

#[test]
fn a_saved_plan_is_refused_when_the_fleet_is_another_one() {
    let place = Place::new();
    let fleet = |count: u32| {
        format!(
            "fleet: small\ngroups:\n  - {{ name: web, count: {count}, tags: {{ \"Patch Group\": LinuxProd }} }}\n"
        )
    };
    let file = place.write("fleet.yaml", &fleet(3)).display().to_string();
    let plan = place.path("plan.json").display().to_string();
    let planned =
        ["plan", "runbooks/run-command.yaml", "--param", "script=uptime", "--fleet", &file, "-o", &plan];
    place.run(&planned).exits(0);
    place.write("fleet.yaml", &fleet(2));
    assert_snapshot!("stale_plan", place.run(&["run", &plan, "--fleet", &file]).exits(3).transcript(&place));
    place.write("fleet.yaml", &fleet(3));
    let with_params = ["run", &plan, "--fleet", &file, "--param", "script=id"];
    assert_snapshot!("frozen_plan", place.run(&with_params).exits(2).transcript(&place));
    place.run(&["run", &plan, "--fleet", &file]).exits(0);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let mut child =
        place.command(&["reference", "cli"]).stdout(std::process::Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn a_sandbox_is_on_this_machine_only() {
    let place = Place::new();
    let mut command = place.command(&["plan", "runbooks/patch-linux.yaml"]);
    let done = command.env("RUNBOOK_SANDBOX", "http://203.0.113.5:80").output().expect("it runs");
    assert_eq!(done.status.code(), Some(3));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.contains("a sandbox is on this machine only"), "{said}");
}
