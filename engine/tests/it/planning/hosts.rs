//! Hosts written down in the runbook: what is known of them, and how they are reached.

use std::collections::BTreeMap;

use runbook_engine::{
    ids::GroupName,
    plan::{Plan, Refusal, queries},
    target::{Home, HostEntry, Target, TargetQuery},
};

use super::fleet::{Given, read, try_plan};

fn asked(hosts: &str) -> Result<TargetQuery, String> {
    let text = format!(
        "
runbook: hosts
params:
  user: {{ type: string, default: deploy }}
targets:
  web: {{ hosts: {hosts} }}
steps:
  one: {{ uses: aws/compliance, targets: web }}
"
    );
    let runbook = read(&text).runbook.unwrap();
    let params = [("user".to_owned(), "deploy".into())].into();
    let said = queries(&runbook, &params, &Default::default());
    let said =
        said.map_err(|problems| problems.into_iter().map(|problem| problem.message).collect::<String>());
    said.map(|mut queries| queries.remove(0).1)
}

#[test]
fn how_a_host_is_reached_is_part_of_the_question_and_of_its_home() {
    let query = asked(
        "{ web1: { address: 10.0.0.1, environment: production, owner: shop,
                   connection: { user: '{{ params.user }}', port: 2222, jump: bastion, sudo_password: ROOT } } }",
    )
    .unwrap();
    let TargetQuery::Hosts { hosts } = query else { panic!("{query:?}") };
    insta::assert_snapshot!(serde_json::to_string(&hosts).unwrap(), @r#"{"web1":{"address":"10.0.0.1","vars":{},"connection":{"port":2222,"user":"deploy","jump":["bastion"],"sudo":"password","sudo_password":"ROOT"},"environment":"production","owner":"shop"}}"#);
    let target = hosts["web1"].clone().into_target("web1", "linux", &"web".into());
    assert_eq!((target.environment.as_deref(), target.owner.as_deref()), (Some("production"), Some("shop")));
    let Home::Host { connection, .. } = &target.home else { panic!("{:?}", target.home) };
    assert_eq!(*connection, hosts["web1"].connection);
}

#[test]
fn a_host_that_says_nothing_of_it_is_written_as_before() {
    let query = asked("{ web1: { address: 10.0.0.1 } }").unwrap();
    assert_eq!(
        serde_json::to_string(&query).unwrap(),
        r#"{"hosts":{"hosts":{"web1":{"address":"10.0.0.1","vars":{}}}}}"#
    );
    let TargetQuery::Hosts { hosts } = query else { panic!("{query:?}") };
    let target = hosts["web1"].clone().into_target("web1", "linux", &"web".into());
    assert_eq!(serde_json::to_string(&target.home).unwrap(), r#"{"host":{"address":"10.0.0.1"}}"#);
}

#[test]
fn an_address_that_ssh_would_take_for_an_option_is_refused() {
    let refused = asked("{ web1: { address: -oProxyCommand=reboot } }").unwrap_err();
    insta::assert_snapshot!(refused, @"the host `web1` cannot be reached: `address` is `-oProxyCommand=reboot`: ssh would take it for an option");
}

const TWO_SITES: &str = "
runbook: sites
targets:
  web: { hosts: { inventory: site-a.yaml } }
  db: { hosts: { inventory: site-b.yaml, group: db } }
  rest: { hosts: { inventory: site-a.yaml }, minus: [db] }
steps:
  one: { uses: aws/compliance, targets: web }
  two: { uses: aws/compliance, targets: GROUP }
";

fn server1(group: &str, entry: HostEntry) -> (GroupName, Vec<Target>) {
    let group = GroupName::from(group);
    (group.clone(), vec![entry.into_target("server1", "linux", &group)])
}

fn at(address: &str) -> HostEntry {
    HostEntry { address: address.to_owned(), ..HostEntry::default() }
}

fn two_sites(second: &str, fleet: BTreeMap<GroupName, Vec<Target>>) -> Result<Plan, String> {
    let text = TWO_SITES.replace("GROUP", second);
    try_plan(&text, Given { fleet, ..Given::default() }).map_err(|refusal| match refusal {
        Refusal::Invalid(problems) => problems
            .iter()
            .map(|problem| format!("{}:{}: {}\n", problem.place.line, problem.code, problem.message))
            .collect(),
        other => other.to_string(),
    })
}

#[test]
fn one_name_for_two_hosts_is_refused_with_both() {
    let refused = two_sites("db", [server1("web", at("10.1.0.1")), server1("db", at("10.2.0.1"))].into());
    insta::assert_snapshot!(refused.unwrap_err(), @"5:ambiguous-host: `server1` of `db` (site-b.yaml) is not `server1` of `web` (site-a.yaml): their addresses are 10.2.0.1 and 10.1.0.1");
    // Also where the other one would only have been taken out.
    let fleet =
        [server1("web", at("10.1.0.1")), server1("db", at("10.2.0.1")), server1("rest", at("10.1.0.1"))];
    assert!(two_sites("rest", fleet.into()).unwrap_err().contains("5:ambiguous-host"));
    // An address behind two gateways is two hosts.
    let mut gateway = at("10.1.0.1");
    gateway.connection.port = Some(2202);
    let refused = two_sites("db", [server1("web", at("10.1.0.1")), server1("db", gateway)].into());
    assert!(refused.unwrap_err().contains("reached in different ways"));
    let mut described = at("10.1.0.1");
    described.vars.insert("role".to_owned(), "db".into());
    let refused = two_sites("db", [server1("web", at("10.1.0.1")), server1("db", described)].into());
    assert!(refused.unwrap_err().contains("variables"));
}

#[test]
fn one_host_in_two_groups_is_one_machine_and_drifts_in_any_of_them() {
    let plan =
        two_sites("db", [server1("web", at("10.1.0.1")), server1("db", at("10.1.0.1"))].into()).unwrap();
    assert_eq!(plan.targets.len(), 1);
    assert_eq!(plan.targets["server1"].group, GroupName::from("web"));
    let now = [server1("web", at("10.1.0.1")), server1("db", at("10.1.0.1"))].into();
    assert_eq!(plan.drift(&now), [] as [String; 0]);
    for (web, db) in [("10.9.0.1", "10.1.0.1"), ("10.1.0.1", "10.9.0.1")] {
        let drift = plan.drift(&[server1("web", at(web)), server1("db", at(db))].into());
        assert!(drift.iter().any(|phrase| phrase.contains("is 10.9.0.1")), "{drift:?}");
    }
}

#[test]
fn variables_of_hosts_in_a_runbook_hold_no_secrets_either() {
    let refused = asked("{ web1: { vars: { rack: a1, db: { password: x }, url: 'redis://:x@cache/0' } } }")
        .unwrap_err();
    insta::assert_snapshot!(refused, @"the host `web1` has variables that may hold a secret: `db.password`, `url`");
    assert!(asked("{ web1: { vars: { rack: a1, require_password: true } } }").is_ok());
}
