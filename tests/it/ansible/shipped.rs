//! The shipped runbook, and the page that compares.

use super::Playing;

#[test]
fn the_shipped_runbook_is_checked_planned_and_run_on_its_fleet() {
    let playing = Playing::new();
    playing.run(&["check", "runbooks/ansible.yaml"]).exits(0);
    playing.run(&["plan", "runbooks/ansible.yaml"]).exits(0);
    let fleet = ["--fleet", "runbooks/fleets/ansible.yaml"];
    playing.run(&["plan", "runbooks/ansible.yaml", fleet[0], fleet[1]]).exits(0);
    playing.run(&["run", "runbooks/ansible.yaml", fleet[0], fleet[1]]).exits(0);
    let show = playing.run(&["show", "--json"]).exits(0).json();
    assert_eq!(show["targets"]["production-7"]["outcome"], "failed", "{show:#}");
    assert_eq!(show["targets"]["production-9"]["outcome"], "unreachable", "{show:#}");
    assert_eq!(show["targets"]["production-8"]["outcome"], "succeeded", "{show:#}");
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
