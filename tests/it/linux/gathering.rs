//! `runbook inventory --gather` asks real hosts.

use runbook_test_hosts::{Estate, Family};
use serde_json::json;

use crate::program::Place;

#[test]
fn every_family_says_what_it_is_and_what_waits() {
    let estate = Estate::new("gather");
    let families = [("web1", Family::Debian), ("db1", Family::Dnf), ("app1", Family::Zypper)];
    let hosts = estate.start(families.map(|(name, family)| estate.recipe(family, name)));
    estate.repository().publish("runbook-demo", "1.2-1");
    estate.repository().publish_security("runbook-plain", "1.1-1");
    hosts[0].run("apt-get update");
    hosts[1].run("dnf makecache");
    hosts[2].run("zypper -n refresh");
    let place = Place::new();
    let entries: String = hosts.iter().map(|host| format!("  {}\n", host.entry())).collect();
    let path = place.write("inventory.yaml", &format!(
            "inventory: ours\nhosts:\n{entries}groups: {{ web: {{ hosts: [web1, app1], environment: test, vars: {{ port: \"80\" }} }} }}\n"
        ));
    let asked = ["inventory", "--inventory", &path.display().to_string(), "--gather", "--json"];
    let gathered = place.run(&asked).exits(0).json();
    let facts = |name: &str| {
        let hosts = gathered["hosts"].as_array().expect("hosts");
        let host = hosts.iter().find(|host| host["id"] == name).expect("the host");
        let facts = &host["facts"];
        // The library comes along with the service.
        assert_eq!(facts["pending"], 3, "{host}");
        assert_eq!(facts["pending_security"], 1, "{host}");
        assert_eq!(facts["reboot_needed"], json!([]), "{host}");
        (facts["os"].clone(), facts["package_manager"].clone())
    };
    assert_eq!(facts("web1"), (json!("Debian GNU/Linux 12 (bookworm)"), json!("apt")));
    assert_eq!(facts("db1"), (json!("Rocky Linux 9.4 (Blue Onyx)"), json!("dnf")));
    assert_eq!(facts("app1"), (json!("SUSE Linux Enterprise Server 15 SP6"), json!("zypper")));

    // What they said is a fleet to rehearse on: its plan is the plan of the real hosts.
    let fleet =
        place.run(&["inventory", "--inventory", &path.display().to_string(), "--gather", "--as-fleet"]);
    let fleet = place.write("fleet.yaml", &fleet.exits(0).stdout).display().to_string();
    let runbook = place.write(
        "runbook.yaml",
        "runbook: look
targets: { ours: { hosts: { inventory: inventory.yaml, group: 'web:web1:db*' } } }
steps:
  scan: { uses: linux/patch, targets: ours, with: { operation: Scan } }
",
    );
    let runbook = runbook.display().to_string();
    let real = place.run(&["plan", &runbook, "--json"]).exits(0).json();
    let simulated = place.run(&["plan", &runbook, "--fleet", &fleet, "--json"]).exits(0).json();
    assert_eq!(real, simulated);
    let asked = ["inventory", &runbook, "--fleet", &fleet, "--gather", "--json"];
    let simulated = place.run(&asked).exits(0).json();
    for host in simulated["hosts"].as_array().expect("hosts") {
        let real = gathered["hosts"].as_array().expect("hosts").iter().find(|real| real["id"] == host["id"]);
        let real = &real.expect("the same host")["facts"];
        for fact in ["platform", "package_manager", "pending", "pending_security"] {
            assert_eq!(host["facts"][fact], real[fact], "{fact} of {}", host["id"]);
        }
    }
}
