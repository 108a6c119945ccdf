//! What a plan holds for actions and gates.

use std::{collections::BTreeMap, sync::Arc};

use runbook_engine::{
    document::{self, params},
    experience::Experience,
    plan::{Making, Plan, Refusal, TargetWords, Work, make},
    run::Run,
    target::Target,
};
use serde_json::json;

use super::{
    catalog::TestCatalog,
    fleet::{EXAMPLE, Given, fleet, machine, plan, try_plan},
};

const HEAD: &str = "
runbook: inputs
params:
  port: { type: integer, default: 8080 }
targets:
  web: { aws: { tags: { Role: web } } }
steps:
";

fn made(steps: &str) -> Plan {
    plan(&format!("{HEAD}{steps}"), &[("web", 2)])
}

fn refused(steps: &str) -> String {
    refused_text(&format!("{HEAD}{steps}"))
}

fn refused_text(text: &str) -> String {
    let given = Given { fleet: fleet(&[("web", 2)]), ..Given::default() };
    match try_plan(text, given).unwrap_err() {
        Refusal::Invalid(problems) => problems
            .iter()
            .map(|problem| {
                let place = problem.place;
                format!("{}:{} {}: {}\n", place.line, place.column, problem.code, problem.message)
            })
            .collect(),
        other => other.to_string(),
    }
}

fn work(plan: &Plan) -> String {
    plan.tasks
        .iter()
        .map(|task| {
            format!("{} within {}: {}\n", task.name, task.timeout, serde_json::to_string(&task.work).unwrap())
        })
        .collect()
}

#[test]
fn texts_are_rendered_as_early_as_they_can_be() {
    insta::assert_snapshot!(work(&made("
  shared: { uses: check/http, targets: web, with: { url: 'http://lb:{{ params.port }}/' } }
  each: { uses: check/http, targets: web, with: { url: 'http://{{ target.private_ip }}:{{ params.port }}/', within: 1m } }
  same: { uses: check/http, targets: web, with: { url: 'http://{{ target.platform }}/' } }
  late: { uses: notify/webhook, with: { url: \"{{ secret('HOOK') }}\", body: { run: '{{ run.id }}', port: '{{ params.port }}' } } }
")), @r#"
    shared/wave-1 within 15m: {"action":{"shared":{"for":"0s","url":"http://lb:8080/","within":"5m"}}}
    each/wave-1 within 11m: {"action":{"shared":{"for":"0s","url":"http://{{ target.private_ip }}:{{ params.port }}/","within":"1m"},"per_target":{"web-1":{"for":"0s","url":"http://10.0.0.1:8080/","within":"1m"},"web-2":{"for":"0s","url":"http://10.0.0.2:8080/","within":"1m"}}}}
    same/wave-1 within 15m: {"action":{"shared":{"for":"0s","url":"http://linux/","within":"5m"}}}
    late within 1h: {"action":{"shared":{"body":{"port":"{{ params.port }}","run":"{{ run.id }}"},"url":"{{ secret('HOOK') }}"},"late":["body","url"]}}
    "#);
}

#[test]
fn gates_are_read_and_every_deadline_is_known() {
    insta::assert_snapshot!(work(&made("
  a: { uses: gate/approval, with: { approvers: [ann, 'group:ops'], quorum: 2, expires: 1d, on_reject: rollback } }
  b: { uses: gate/wait, with: { for: 90s } }
  c: { uses: gate/wait, with: { until: '2026-11-22T22:00:00+01:00' } }
  d: { uses: gate/window, with: { cron: '0 22 * * SAT', duration: 6h, timezone: Europe/Berlin, cutoff: 2h } }
  e: { uses: gate/manual, with: { instructions: 'Look at {{ params.port }}.', evidence: What was seen }, timeout: 1h }
  f: { uses: check/tcp, targets: web, with: { host: x, for: 1h } }
  g: { uses: check/tcp, targets: web, with: { host: x }, timeout: 1m, retry: { attempts: 3, errors: [busy], delay: 5s } }
")), @r#"
    a within 1d: {"gate":{"kind":"approval","approvers":["ann","group:ops"],"quorum":2,"expires":"1d","on_expiry":"fail","on_reject":"rollback"}}
    b within 90s: {"gate":{"kind":"wait_for","span":"90s"}}
    c within 0s: {"gate":{"kind":"wait_until","until":"2026-11-22T21:00:00Z"}}
    d within 8d: {"gate":{"kind":"window","cron":"0 22 * * SAT","duration":"6h","timezone":"Europe/Berlin","cutoff":"2h"}}
    e within 1h: {"gate":{"kind":"manual","instructions":"Look at 8080.","evidence":"What was seen"}}
    f/wave-1 within 75m: {"action":{"shared":{"for":"1h","host":"x","within":"5m"}}}
    g/wave-1 within 1m: {"action":{"shared":{"for":"0s","host":"x","within":"5m"}}}
    "#);
}

#[test]
fn what_is_wrong_is_told_at_once_and_where() {
    insta::assert_snapshot!(refused("
  a: { uses: gate/window, with: { cron: '0 22 31 2 *', duration: 6h } }
  b: { uses: gate/window, with: { cron: '0 22 * * *', duration: 1h, cutoff: 1h } }
  c: { uses: gate/window, with: { cron: 'x', duration: 1h } }
  d: { uses: gate/window, with: { cron: '0 22 * * *', duration: 1h, timezone: Europe/Berlni } }
  e: { uses: gate/approval, with: { approvers: [ann], expires: '{{ steps.a.outputs.x }}' } }
  f: { uses: check/tcp, targets: web, with: { host: '{{ target.tags.nothing }}' } }
  g: { uses: local/command, with: { script: '{{ target.id }}' } }
  h: { uses: nothing/at-all }
  i: { needs: [nowhere], run: nothing }
  j: { uses: gate/manual, with: { instructions: x } }
  k: { uses: aws/restore, targets: web, with: { from: nowhere }, on_failure: [nobody] }
  l: { uses: aws/compliance, targets: web, rollout: { waves: [1], window: a1 } }
  m: { uses: aws/compliance, targets: web, rollout: { waves: [1], window: g } }
  n: { uses: local/command, when: target.id == 'x' }
  o: { uses: local/command, when: params.nothing }
"), @"
    9:41 wrong-value: `0 22 31 2 *` never opens
    10:77 wrong-value: the cut-off of 1h leaves nothing of a window of 1h
    11:41 wrong-value: `x` is not a cron expression of five fields
    12:79 wrong-value: there is no time zone `Europe/Berlni`
    13:64 late-input: `expires` of a gate must be known when the plan is made
    14:53 undefined-name: `target.tags.nothing` is not defined for web-1
    15:45 no-target: `script` reads `target`, but the step has no targets
    16:14 unknown-action: there is no action `nothing/at-all`
    17:31 unknown-block: there is no block `nothing`
    18:3 missing-timeout: `gate/manual` has no timeout of its own, so the step must say one
    19:55 unknown-step: there is no step `nowhere` that could have made a backup
    19:79 unknown-step: there is no step `nobody`
    20:75 unknown-step: there is no step `a1`
    21:75 not-a-window: `g` is not a `gate/window` step
    22:35 no-target: the condition reads `target`, but the step has no targets
    23:35 undefined-name: `params.nothing` is not defined
    ");
    insta::assert_snapshot!(refused("
  a: { needs: [c], uses: local/command }
  b: { needs: [a], uses: local/command }
  c: { needs: [b], uses: local/command }
  d: { needs: [c], uses: local/command }
"), @"9:3 cycle: these tasks wait for each other: a, b, c");
}

#[test]
fn what_expressions_come_to_must_fit() {
    let head = HEAD.replace(
        "port: {",
        "list: { type: list, default: [ann, bob] }\n  word: { type: string, default: 5 minutes }\n  port: {",
    );
    let text = format!(
        "{head}
  a: {{ uses: gate/approval, with: {{ approvers: '{{{{ params.list }}}}', quorum: 3, expires: 1h }} }}
  b: {{ uses: gate/approval, with: {{ approvers: ['{{{{ params.list }}}}'], expires: 1h }} }}
  c: {{ uses: gate/wait, with: {{ for: '{{{{ params.word }}}}' }} }}
  d: {{ uses: aws/patch, targets: web, with: {{ operation: '{{{{ params.word }}}}' }} }}
  e: {{ uses: check/tcp, targets: web, with: {{ host: '{{{{ params.port }}}}', within: '{{{{ target.name }}}}' }} }}
  f: {{ uses: check/http, targets: web, with: {{ url: '{{{{ params.word }}}}' }} }}
"
    );
    insta::assert_snapshot!(refused_text(&text), @r#"
    11:77 wrong-value: `quorum` must be at most 2, the number of people named, not 3
    12:48 wrong-value: `approvers` must be a list of texts that is not empty, but it comes to `[["ann","bob"]]`
    13:38 wrong-value: `for` must be a duration like 90s, 15m, 2h or 14d, but it comes to `5 minutes`
    14:58 wrong-value: `operation` must be `Scan` or `Install`, but it comes to `5 minutes`
    15:3 missing-timeout: `within` is known at run time only, so the step must say its `timeout`
    15:82 wrong-value: `within` must be a duration like 90s, 15m, 2h or 14d, but it comes to `web-01` for web-1
    16:53 wrong-value: `url` must be a URL that begins with http:// or https://, but it comes to `5 minutes`
    "#);
    let plan = made(
        "
  a: { uses: gate/approval, with: { approvers: ['{{ params.port }}'], expires: 1h } }
  e: { uses: check/tcp, targets: web, with: { host: '{{ params.port }}' } }
",
    );
    insta::assert_snapshot!(work(&plan), @r#"
    a within 1h: {"gate":{"kind":"approval","approvers":["8080"],"quorum":1,"expires":"1h","on_expiry":"fail","on_reject":"fail"}}
    e/wave-1 within 15m: {"action":{"shared":{"for":"0s","host":"8080","within":"5m"}}}
    "#);
}

#[test]
fn an_id_that_is_the_planners_word_is_refused() {
    let text = "
runbook: words
targets:
  web: { aws: { tags: { Role: web } } }
blocks:
  work:
    window: { uses: aws/compliance }
steps:
  window: { uses: gate/window, with: { cron: '0 22 * * *', duration: 6h } }
  web: { run: work, targets: web, rollout: { waves: [1], window: window } }
";
    let refusal = try_plan(text, Given { fleet: fleet(&[("web", 2)]), ..Given::default() }).unwrap_err();
    insta::assert_debug_snapshot!(refusal, @r#"
    Invalid(
        [
            Diagnostic {
                severity: Error,
                code: "ambiguous-task",
                message: "two tasks are called `web/wave-1/window`",
                place: Place {
                    source: 0,
                    line: 7,
                    column: 5,
                    width: 6,
                },
                hint: Some(
                    "give the step another id: `wave-1`, `part-1`, `soak`, `window`, `verify`, `rollback` and `finally` are the planner's words",
                ),
            },
        ],
    )
    "#);
}

#[test]
fn effects_follow_the_inputs_and_the_author() {
    let mut given = Given { fleet: fleet(&[("web", 2)]), ..Given::default() };
    for (machine, operation) in given.fleet.get_mut("web").unwrap().iter_mut().zip(["Scan", "Install"]) {
        machine.tags.insert("do".into(), operation.into());
    }
    let steps = "
  scan: { uses: aws/patch, targets: web, with: { operation: Scan } }
  install: { uses: aws/patch, targets: web, with: { operation: Install }, way_back: none, because: new machines }
  either: { uses: aws/patch, targets: web, with: { operation: '{{ target.tags.do }}' } }
  later: { uses: aws/patch, targets: web, with: { operation: '{{ steps.scan.outputs.next }}' } }
  stated: { uses: aws/command, targets: web, effect: reads }
  unstated: { uses: aws/command, targets: web }
  saves: { uses: aws/command, targets: web, backs_up: true }
";
    let plan = try_plan(&format!("{HEAD}{steps}"), given).unwrap();
    let effects: Vec<_> =
        plan.tasks.iter().map(|task| format!("{} {}", task.step, task.effect.as_str())).collect();
    assert_eq!(
        effects,
        [
            "scan reads",
            "install changes",
            "either changes",
            "later changes",
            "stated reads",
            "unstated unknown",
            "saves reads"
        ]
    );
    assert_eq!(plan.tasks[1].no_way_back.as_deref(), Some("new machines"));
}

#[test]
fn copies_of_checks_leave_what_reads_the_machine_to_the_run() {
    let plan = plan(EXAMPLE, &[("dev", 2), ("staging", 3), ("production", 1)]);
    let inputs = |name: &str| {
        let task = plan.tasks.iter().find(|task| task.name.as_str() == name).unwrap();
        let Work::Action(inputs) = &task.work else { panic!("{name} is an action") };
        inputs.clone()
    };
    assert_eq!(inputs("staging/wave-1/healthy").per_target.len(), 2);
    for copy in ["staging/wave-1/restore/verify/healthy", "staging/wave-2/soak/healthy"] {
        let inputs = inputs(copy);
        assert!(inputs.per_target.is_empty());
        assert_eq!(inputs.late, ["url"]);
        assert_eq!(inputs.shared["url"], json!("http://{{ target.private_ip }}:8080/healthz"));
    }
}

#[test]
fn a_copy_knows_the_wave_that_each_machine_was_in() {
    let text = EXAMPLE.replace("/healthz", "/{{ target.wave }}");
    let plan = plan(&text, &[("dev", 2), ("staging", 3), ("production", 1)]);
    let run = Run::new(Arc::new(plan)).unwrap();
    let url = |task: &str, machine: &str| {
        let inputs = run.inputs(&task.into(), Some(&machine.into()), None).unwrap();
        inputs["url"].as_str().unwrap().to_owned()
    };
    assert_eq!(url("staging/wave-2/healthy", "staging-3"), "http://10.0.0.3:8080/2");
    assert_eq!(url("staging/wave-2/restore/verify/healthy", "staging-3"), "http://10.0.0.3:8080/2");
    assert_eq!(url("staging/wave-2/soak/healthy", "staging-1"), "http://10.0.0.1:8080/1");
    assert_eq!(url("staging/wave-2/soak/restore/verify/healthy", "staging-3"), "http://10.0.0.3:8080/2");
    assert_eq!(url("staging/wave-1/rollback/restore/verify/healthy", "staging-1"), "http://10.0.0.1:8080/1");
}

#[test]
fn a_machine_as_expressions_see_it() {
    let target = Target { group: "web".into(), ..machine("web", 1) };
    let words = serde_json::to_value(TargetWords::new(&target, Some(2))).unwrap();
    assert_eq!(
        words,
        json!({
            "id": "web-1", "name": "web-01", "private_ip": "10.0.0.1", "tags": { "zone": "b" }, "vars": {},
            "environment": null, "owner": null, "platform": "linux", "group": "web", "wave": 2
        })
    );
    let words = serde_json::to_value(TargetWords::new(&target, None)).unwrap();
    assert!(words.get("wave").is_none(), "outside of waves it is undefined");
}

struct Files(BTreeMap<&'static str, &'static str>);

impl runbook_engine::loader::Loader for Files {
    fn load(&self, path: &str) -> Result<Vec<u8>, String> {
        let found = self.0.iter().find(|(name, _)| path.ends_with(*name));
        found.map(|(_, text)| text.as_bytes().to_vec()).ok_or_else(|| "it does not exist".into())
    }
}

#[test]
fn a_file_has_parameters_of_its_own() {
    let files = Files(BTreeMap::from([(
        "check.yaml",
        "
runbook: check
params:
  port: { type: integer }
  path: { type: string, default: / }
blocks:
  twice:
    a: { uses: check/http, with: { url: 'http://{{ target.private_ip }}:{{ params.port }}{{ params.path }}' } }
    b: { needs: [a], uses: check/http, with: { url: 'http://{{ run.id }}:{{ params.port }}' }, on_failure: [tell] }
    tell: { uses: notify/webhook, with: { url: http://x } }
steps:
  twice: { run: twice }
  end: { needs: [twice/b], uses: check/http, with: { url: 'http://x' } }
",
    )]));
    let text = format!(
        "{HEAD}
  check: {{ run: ./check.yaml, targets: web, with: {{ port: '{{{{ params.port + 1 }}}}' }} }}
"
    );
    let reading = document::read("runbook.yaml", text.as_bytes(), &files);
    assert!(!reading.has_errors(), "{:#?}", reading.diagnostics);
    let runbook = reading.runbook.unwrap();
    let plan = make(Making {
        runbook: &runbook,
        sources: &reading.sources,
        catalog: &TestCatalog::default(),
        params: params::resolve(&runbook, &BTreeMap::new()).unwrap(),
        env: BTreeMap::new(),
        resolved: fleet(&[("web", 2)]),
        limit: Vec::new(),
        tested: None,
        experience: Experience::default(),
    })
    .unwrap();
    insta::assert_snapshot!(work(&plan), @r#"
    check/wave-1/twice/a within 15m: {"action":{"shared":{"for":"0s","url":"http://{{ target.private_ip }}:{{ params.port }}{{ params.path }}","within":"5m"},"per_target":{"web-1":{"for":"0s","url":"http://10.0.0.1:8081/","within":"5m"},"web-2":{"for":"0s","url":"http://10.0.0.2:8081/","within":"5m"}}}}
    check/wave-1/twice/b within 15m: {"action":{"shared":{"for":"0s","url":"http://{{ run.id }}:{{ params.port }}","within":"5m"},"late":["url"]}}
    check/wave-1/twice/tell within 1h: {"action":{"shared":{"url":"http://x"}}}
    check/wave-1/end within 15m: {"action":{"shared":{"for":"0s","url":"http://x","within":"5m"}}}
    "#);
    insta::assert_snapshot!(super::fleet::shown(&plan), @"
    check/wave-1/twice/a [web-1 web-2]
    check/wave-1/twice/b [web-1 web-2] needs check/wave-1/twice/a else check/wave-1/twice/tell
    check/wave-1/twice/tell branch of check/wave-1/twice/b
    check/wave-1/end [web-1 web-2] needs check/wave-1/twice/b
    ");
    let late = plan.tasks.iter().find(|task| task.name.as_str() == "check/wave-1/twice/b").unwrap();
    assert_eq!(late.params, BTreeMap::from([("path".into(), json!("/")), ("port".into(), json!(8081))]));
    assert_eq!(plan.sources.len(), 2);
    assert_eq!(plan.entry, "runbook.yaml");
}
