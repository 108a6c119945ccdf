//! Plans made from text.

use std::collections::BTreeMap;

use runbook_engine::{
    document,
    experience::Experience,
    ids::{GroupName, TargetId},
    loader::NoFiles,
    patchset::Carried,
    plan::{self, Making, Plan, Refusal},
    target::{Home, Target},
};

use crate::catalog::TestCatalog;

/// The plan of a runbook whose groups have so many machines each, named `dev-01`, `dev-02`, ….
pub fn plan(text: &str, groups: &[(&str, usize)]) -> Plan {
    plan_with(text, groups, Vec::new(), None)
}

/// The same for some of them, with what an earlier run had tested.
pub fn plan_with(text: &str, groups: &[(&str, usize)], limit: Vec<String>, tested: Option<Carried>) -> Plan {
    made(text, groups, limit, tested, Experience::default()).unwrap_or_else(|refusal| panic!("{refusal:#?}"))
}

/// Why there is no plan for these.
pub fn refusal(text: &str, groups: &[(&str, usize)], limit: Vec<String>) -> String {
    match made(text, groups, limit, None, Experience::default()) {
        Err(Refusal::Invalid(problems)) => problems.into_iter().map(|problem| problem.message).collect(),
        other => panic!("{other:#?}"),
    }
}

/// The plan with what is known of earlier runs, or why there is none.
pub fn experienced(text: &str, groups: &[(&str, usize)], experience: Experience) -> Result<Plan, Refusal> {
    made(text, groups, Vec::new(), None, experience)
}

fn made(
    text: &str,
    groups: &[(&str, usize)],
    limit: Vec<String>,
    tested: Option<Carried>,
    experience: Experience,
) -> Result<Plan, Refusal> {
    let reading = document::read("test.yaml", text.as_bytes(), &NoFiles);
    assert!(reading.diagnostics.is_empty(), "{:#?}", reading.diagnostics);
    let runbook = reading.runbook.expect("a runbook");
    let resolved: BTreeMap<_, _> =
        groups.iter().map(|(name, count)| (GroupName::new(name), machines(name, *count))).collect();
    let params = document::params::resolve(&runbook, &BTreeMap::new()).expect("parameters");
    plan::make(Making {
        runbook: &runbook,
        sources: &reading.sources,
        catalog: &TestCatalog::default(),
        params,
        env: BTreeMap::new(),
        resolved,
        limit,
        tested,
        experience,
    })
}

/// So many machines of a group.
pub fn machines(group: &str, count: usize) -> Vec<Target> {
    (1..=count)
        .map(|number| {
            let name = format!("{group}-{number:03}");
            Target {
                id: TargetId::new(&name),
                name,
                group: GroupName::new(group),
                private_ip: Some("10.0.0.1".into()),
                tags: BTreeMap::new(),
                vars: BTreeMap::new(),
                environment: None,
                owner: None,
                platform: "linux".into(),
                image: None,
                root_volume: None,
                ec2: None,
                home: Home::Aws { account: None, region: None, role: None, external_id: None },
            }
        })
        .collect()
}

/// The block that patches, checks and restores on EC2, and stages over it.
pub fn flagship(stages: &str) -> String {
    format!(
        "runbook: patch
targets:
  dev: {{ aws: {{ tags: {{ Environment: dev }} }} }}
  staging: {{ aws: {{ tags: {{ Environment: staging }} }} }}
  production: {{ aws: {{ tags: {{ Environment: production }} }} }}
blocks:
  patch-and-verify:
    backup: {{ uses: aws/snapshot }}
    patch:
      needs: [backup]
      uses: aws/patch
      timeout: 2h
      retry: {{ attempts: 2, errors: [throttled, undeliverable] }}
      on_failure: [restore]
    compliant: {{ needs: [patch], uses: check/tcp, on_failure: [restore] }}
    healthy: {{ needs: [patch], uses: check/http, on_failure: [restore] }}
    restore:
      uses: aws/restore
      targets: {{ failed_in: [patch, compliant, healthy] }}
      with: {{ from: backup }}
steps:
{stages}"
    )
}
