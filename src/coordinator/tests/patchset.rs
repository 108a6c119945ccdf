//! What reaches an action: the backup of a machine that it is about to change, and the patchset.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use runbook_engine::{
    catalog::{ActionDoc, Catalog},
    ids::TargetId,
    patchset::{Barred, Version},
    run::event::{Event, Report},
};
use runbook_state::{MemoryStore, store::RunStore};
use runbook_steps::{
    action::{Action, Failure, Inputs, Work},
    catalog::Actions,
    context::Context,
    world::World,
};
use serde_json::{Value, json};

use super::rig::{self, Shown};
use crate::{
    coordinator::replay,
    view::{event_line::Teller, paint::Paint, plan_page, run_json, run_page},
};

const FLEET: &str = include_str!("../../../runbooks/fleets/happy.yaml");

const RUNBOOK: &str = "\
runbook: patch
patchset: dev
targets:
  dev: { aws: { tags: { Environment: dev } } }
  staging: { aws: { tags: { Environment: staging } } }
blocks:
  patch-and-verify:
    backup: { uses: aws/snapshot }
    patch: { needs: [backup], uses: aws/patch, with: { operation: Install }, on_failure: [restore] }
    healthy: { needs: [patch], uses: check/tcp, with: { port: 80 }, on_failure: [restore] }
    restore: { uses: local/command, restores: backup, with: { script: 'true' } }
steps:
  dev: { run: patch-and-verify, targets: dev }
  staging: { needs: [dev], run: patch-and-verify, targets: staging }
";

type Given = Arc<Mutex<BTreeMap<(String, TargetId), Arc<Inputs>>>>;

/// In place of an action: it notes what it is given, and does nothing.
struct Noting {
    doc: ActionDoc,
    given: Given,
    outputs: fn(&TargetId) -> Value,
}

#[async_trait]
impl Action for Noting {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        let ids: Vec<TargetId> = work.targets.iter().map(|(target, _)| target.id.clone()).collect();
        for (target, inputs) in &work.targets {
            let key = (ctx.task.to_string(), target.id.clone());
            self.given.lock().expect("no panic").insert(key, Arc::clone(inputs));
        }
        ctx.ledger.outputs(ids.iter().map(|id| (id.clone(), (self.outputs)(id))).collect()).await?;
        ctx.ledger.report(ids, Report::succeeded()).await?;
        Ok(Value::Null)
    }
}

fn actions(given: &Given) -> Actions {
    let standard = Actions::standard();
    let noting = |name: &str, takes_patchset: bool, outputs: fn(&TargetId) -> Value| Noting {
        doc: ActionDoc { takes_patchset, ..standard.action(name).expect("its documentation").clone() },
        given: Arc::clone(given),
        outputs,
    };
    let installed = |_: &TargetId| {
        let nginx = json!({ "name": "nginx", "arch": "amd64", "from": "1", "to": "2" });
        json!({ "platform": "debian-12-amd64", "changed": [nginx] })
    };
    let snapshot = noting("aws/snapshot", false, |id| json!({ "kept": format!("backup of {id}") }));
    let patch = noting("aws/patch", true, installed);
    let check = noting("check/tcp", false, |_| json!({}));
    standard.clone().with(snapshot).with(patch).with(check)
}

#[test]
fn a_changing_task_is_given_its_backup_and_what_dev_verified() {
    let world = World::in_memory(FLEET, 1).expect("a world");
    let given = Given::default();
    let actions = actions(&given);
    let plan = rig::plan_with(RUNBOOK, &world, &actions);
    let mut parts = rig::parts(MemoryStore::new(), &world);
    parts.actions = actions;
    let mut shown = Shown::default();
    let report = rig::run(parts, plan, &mut shown).expect("it runs");
    assert_eq!(report.code, 0, "{:?}", report.cause);
    let given = given.lock().expect("no panic");
    let of = |task: &str| -> Vec<(&TargetId, &Inputs)> {
        let all = given.iter().filter(|((name, _), _)| name == task);
        all.map(|((_, id), inputs)| (id, inputs.as_ref())).collect()
    };
    for (task, patchset) in [
        ("dev/wave-1/patch", json!({ "barred": {} })),
        (
            "staging/wave-1/patch",
            json!({ "platforms": { "debian-12-amd64": { "nginx": "2" } }, "barred": {} }),
        ),
    ] {
        let machines = of(task);
        assert!(!machines.is_empty(), "{task} ran");
        for (id, inputs) in machines {
            let backup = json!({ "kept": format!("backup of {id}") });
            assert_eq!(inputs.backup.as_deref(), Some(&backup), "{task} on {id}");
            assert_eq!(inputs.patchset.as_deref(), Some(&patchset), "{task} on {id}");
        }
    }
    for (id, inputs) in of("staging/wave-1/backup").into_iter().chain(of("staging/wave-1/healthy")) {
        assert_eq!((&inputs.backup, &inputs.patchset), (&None, &None), "nothing is changed on {id} there");
    }
}

#[test]
fn plan_run_and_events_say_what_is_tested_and_locked() {
    let world = World::in_memory(FLEET, 1).expect("a world");
    let actions = actions(&Given::default());
    let plan = rig::plan_with(RUNBOOK, &world, &actions);
    let page = plan_page::page(&plan, Paint(false));
    assert!(page.contains("\n  the patchset comes from dev\n"), "{page}");
    assert_eq!(
        (page.matches("tests the patchset").count(), page.matches("takes the patchset").count()),
        (1, 1)
    );
    let summary = plan.to_summary_json();
    assert_eq!(summary["patchset"], json!({ "from": "dev" }));
    let store = MemoryStore::new();
    let mut parts = rig::parts(store.reopened(), &world);
    parts.actions = actions;
    let mut shown = Shown::default();
    let report = rig::run(parts, plan, &mut shown).expect("it runs");
    let row = store.runs().expect("rows").into_iter().find(|row| row.run == report.run).expect("the run");
    let run = replay::load(&store.reopened(), &row).expect("a journal").run;
    let tested = json!({ "platforms": { "debian-12-amd64": { "nginx": "2" } } });
    assert_eq!(
        run_json::show(&run, false)["patchset"],
        json!({ "from": "dev", "locked": tested, "barred": [] })
    );
    let page = run_page::page(&run, false, run.finished_at().expect("an end"), Paint(false));
    assert!(page.contains("\n  patchset of dev: debian-12-amd64 1 package\n"), "{page}");
    let teller = Teller::new(run.plan().clone(), Paint(false));
    let lines: Vec<String> = shown.0.iter().map(|(at, event)| teller.tell(*at, event).1).collect();
    let locked = "the patchset of dev is locked: debian-12-amd64 1 package".to_owned();
    assert!(lines.contains(&locked), "{lines:#?}");
    let package = Version { platform: "debian-12-amd64".into(), name: "nginx".into(), version: "2".into() };
    let broke = run.plan().targets.keys().next().expect("a machine").clone();
    let event = Event::PackagesBarred { packages: vec![Barred { package: package.clone(), broke }] };
    let line = teller.tell(run.started_at().expect("a start"), &event).1;
    assert!(line.starts_with("barred nginx 2 on debian-12-amd64 (dev-"), "{line}");
    let event = Event::PackagesCleared { packages: vec![package] };
    let line = teller.tell(run.started_at().expect("a start"), &event).1;
    assert_eq!(line, "cleared nginx 2 on debian-12-amd64");
}
