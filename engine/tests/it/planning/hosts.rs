//! Hosts written down in the runbook: what is known of them, and how they are reached.

use runbook_engine::{
    plan::queries,
    target::{Home, TargetQuery},
};

use super::fleet::read;

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
