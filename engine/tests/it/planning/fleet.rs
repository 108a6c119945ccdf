//! Plans from text and made-up machines, and plans as text.

use std::{collections::BTreeMap, fmt::Write};

use runbook_engine::{
    diagnostic,
    document::{self, Reading, params},
    experience::Experience,
    ids::{GroupName, TargetId},
    loader::NoFiles,
    plan::{Making, Only, Plan, Refusal, Role, ScopeKind, make},
    target::{Home, Target},
};
use serde_json::Value;

use super::catalog::TestCatalog;

/// The runbook of the documentation.
pub const EXAMPLE: &str = r#"
runbook: patch-linux
params:
  patch_group: { type: string, default: LinuxProd }
  reboot:      { type: string, enum: [RebootIfNeeded, NoReboot], default: RebootIfNeeded }
targets:
  dev:        { aws: { tags: { Environment: dev,        "Patch Group": "{{ params.patch_group }}" } } }
  staging:    { aws: { tags: { Environment: staging,    "Patch Group": "{{ params.patch_group }}" } } }
  production: { aws: { tags: { Environment: production, "Patch Group": "{{ params.patch_group }}" } } }
blocks:
  patch-and-verify:
    backup:
      uses: aws/snapshot
      with: { keep: 14d }
    patch:
      needs: [backup]
      uses: aws/patch
      with: { operation: Install, reboot: "{{ params.reboot }}" }
      timeout: 2h
      retry: { attempts: 2, errors: [throttled, undeliverable] }
      on_failure: [restore]
    compliant:
      needs: [patch]
      uses: aws/compliance
      on_failure: [restore]
    healthy:
      needs: [patch]
      uses: check/http
      with: { url: "http://{{ target.private_ip }}:8080/healthz", within: 10m, for: 5m }
      on_failure: [restore]
    restore:
      uses: aws/restore
      targets: { failed_in: [patch, compliant, healthy] }
      with: { from: backup }
steps:
  dev:
    run: patch-and-verify
    targets: dev
  staging:
    needs: [dev]
    run: patch-and-verify
    targets: staging
    rollout: { waves: [50%, 100%], soak: 10m }
  approve:
    needs: [staging]
    uses: gate/approval
    with: { approvers: ["group:change-managers"], quorum: 2, expires: 24h, on_expiry: fail }
  window:
    needs: [approve]
    uses: gate/window
    with: { cron: "0 22 * * SAT", duration: 6h, timezone: Europe/Berlin, cutoff: 2h }
  production:
    needs: [window]
    run: patch-and-verify
    targets: production
    rollout: { waves: [1, 5%, 25%, 100%], soak: 15m, max_failures: 2%, window: window }
notify:
  - events: [gate_opened, wave_failed, stuck, finished]
    webhook: { url: "{{ secret('CHANGE_WEBHOOK') }}" }
"#;

/// The machine number `n` of a group: `dev-1`, named `dev-01`.
pub fn machine(group: &str, n: usize) -> Target {
    Target {
        id: format!("{group}-{n}").into(),
        name: format!("{group}-{n:02}"),
        group: group.into(),
        private_ip: Some(format!("10.0.0.{n}")),
        tags: BTreeMap::from([("zone".to_owned(), ["a", "b", "c"][n % 3].to_owned())]),
        vars: BTreeMap::new(),
        environment: None,
        owner: None,
        platform: "linux".into(),
        image: Some("ami-1".into()),
        root_volume: None,
        ec2: None,
        home: Home::Aws { account: None, region: None, role: None, external_id: None },
    }
}

/// So many machines for each group.
pub fn fleet(groups: &[(&str, usize)]) -> BTreeMap<GroupName, Vec<Target>> {
    let machines = |group: &str, count: usize| (1..=count).map(|n| machine(group, n)).collect();
    groups.iter().map(|(group, count)| (GroupName::from(*group), machines(group, *count))).collect()
}

/// What a test gives beside the text.
#[derive(Default)]
pub struct Given {
    pub fleet: BTreeMap<GroupName, Vec<Target>>,
    pub params: BTreeMap<String, Value>,
    pub env: BTreeMap<String, String>,
    pub limit: Vec<String>,
}

/// The plan, or why there is none.
pub fn try_plan(text: &str, given: Given) -> Result<Plan, Refusal> {
    let reading = read(text);
    let runbook = reading.runbook.expect("a runbook");
    let params = params::resolve(&runbook, &given.params).map_err(Refusal::Invalid)?;
    make(Making {
        runbook: &runbook,
        sources: &reading.sources,
        catalog: &TestCatalog::default(),
        params,
        env: given.env,
        resolved: given.fleet,
        limit: given.limit,
        tested: None,
        experience: Experience::default(),
    })
}

/// A document without reading errors.
pub fn read(text: &str) -> Reading {
    let reading = document::read("runbook.yaml", text.as_bytes(), &NoFiles);
    assert!(!reading.has_errors(), "{}", diagnostic::render(&reading.diagnostics, &reading.sources, false));
    reading
}

/// The plan of a text over so many machines for each group.
pub fn plan(text: &str, groups: &[(&str, usize)]) -> Plan {
    try_plan(text, Given { fleet: fleet(groups), ..Given::default() })
        .unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

/// One line a task: name, machines, what it waits for.
pub fn shown(plan: &Plan) -> String {
    let mut text = String::new();
    for task in plan.tasks.iter().chain(&plan.rollback) {
        write!(text, "{}", task.name).unwrap();
        if let Some(targets) = &task.targets {
            write!(text, " [{}]", short(targets)).unwrap();
        }
        if !task.needs.is_empty() {
            write!(text, " needs {}", task.needs.join(", ")).unwrap();
        }
        match &task.role {
            Role::Branch { of } => write!(text, " branch of {}", of.join(", ")).unwrap(),
            Role::Verify { of } => write!(text, " verifies {of}").unwrap(),
            Role::Step => {}
            role => write!(text, " {role:?}").unwrap(),
        }
        match &task.only {
            Some(Only::FailedIn(names)) => write!(text, " failed_in {}", names.join(", ")).unwrap(),
            Some(Only::TouchedBy(names)) => write!(text, " touched_by {}", names.join(", ")).unwrap(),
            Some(Only::ChangedIn(names)) => write!(text, " changed_in {}", names.join(", ")).unwrap(),
            None => {}
        }
        if !task.on_failure.is_empty() {
            let names: Vec<_> = task.on_failure.iter().map(ToString::to_string).collect();
            write!(text, " else {}", names.join(", ")).unwrap();
        }
        if let Some(when) = &task.when {
            write!(text, " when {when}").unwrap();
        }
        if let Some(skip) = &task.skip {
            write!(text, " skipped: {skip}").unwrap();
        }
        text.push('\n');
    }
    text
}

/// One line a scope: name, kind, machines, what it follows.
pub fn scopes(plan: &Plan) -> String {
    let mut text = String::new();
    for scope in &plan.scopes {
        let kind = match &scope.kind {
            ScopeKind::Root => "root".into(),
            ScopeKind::Rollout { step, targets, max_failures } => {
                format!("rollout of {step} [{}], {max_failures} may fail", short(targets))
            }
            ScopeKind::Wave { number, of, targets } => format!("wave {number} of {of} [{}]", short(targets)),
            ScopeKind::Part { number, targets } => format!("part {number} [{}]", short(targets)),
            ScopeKind::Soak { wave } => format!("soak of wave {wave}"),
            ScopeKind::Finally => "finally".into(),
            ScopeKind::Rollback { undoes } => format!("undoes {undoes}"),
        };
        let parent = scope.parent.as_ref().map_or("-".into(), |parent| format!("`{parent}`"));
        let after = scope.after.as_ref().map_or(String::new(), |after| format!(" after {after}"));
        writeln!(text, "`{}` in {parent}: {kind}{after}", scope.name).unwrap();
    }
    text
}

/// Ids, and only the first and last of many.
fn short(ids: &[TargetId]) -> String {
    match ids {
        [first, .., last] if ids.len() > 6 => format!("{first} … {last}: {}", ids.len()),
        _ => ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
    }
}
