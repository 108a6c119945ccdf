//! What Ansible reads, through ansible-core's own `ansible-inventory`.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::json;

use super::{path, runbook, shown};
use crate::program::{Done, Place};

const HOSTS: &str = "\
localhost ansible_connection=local
[web]
web1 ansible_host=10.0.0.1 ansible_port=2222 ansible_become=true ansible_become_password=hunter2
web2 ansible_host=10.0.0.2 rack=b2
[canary]
web2
[production:children]
web
[production:vars]
tier=front
ansible_user=deploy
ansible_ssh_common_args='-o ProxyJump=ops@bastion.example -o StrictHostKeyChecking=no'
";

/// Runs the binary where `ansible-inventory` can be found.
fn run(place: &Place, arguments: &[&str]) -> Done {
    let path = std::env::var("PATH").unwrap_or_default();
    let programs = runbook_test_servers::programs().display().to_string();
    let mut command = place.command(arguments);
    command.env("PATH", format!("{programs}:{path}")).env("LC_ALL", "C.UTF-8");
    Done::from(command.output().expect("the binary runs"))
}

fn estate() -> Place {
    let place = Place::new();
    place.write("hosts.ini", HOSTS);
    fs::create_dir(place.path("group_vars")).expect("a folder");
    place.write(
        "group_vars/web.yml",
        "smtp_password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  33313233\ndb: { user: shop, password: hunter2 }\n",
    );
    place
}

#[test]
fn an_inventory_of_ansible_is_read_and_its_secrets_stay_where_they_are() {
    let place = estate();
    let done = run(&place, &["inventory", "-i", &path(&place, "hosts.ini")]).exits(0);
    insta::assert_snapshot!(done.transcript(&place), @r#"
    exit 0
    --- stdout
    host       address        environment  owner  groups
    localhost  localhost
    web1       10.0.0.1:2222                      production web
    web2       10.0.0.2                           canary production web

    3 hosts
    left out, as it may hold a secret: variable `ansible_become_password` of 1 host
    left out, as it may hold a secret: variable `db.password` of 2 hosts
    left out, as it may hold a secret: variable `smtp_password` of 2 hosts
    note: Ansible knows a password for sudo: name the secret that holds it as `sudo_password` of a `connection` (web1)
    note: host keys are always checked, whatever the arguments for ssh say (web1 and 1 more)
    note: `localhost` cannot be a target: Ansible reaches it by `local`, and not by ssh
    "#);
    let shown =
        run(&place, &["inventory", "--json", "-i", &path(&place, "hosts.ini"), "-g", "web1"]).exits(0);
    assert!(!shown.stdout.contains("hunter2") && !shown.stdout.contains("ANSIBLE_VAULT"));
    let host = &shown.json()["hosts"][0];
    assert_eq!(
        host["connection"],
        json!({ "port": 2222, "user": "deploy", "jump": ["ops@bastion.example"], "sudo": "passwordless" })
    );
    assert_eq!(host["vars"], json!({ "tier": "front", "db": { "user": "shop" } }));
    assert_eq!(host["groups"], json!(["production", "web"]));
}

#[test]
fn a_plan_of_it_holds_no_secret_and_a_host_that_ssh_does_not_reach_is_no_target() {
    let place = estate();
    place.write(
        "rb.yaml",
        &runbook(&[("web", "{ hosts: { inventory: hosts.ini, group: 'production:!canary' } }")]),
    );
    let plan = run(&place, &["plan", &path(&place, "rb.yaml"), "-o", &path(&place, "plan.json")]).exits(0);
    let note = format!("note: {}: host keys are always checked", path(&place, "hosts.ini"));
    assert!(plan.stderr.contains(&note), "{}", plan.stderr);
    let saved = fs::read_to_string(place.path("plan.json")).expect("the plan");
    assert!(saved.contains("web1") && !saved.contains("web2") && !saved.contains("hunter2"), "{saved}");
    place.write("rb.yaml", &runbook(&[("web", "{ hosts: { inventory: hosts.ini } }")]));
    let done = run(&place, &["plan", &path(&place, "rb.yaml")]).exits(4);
    insta::assert_snapshot!(done.stderr.replace(&path(&place, ""), "PLACE/"), @r#"
    error: the machines of group `web` cannot be found: PLACE/hosts.ini: `localhost` cannot be reached: Ansible reaches it by `local`, and not by ssh; leave it out: `all:!localhost`
      try: runbook inventory --inventory PLACE/hosts.ini
    "#);
}

#[test]
fn our_file_may_stand_over_one_of_ansible() {
    let place = estate();
    place.write(
        "fleet.yaml",
        "inventory: fleet
source: { ansible: hosts.ini, vars: [rack] }
groups:
  production: { environment: production, owner: shop, connection: { sudo_password: FLEET_SUDO } }
  web: { connection: { sudo: none } }
hosts:
  web1: { vars: { rack: a1 } }
",
    );
    let shown = run(&place, &["inventory", "--json", "-i", &path(&place, "fleet.yaml"), "-g", "production"])
        .exits(0)
        .json();
    let (web1, web2) = (&shown["hosts"][0], &shown["hosts"][1]);
    assert_eq!((&web1["environment"], &web1["owner"]), (&json!("production"), &json!("shop")));
    assert_eq!((&web1["vars"], &web2["vars"]), (&json!({ "rack": "a1" }), &json!({ "rack": "b2" })));
    // What Ansible says of the host itself is nearer than what our file says of its group.
    assert_eq!(web1["connection"]["sudo"], "passwordless");
    assert_eq!(web2["connection"]["sudo"], "none");
    assert_eq!(web2["connection"]["user"], "deploy");
}

#[test]
fn a_dynamic_inventory_is_asked_once_for_all_groups() {
    let place = Place::new();
    let script = "#!/bin/sh
echo \"$1\" >>\"$(dirname \"$0\")/asked\"
echo '{ \"_meta\": { \"hostvars\": { \"a1\": { \"ansible_host\": \"10.0.0.1\" } } }, \"a\": { \"hosts\": [\"a1\"] }, \"b\": { \"hosts\": [\"b1\"] } }'
";
    let file = place.write("dynamic", script);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("it may be run");
    place.write(
        "rb.yaml",
        &runbook(&[
            ("a", "{ hosts: { inventory: dynamic, group: a } }"),
            ("b", "{ hosts: { inventory: dynamic, group: b } }"),
        ]),
    );
    let plan = run(&place, &["plan", "--json", &path(&place, "rb.yaml")]).exits(0).json();
    assert_eq!(plan["targets"], json!({ "a": ["a1"], "b": ["b1"] }));
    assert_eq!(fs::read_to_string(place.path("asked")).expect("it was asked"), "--list\n");
}

#[test]
fn what_ansible_cannot_read_is_refused_and_not_taken_for_an_empty_fleet() {
    let place = Place::new();
    place.write("bad.yml", "web: [\n");
    let done = run(&place, &["inventory", "-i", &path(&place, "bad.yml")]).exits(4);
    insta::assert_snapshot!(done.transcript(&place), @r#"
    exit 4
    --- stderr
    error: `ansible-inventory` ended with exit code 1: [ERROR]: Completely failed to parse inventory source PLACE/bad.yml
      at PLACE/bad.yml
      do: ansible-inventory -i PLACE/bad.yml --list
    "#);
}

#[test]
fn without_ansible_the_next_command_installs_it() {
    let place = estate();
    let mut command = place.command(&["inventory", "-i", &path(&place, "hosts.ini")]);
    let done = Done::from(command.env("PATH", "/nowhere").output().expect("the binary runs")).exits(4);
    insta::assert_snapshot!(done.transcript(&place), @r#"
    exit 4
    --- stderr
    error: there is no program `ansible-inventory` to read it with (a file of our own notation has a line `inventory: NAME`)
      at PLACE/hosts.ini
      do: python3 -m pip install ansible-core
    "#);
    assert!(
        shown(
            &{
                let place = Place::new();
                place.write("own.yaml", "inventory: own\nhosts: { a: }\n");
                place
            },
            "own.yaml"
        ) == ["a"],
        "our own notation needs no Ansible"
    );
}
