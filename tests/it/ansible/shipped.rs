//! The shipped runbook, and the page that compares.

use super::Playing;

#[test]
fn the_shipped_runbook_is_checked_planned_and_run_on_its_fleet() {
    let playing = Playing::new();
    playing.run(&["check", "runbooks/ansible.yaml"]).exits(0);
    playing.run(&["plan", "runbooks/ansible.yaml"]).exits(0);
    let fleet = ["--fleet", "runbooks/fleets/ansible.yaml"];
    playing.run(&["plan", "runbooks/ansible.yaml", fleet[0], fleet[1]]).exits(0);
    let preview = playing.run(&["plan", "runbooks/ansible.yaml", fleet[0], fleet[1], "--ansible-check"]);
    let preview = preview.exits(0).stdout;
    assert!(preview.contains("  production/patch  production-08  work\n"), "{preview}");
    assert!(preview.contains("  production/patch  production-09  cannot be said: unreachable"), "{preview}");
    playing.run(&["run", "runbooks/ansible.yaml", fleet[0], fleet[1]]).exits(0);
    let show = playing.run(&["show", "--json"]).exits(0).json();
    assert_eq!(show["targets"]["production-07"]["outcome"], "failed", "{show:#}");
    assert_eq!(show["targets"]["production-09"]["outcome"], "unreachable", "{show:#}");
    assert_eq!(show["targets"]["production-08"]["outcome"], "succeeded", "{show:#}");
    // What was done by hand is kept, and shown.
    let rebuilt = show["tasks"].as_array().expect("tasks").iter();
    let mut rebuilt = rebuilt.filter(|task| task["task"] == "production/wave-2/rebuild");
    let rebuilt = rebuilt.next().expect("the gate");
    assert_eq!(rebuilt["outputs"]["evidence"], "CHG-2201: both rebuilt", "{rebuilt:#}");
    let page = playing.run(&["show"]).exits(0).stdout;
    assert!(page.contains("production/wave-2/rebuild  alice  CHG-2201: both rebuilt"), "{page}");
    let line = playing.run(&["events"]).exits(0).stdout;
    assert!(line.contains("CHG-2201"), "{line}");
}

/// Ansible itself can read what is shipped.
#[test]
fn the_shipped_playbook_is_one() {
    let playing = Playing::new();
    let ansible = runbook_test_servers::programs().join("ansible-playbook");
    let checked = std::process::Command::new(ansible)
        .args(["--syntax-check", "-i", "localhost,", "runbooks/ansible/patch.yml"])
        .current_dir(playing.place.path(""))
        .env("HOME", playing.place.path(""))
        .output()
        .expect("Ansible starts");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
