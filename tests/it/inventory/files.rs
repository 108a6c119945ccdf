//! Files in our own notation.

use super::{path, runbook};
use crate::program::Place;

const SHOP: &str = "\
inventory: shop
owner: platform
connection: { user: deploy, sudo_password: FLEET_SUDO }
groups:
  production: { environment: production, children: [web, db] }
  web:
    hosts: { web1: { address: 10.0.0.1 }, web2: { address: 10.0.0.2, vars: { rack: b2, db_password: hunter2 } } }
    connection: { port: 2222 }
  canary: { hosts: [web2] }
  db: { hosts: { db1: { address: 10.0.0.3 } } }
hosts:
  lonely.example.com:
";

#[test]
fn hosts_are_shown_with_what_holds_for_them() {
    let place = Place::new();
    place.write("shop.yaml", SHOP);
    let done = place.run(&["inventory", "--inventory", &path(&place, "shop.yaml")]);
    insta::assert_snapshot!(done.transcript(&place), @r#"
    exit 0
    --- stdout
    host                address             environment  owner     groups
    db1                 10.0.0.3            production   platform  db production
    lonely.example.com  lonely.example.com               platform
    web1                10.0.0.1:2222       production   platform  production web
    web2                10.0.0.2:2222       production   platform  canary production web

    4 hosts
    left out, as it may hold a secret: variable `db_password` of 1 host
    "#);
    let shown = place
        .run(&["inventory", "--json", "-i", &path(&place, "shop.yaml"), "-g", "web:&canary"])
        .exits(0)
        .json();
    insta::assert_json_snapshot!(shown, @r#"
    {
      "groups": {
        "canary": [
          "web2"
        ],
        "production": [
          "web2"
        ],
        "web": [
          "web2"
        ]
      },
      "hosts": [
        {
          "address": "10.0.0.2:2222",
          "connection": {
            "port": 2222,
            "sudo": "password",
            "sudo_password": "FLEET_SUDO",
            "user": "deploy"
          },
          "environment": "production",
          "groups": [
            "canary",
            "production",
            "web"
          ],
          "id": "web2",
          "name": "web2",
          "owner": "platform",
          "platform": "linux",
          "vars": {
            "rack": "b2"
          }
        }
      ],
      "notes": [],
      "withheld": {
        "db_password": 1
      }
    }
    "#);
}

#[test]
fn a_plan_freezes_the_hosts_that_its_patterns_choose() {
    let place = Place::new();
    place.write("shop.yaml", SHOP);
    let text = runbook(&[
        ("web", "{ hosts: { inventory: shop.yaml, group: 'web:!canary' } }"),
        ("rest", "{ hosts: { inventory: shop.yaml }, minus: [web] }"),
    ]);
    place.write("rb.yaml", &text);
    let plan = place.run(&["plan", "--json", &path(&place, "rb.yaml")]).exits(0).json();
    assert_eq!(plan["targets"]["web"], serde_json::json!(["web1"]));
    assert_eq!(plan["targets"]["rest"], serde_json::json!(["db1", "lonely.example.com", "web2"]));
    place.run(&["plan", &path(&place, "rb.yaml"), "-o", &path(&place, "plan.json")]).exits(0);
    let saved = std::fs::read_to_string(place.path("plan.json")).expect("the plan");
    assert!(saved.contains("FLEET_SUDO") && !saved.contains("hunter2"));
    place.write("shop.yaml", &SHOP.replace("10.0.0.1", "10.9.9.9"));
    let done = place.run(&["plan", &path(&place, "plan.json")]).exits(3);
    assert!(done.stderr.contains("the address of web1 was 10.0.0.1 and is 10.9.9.9"), "{}", done.stderr);
}

#[test]
fn groups_of_a_runbook_are_shown() {
    let place = Place::new();
    place.write("shop.yaml", SHOP);
    let text = runbook(&[
        ("web", "{ hosts: { inventory: shop.yaml, group: web } }"),
        ("own", "{ hosts: { own1: { address: 10.1.1.1, environment: test } } }"),
    ]);
    place.write("rb.yaml", &text);
    let done = place.run(&["inventory", &path(&place, "rb.yaml")]);
    insta::assert_snapshot!(done.transcript(&place), @r#"
    exit 0
    --- stdout
    host  address        environment  owner     groups
    own1  10.1.1.1       test                   own
    web1  10.0.0.1:2222  production   platform  web
    web2  10.0.0.2:2222  production   platform  web

    3 hosts
    "#);
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_the_next_command() {
    let place = Place::new();
    place.write("shop.yaml", &SHOP.replace("children", "childs"));
    let text = |group: &str| {
        runbook(&[("web", &format!("{{ hosts: {{ inventory: shop.yaml, group: '{group}' }} }}"))])
    };
    place.write("rb.yaml", &text("web"));
    let done = place.run(&["plan", &path(&place, "rb.yaml")]);
    insta::assert_snapshot!(done.transcript(&place), @r#"
    exit 3
    --- stderr
    error: the machines of group `web` cannot be found: PLACE/shop.yaml:5:42: a group has no key `childs` (its keys are hosts, children, vars, connection, environment, owner)
      try: runbook inventory --inventory PLACE/shop.yaml
    "#);
    let done = place.run(&["inventory", "-i", &path(&place, "shop.yaml")]);
    insta::assert_snapshot!(done.transcript(&place), @r#"
    exit 3
    --- stderr
    error[unknown-key]: a group has no key `childs`
     --> PLACE/shop.yaml:5:42
      |
    5 |   production: { environment: production, childs: [web, db] }
      |                                          ^^^^^^
      |
      = help: its keys are hosts, children, vars, connection, environment, owner

    1 error

    error: the inventory cannot be used
      at PLACE/shop.yaml
      try: runbook inventory --inventory PLACE/shop.yaml
    "#);
    place.write("shop.yaml", SHOP);
    place.write("rb.yaml", &text("web:!canry"));
    let done = place.run(&["plan", &path(&place, "rb.yaml")]);
    insta::assert_snapshot!(done.transcript(&place), @r#"
    exit 4
    --- stderr
    error: the machines of group `web` cannot be found: PLACE/shop.yaml: `canry` is no group and no host of the inventory; did you mean `canary`?
      try: runbook inventory --inventory PLACE/shop.yaml
    "#);
    place.write("rb.yaml", &text("~web.*"));
    let done = place.run(&["check", &path(&place, "rb.yaml")]);
    insta::assert_snapshot!(done.transcript(&place), @r#"
    exit 3
    --- stdout
    error[invalid-pattern]: `~web.*` is a regular expression, which patterns do not have here: write names, `*` and `?`
     --> PLACE/rb.yaml:3:48
      |
    3 |   web: { hosts: { inventory: shop.yaml, group: '~web.*' } }
      |                                                ^^^^^^^^

    1 error
    "#);
    let done = place.run(&["inventory", "-i", &path(&place, "nothing.yaml")]);
    insta::assert_snapshot!(done.transcript(&place), @r#"
    exit 3
    --- stderr
    error: there is no such file
      at PLACE/nothing.yaml
    "#);
}

#[test]
fn a_pattern_that_leaves_nobody_is_refused() {
    let place = Place::new();
    place.write("shop.yaml", SHOP);
    place.write("rb.yaml", &runbook(&[("web", "{ hosts: { inventory: shop.yaml, group: 'web:&db' } }")]));
    let done = place.run(&["plan", &path(&place, "rb.yaml")]).exits(4);
    assert!(done.stderr.contains("`web`"), "{}", done.stderr);
}

#[test]
fn a_name_that_two_inventories_give_to_two_hosts_is_refused() {
    let place = Place::new();
    for (site, address) in [("a", "10.1.0.1"), ("b", "10.2.0.1")] {
        let text = format!("inventory: site-{site}\nhosts: {{ server1: {{ address: {address} }} }}\n");
        place.write(&format!("site-{site}.yaml"), &text);
    }
    let groups =
        [("web", "{ hosts: { inventory: site-a.yaml } }"), ("db", "{ hosts: { inventory: site-b.yaml } }")];
    place.write("rb.yaml", &runbook(&groups));
    let done = place.run(&["plan", &path(&place, "rb.yaml")]).exits(3);
    insta::assert_snapshot!(done.transcript(&place), @r"
    exit 3
    --- stderr
    error[ambiguous-host]: `server1` of `db` (site-b.yaml) is not `server1` of `web` (site-a.yaml): their addresses are 10.2.0.1 and 10.1.0.1
     --> PLACE/rb.yaml:4:3
      |
    4 |   db: { hosts: { inventory: site-b.yaml } }
      |   ^^
      |
      = help: a plan knows a host by its name: give one of the two another name, or describe it alike

    1 error

    error: the runbook cannot be planned
      at PLACE/rb.yaml
      try: runbook check PLACE/rb.yaml
    ");
}
