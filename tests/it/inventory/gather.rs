//! Asking hosts how they are.

use runbook_test_hosts::{Estate, Family};
use serde_json::json;

use super::{path, runbook};
use crate::program::Place;

#[test]
fn hosts_say_what_they_are_and_who_gives_no_answer_is_told() {
    let estate = Estate::new("gather");
    estate.repository().publish("runbook-demo", "1.1-1");
    let host = estate.start([estate.recipe(Family::Debian, "web1")]).remove(0);
    let place = Place::new();
    let inventory = format!(
        "inventory: estate
connection: {{ config: {} }}
hosts:
  web1: {{ address: {} }}
  web2: {{ address: {}, connection: {{ port: 1 }} }}
",
        estate.ssh_config().display(),
        host.address(),
        host.address(),
    );
    place.write("fleet.yaml", &inventory);
    // Nobody listens on the second one's port: the first one is shown all the same, and the exit code says so.
    let shown =
        place.run(&["inventory", "--json", "--gather", "-i", &path(&place, "fleet.yaml")]).exits(4).json();
    let (web1, web2) = (&shown["hosts"][0], &shown["hosts"][1]);
    assert!(web1["error"].is_null(), "{web1}");
    let facts = &web1["facts"];
    assert_eq!(facts["package_manager"], "apt");
    assert!(facts["platform"].as_str().is_some_and(|platform| platform.starts_with("debian-")), "{facts}");
    assert!(facts["pending"].is_u64() && facts["kernel"].is_string(), "{facts}");
    assert!(web2["facts"].is_null(), "{web2}");
    assert!(web2["error"].as_str().is_some_and(|cause| cause.contains("refused")), "{web2}");
    let page =
        place.run(&["inventory", "--gather", "-i", &path(&place, "fleet.yaml"), "-g", "web2"]).exits(4);
    assert!(page.stdout.contains("no answer") && page.stdout.contains("web2: "), "{}", page.stdout);
    place.run(&["inventory", "--gather", "-i", &path(&place, "fleet.yaml"), "-g", "web1"]).exits(0);
}

#[test]
fn a_simulated_fleet_answers_for_its_hosts() {
    let place = Place::new();
    place.write(
        "fleet.yaml",
        "fleet: hosts
groups:
  - { name: web, count: 2, kind: host, pending: { missing: 4, security: 2 } }
  - { name: db, count: 1, kind: host, environment: test, owner: data }
faults:
  - { kind: unreachable, targets: [web-2] }
",
    );
    place.write(
        "rb.yaml",
        &runbook(&[
            ("web", "{ hosts: { inventory: not-there.yaml, group: 'web*' } }"),
            ("rest", "{ hosts: { inventory: not-there.yaml, group: '!web' } }"),
        ]),
    );
    let fleet = path(&place, "fleet.yaml");
    let shown = place.run(&["inventory", "--json", "--gather", &path(&place, "rb.yaml"), "--fleet", &fleet]);
    let shown = shown.exits(4).json();
    assert_eq!(shown["groups"], json!({ "web": ["web-1", "web-2"], "rest": ["db"] }));
    let host = |id: &str| {
        let hosts = shown["hosts"].as_array().expect("hosts");
        hosts.iter().find(|host| host["id"] == id).expect("the host").clone()
    };
    assert_eq!(
        (&host("web-1")["facts"]["pending"], &host("web-1")["facts"]["pending_security"]),
        (&json!(4), &json!(2))
    );
    assert!(host("db")["error"].is_null() && host("db")["facts"].is_object());
    assert_eq!((&host("db")["environment"], &host("db")["owner"]), (&json!("test"), &json!("data")));
    assert!(host("web-2")["error"].is_string());
    place.write("rb.yaml", &runbook(&[("web", "{ hosts: { inventory: not-there.yaml, group: wbe } }")]));
    let done = place.run(&["plan", &path(&place, "rb.yaml"), "--fleet", &fleet]).exits(4);
    assert!(done.stderr.contains("did you mean `web`?"), "{}", done.stderr);
}

#[test]
fn a_simulated_fleet_has_hosts_with_names_of_their_own_in_several_groups() {
    let place = Place::new();
    let fleet = |group: &str| {
        format!(
            "fleet: named
groups:
  - name: first
    kind: host
    groups: [web, production]
    vars: {{ rack: a1, size: 1 }}
    hosts: {{ web1: {{ address: 10.0.0.1, vars: {{ rack: b2 }} }}, web2: {{}} }}
  - {{ name: db, kind: host }}
faults:
  - {{ kind: unreachable, targets: [{group}] }}
"
        )
    };
    place.write("fleet.yaml", &fleet("production/2"));
    place.write(
        "rb.yaml",
        &runbook(&[("web", "{ hosts: { inventory: not-there.yaml, group: 'web:&production' } }")]),
    );
    let asked =
        ["inventory", "--json", "--gather", &path(&place, "rb.yaml"), "--fleet", &path(&place, "fleet.yaml")];
    let shown = place.run(&asked).exits(4).json();
    let [web1, web2] = [&shown["hosts"][0], &shown["hosts"][1]];
    assert_eq!((&web1["id"], &web1["address"]), (&json!("web1"), &json!("10.0.0.1")));
    assert_eq!(web1["vars"], json!({ "rack": "b2", "size": 1 }));
    assert_eq!((&web2["id"], &web2["vars"]["rack"]), (&json!("web2"), &json!("a1")));
    assert!(web1["error"].is_null() && web2["error"].is_string(), "{shown}");
    place.write("fleet.yaml", &fleet("prod"));
    let refused = place.run(&asked).exits(3).stderr;
    assert!(refused.contains("(groups: db, first, production, web)"), "{refused}");
}
