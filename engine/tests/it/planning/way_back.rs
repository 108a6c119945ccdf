//! How machines are brought back is asked of the action when the plan is made, and stands in the plan.

use runbook_engine::{
    catalog::{ActionDoc, Catalog, WayBack, WayBackAsked},
    document,
    experience::Experience,
    ids::{GroupName, StepPath},
    loader::NoFiles,
    plan::{self, Making, Plan, Refusal},
};

use crate::{
    catalog::TestCatalog,
    planned::{flagship, machines},
};

/// A catalog in which odd machines are swapped and the second one cannot be.
struct Choosing(TestCatalog, bool);

impl Catalog for Choosing {
    fn action(&self, name: &str) -> Option<&ActionDoc> {
        self.0.action(name)
    }

    fn names(&self) -> Vec<&str> {
        self.0.names()
    }

    fn way_back(&self, asked: &WayBackAsked<'_>) -> Option<Result<WayBack, String>> {
        assert_eq!((asked.action, asked.backup), ("aws/restore", "aws/snapshot"));
        let name = asked.target.name.as_str();
        if self.1 && name.ends_with('2') {
            return Some(Err("it cannot stop".into()));
        }
        let strategy = if name.ends_with(['1', '3']) { "swap" } else { "replace" };
        let loses = vec!["memory".to_owned()];
        Some(Ok(WayBack { strategy: strategy.into(), loses, usually: "minutes".into() }))
    }
}

fn make(refuses: bool) -> Result<Plan, Refusal> {
    let text =
        flagship("  dev: { run: patch-and-verify, targets: dev, rollout: { waves: [1, 100%], soak: 1m } }\n");
    let reading = document::read("test.yaml", text.as_bytes(), &NoFiles);
    let runbook = reading.runbook.expect("a runbook");
    plan::make(Making {
        runbook: &runbook,
        sources: &reading.sources,
        catalog: &Choosing(TestCatalog::default(), refuses),
        params: Default::default(),
        env: Default::default(),
        resolved: [(GroupName::new("dev"), machines("dev", 4))].into(),
        limit: Vec::new(),
        tested: None,
        experience: Experience::default(),
    })
}

#[test]
fn every_restoring_task_says_how_and_a_stage_says_it_once() {
    let plan = make(false).expect("a plan");
    let ways = plan.ways_of(&StepPath::from("dev/restore"));
    let said: Vec<_> = ways.iter().map(|way| (way.strategy.as_str(), way.targets.len())).collect();
    assert_eq!(said, [("swap", 2), ("replace", 2)]);
    for task in plan.tasks.iter().chain(&plan.rollback) {
        let machines = task.targets.as_ref().map_or(0, Vec::len);
        let restores = task.restores.is_some() && task.action.as_str() == "aws/restore";
        assert_eq!(task.strategies().len(), if restores { machines } else { 0 }, "{}", task.name);
    }
    let json = plan.to_summary_json();
    let restore =
        json["tasks"].as_array().into_iter().flatten().find(|task| task["task"] == "dev/wave-1/restore");
    assert_eq!(restore.map(|task| &task["ways"][0]["strategy"]), Some(&"swap".into()));
    assert_eq!(Plan::from_json(&plan.to_canonical_json()).expect("a plan").digest(), plan.digest());
}

#[test]
fn a_machine_that_cannot_be_brought_back_is_named_with_the_reason() {
    let Err(Refusal::Invalid(diagnostics)) = make(true) else { panic!("it must be refused") };
    let said: Vec<_> = diagnostics.iter().map(|one| (one.code, one.message.as_str())).collect();
    assert_eq!(said, [("no-way-back", "dev-002 cannot be restored here: it cannot stop")]);
}
