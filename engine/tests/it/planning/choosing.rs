//! Which machines take part: groups, combinations, `--limit`, `when:`.

use std::collections::BTreeMap;

use runbook_engine::plan::{Plan, Refusal, queries};
use serde_json::json;

use super::fleet::{Given, fleet, machine, read, shown, try_plan};

const TEXT: &str = "
runbook: choosing
env: [STAGE]
params:
  roles: { type: list, default: [web, api] }
targets:
  web: { aws: { tags: { Role: '{{ params.roles }}', Stage: '{{ env.STAGE }}' }, region: eu-central-1 } }
  canaries: { hosts: { c1: { address: 10.1.1.1, vars: { port: 22 } }, c2: {} } }
  unused: { aws: { ids: [i-1] } }
  healthy: { all_of: [web, canaries], minus: [sick] }
  sick: { aws: { ids: [web-1] } }
  rest: { aws: { tags: { Role: web } }, minus: [sick] }
steps:
  one: { uses: aws/compliance, targets: healthy }
  two: { uses: aws/compliance, targets: rest }
";

#[test]
fn only_used_groups_are_asked_for() {
    let runbook = read(TEXT).runbook.unwrap();
    let params = BTreeMap::from([("roles".to_owned(), json!(["web", "api"]))]);
    let env = BTreeMap::from([("STAGE".to_owned(), "dev".to_owned())]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&queries(&runbook, &params, &env).unwrap()).unwrap(), @r#"
    [
      [
        "web",
        {
          "aws": {
            "tags": {
              "Role": [
                "web",
                "api"
              ],
              "Stage": [
                "dev"
              ]
            },
            "ids": [],
            "resource_group": null,
            "region": "eu-central-1",
            "role": null
          }
        }
      ],
      [
        "canaries",
        {
          "hosts": {
            "hosts": {
              "c1": {
                "address": "10.1.1.1",
                "vars": {
                  "port": 22
                }
              },
              "c2": {
                "address": "c2",
                "vars": {}
              }
            }
          }
        }
      ],
      [
        "sick",
        {
          "aws": {
            "tags": {},
            "ids": [
              "web-1"
            ],
            "resource_group": null,
            "region": null,
            "role": null
          }
        }
      ],
      [
        "rest",
        {
          "aws": {
            "tags": {
              "Role": [
                "web"
              ]
            },
            "ids": [],
            "resource_group": null,
            "region": null,
            "role": null
          }
        }
      ]
    ]
    "#);
}

#[test]
fn an_unset_variable_is_told_where_it_is_read() {
    let runbook = read(TEXT).runbook.unwrap();
    let params = BTreeMap::from([("roles".to_owned(), json!([]))]);
    insta::assert_debug_snapshot!(queries(&runbook, &params, &BTreeMap::new()).unwrap_err(), @r#"
    [
        Diagnostic {
            severity: Error,
            code: "undefined-name",
            message: "`env.STAGE` is not defined",
            place: Place {
                source: 0,
                line: 7,
                column: 60,
                width: 17,
            },
            hint: None,
        },
    ]
    "#);
}

fn given() -> Given {
    let mut fleet = fleet(&[("web", 4), ("rest", 0), ("sick", 0), ("canaries", 0)]);
    fleet.insert("canaries".into(), vec![machine("web", 1), machine("web", 2), machine("web", 3)]);
    fleet.insert("sick".into(), vec![machine("web", 1)]);
    fleet.insert("rest".into(), (1..=4).map(|n| machine("web", n)).collect());
    Given {
        fleet,
        env: BTreeMap::from([("STAGE".into(), "dev".into()), ("HOME".into(), "/".into())]),
        ..Given::default()
    }
}

#[test]
fn combinations_are_computed() {
    let plan = try_plan(TEXT, given()).unwrap();
    insta::assert_snapshot!(shown(&plan), @"
    one/wave-1 [web-2 web-3]
    two/wave-1 [web-2 web-3 web-4]
    ");
    assert_eq!(plan.env.keys().collect::<Vec<_>>(), ["STAGE"], "only what is allowed");
    let groups: Vec<_> =
        plan.targets.values().map(|target| format!("{} {}", target.id, target.group)).collect();
    assert_eq!(groups, ["web-2 healthy", "web-3 healthy", "web-4 rest"], "the first group in the document");
}

#[test]
fn a_used_group_without_machines_is_refused() {
    let mut given = given();
    given.fleet.insert("canaries".into(), Vec::new());
    let refusal = try_plan(TEXT, given).unwrap_err();
    assert_eq!(refusal, Refusal::NoTargets { group: "healthy".into() });
}

#[test]
fn the_limit_leaves_out_machines_and_whole_steps() {
    let limited = |limit: &str| try_plan(TEXT, Given { limit: vec![limit.into()], ..given() });
    insta::assert_snapshot!(shown(&limited("web-4").unwrap()), @"
    one/wave-1 [] skipped: --limit left no machine
    two/wave-1 [web-4]
    ");
    insta::assert_snapshot!(shown(&limited("canaries").unwrap()), @"
    one/wave-1 [web-2 web-3]
    two/wave-1 [web-2 web-3]
    ");
    insta::assert_debug_snapshot!(limited("wbe-4").unwrap_err(), @r#"
    Invalid(
        [
            Diagnostic {
                severity: Error,
                code: "unknown-limit",
                message: "the limit `wbe-4` is neither a used target group nor a machine of one",
                place: Place {
                    source: 0,
                    line: 1,
                    column: 1,
                    width: 1,
                },
                hint: Some(
                    "the groups are canaries, healthy, rest, sick, web",
                ),
            },
        ],
    )
    "#);
    let plan = limited("web-4").unwrap();
    assert_eq!(plan.targets.len(), 1);
    assert_eq!(plan.groups["healthy"], []);
}

const WHEN: &str = "
runbook: choosing
params:
  patch: { type: boolean, default: false }
targets:
  web: { aws: { tags: { Role: web } } }
blocks:
  work:
    a: { uses: aws/compliance, when: target.tags.zone == 'a' }
    b: { needs: [a], uses: aws/compliance, when: steps.a.outputs.missing > 0 }
steps:
  scan: { uses: aws/compliance, targets: web, when: '{{ params.patch }}', with: { x: '{{ target.tags.nothing }}' } }
  zone-b: { needs: [scan], run: work, targets: web, when: target.tags.zone != 'a', rollout: { waves: [1] } }
  zone-z: { needs: [zone-b], run: work, targets: web, when: target.tags.zone == 'z', rollout: { waves: [1], soak: 5m } }
  last: { run: inside }
";

fn when(text: &str) -> Result<Plan, Refusal> {
    let text = text.replace("last: { run: inside }", "");
    try_plan(&text, Given { fleet: fleet(&[("web", 5)]), ..Given::default() })
}

#[test]
fn conditions_are_decided_as_early_as_they_can_be() {
    insta::assert_snapshot!(shown(&when(WHEN).unwrap()), @"
    scan/wave-1 [web-1 web-2 web-3 web-4 web-5] skipped: `when: params.patch` is false
    zone-b/wave-1/a [] needs scan skipped: `when: target.tags.zone == 'a'` is false for every machine
    zone-b/wave-1/b [web-1] needs zone-b/wave-1/a when steps.a.outputs.missing > 0
    zone-b/wave-2/a [] needs scan skipped: `when: target.tags.zone == 'a'` is false for every machine
    zone-b/wave-2/b [web-2 web-4 web-5] needs zone-b/wave-2/a when steps.a.outputs.missing > 0
    zone-z/wave-1/a [] needs zone-b skipped: `when: target.tags.zone == 'z'` is false for every machine
    zone-z/wave-1/b [] needs zone-z/wave-1/a skipped: `when: target.tags.zone == 'z'` is false for every machine
    ");
}
