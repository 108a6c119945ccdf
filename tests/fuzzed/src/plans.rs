//! Plans, made or read.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use jiff::Timestamp;
use runbook::view::{paint::Paint, plan_page};
use runbook_engine::{
    document::{params, read},
    experience::Experience,
    loader::NoFiles,
    plan::{self, Making, Plan},
    run::Run,
    target::{Home, Target},
};
use runbook_steps::catalog::Actions;

static ACTIONS: LazyLock<Actions> = LazyLock::new(Actions::standard);

fn machine(number: usize, group: &str) -> Target {
    let id = format!("i-{number:04}");
    Target {
        id: id.as_str().into(),
        name: format!("web-{number}"),
        group: group.into(),
        private_ip: Some(format!("10.0.0.{number}")),
        tags: BTreeMap::from([("Name".into(), format!("web-{number}"))]),
        vars: BTreeMap::new(),
        environment: None,
        owner: None,
        platform: "linux".into(),
        image: None,
        root_volume: None,
        ec2: None,
        home: Home::Aws { account: None, region: None, role: None, external_id: None },
    }
}

/// Whatever checks clean can be planned or is refused with a reason; a plan survives its canonical form, and a run of it
/// can begin.
pub(super) fn made(bytes: &[u8]) {
    let reading = read("entry.yaml", bytes, &NoFiles).checked(&*ACTIONS);
    let Some(runbook) = reading.runbook.as_ref().filter(|_| !reading.has_errors()) else { return };
    let Ok(params) = params::resolve(runbook, &BTreeMap::new()) else { return };
    let env = BTreeMap::new();
    let Ok(queries) = plan::queries(runbook, &params, &env) else { return };
    let resolved = queries
        .iter()
        .map(|(group, _)| (group.clone(), (0..7).map(|number| machine(number, group.as_str())).collect()))
        .collect();
    let making = Making {
        runbook,
        sources: &reading.sources,
        catalog: &*ACTIONS,
        params,
        env,
        resolved,
        limit: Vec::new(),
        tested: None,
        experience: Experience::default(),
    };
    let Ok(plan) = plan::make(making) else { return };
    let again = Plan::from_json(&plan.to_canonical_json()).expect("a plan reads what it wrote");
    assert_eq!(again.digest(), plan.digest());
    begin(plan);
}

/// A file that says that it is a plan is refused, or can be shown and begun.
pub(super) fn saved(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(plan) = Plan::from_json(text) {
        begin(plan);
    }
}

fn begin(plan: Plan) {
    let plan = Arc::new(plan);
    if let Ok(run) = Run::new(Arc::clone(&plan)) {
        run.commands(Timestamp::UNIX_EPOCH);
        plan_page::page(&plan, Paint(false));
    }
}
