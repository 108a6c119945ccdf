//! Plans and runs, without a process of their own.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use jiff::Timestamp;
use runbook_engine::{
    document::{self, params},
    experience::Experience,
    ids::RunId,
    loader::NoFiles,
    plan::{self, Making, Plan},
    run::{Run, event::Event},
};
use runbook_state::{MemoryStore, store::RunStore};
use runbook_steps::{
    catalog::Actions,
    context::Settings,
    world::{World, runtime},
};

use crate::coordinator::{
    Coordinator, Interrupts, Parts, Start, exit::ExitReport, observer::Observer, outside::Outside,
    refused::Refused, secrets::Secrets,
};

/// Plans a runbook for a simulated world.
pub fn plan(runbook: &str, world: &Arc<World>) -> Plan {
    plan_with(runbook, world, &Actions::standard())
}

/// The same with these actions.
pub fn plan_with(runbook: &str, world: &Arc<World>, catalog: &Actions) -> Plan {
    let reading = document::read("runbook.yaml", runbook.as_bytes(), &NoFiles);
    assert!(reading.diagnostics.is_empty(), "{:?}", reading.diagnostics);
    let runbook = reading.runbook.expect("a runbook");
    let params = params::resolve(&runbook, &BTreeMap::new()).expect("parameters");
    let env = BTreeMap::new();
    let queries = plan::queries(&runbook, &params, &env).expect("queries");
    let runtime = runtime().expect("a runtime");
    let ports = world.ports();
    let resolved = queries
        .iter()
        .map(|(group, query)| {
            (group.clone(), runtime.block_on(ports.inventory.resolve(group, query)).expect("machines"))
        })
        .collect();
    let sources = &reading.sources;
    plan::make(Making {
        runbook: &runbook,
        sources,
        catalog,
        params,
        env,
        resolved,
        limit: Vec::new(),
        tested: None,
        experience: Experience::default(),
    })
    .expect("a plan")
}

/// Everything that was shown.
#[derive(Default)]
pub struct Shown(pub Vec<(Timestamp, Event)>);

impl Observer for Shown {
    fn entries(&mut self, _run: &Run, at: Timestamp, events: &[Event]) {
        self.0.extend(events.iter().map(|event| (at, event.clone())));
    }

    fn notice(&mut self, text: &str) {
        panic!("a notice: {text}");
    }
}

/// The parts of a coordinator on a simulated world.
pub fn parts(store: impl RunStore + 'static, world: &Arc<World>) -> Parts {
    Parts {
        store: Box::new(store),
        outside: Outside::Simulated(Arc::clone(world)),
        actions: Actions::standard(),
        settings: Settings { settle: world.settle(), ..Settings::default() },
        secrets: Secrets::default().simulated(true),
        interrupts: Interrupts::never(),
        capacity: 64,
        state: PathBuf::from("state"),
        environment: "test".to_owned(),
        world: Some("test".to_owned()),
        owner: 0,
    }
}

/// Begins a run of this plan and drives it to its end.
pub fn run(parts: Parts, plan: Plan, shown: &mut Shown) -> Result<ExitReport, Refused> {
    let start = Start { plan: plan.into(), expect_plan: None, not_before: None, no_wait: false };
    runtime().expect("a runtime").block_on(async {
        let mut coordinator = Coordinator::new(parts, shown);
        coordinator.start(start, "tester")?;
        Ok(coordinator.drive().await?.remove(0))
    })
}

/// Goes on with the only run.
pub fn resume(parts: Parts, shown: &mut Shown) -> Result<ExitReport, Refused> {
    runtime().expect("a runtime").block_on(async {
        let row = parts.store.runs()?.remove(0);
        let mut coordinator = Coordinator::new(parts, shown);
        match coordinator.resume(&row, "tester", false)? {
            Some(report) => Ok(report),
            None => Ok(coordinator.drive().await?.remove(0)),
        }
    })
}

/// How every machine came out.
pub fn outcomes(store: &MemoryStore, id: &RunId) -> BTreeMap<String, &'static str> {
    let row = store.runs().expect("rows").into_iter().find(|row| row.run == *id).expect("the run");
    let replayed = crate::coordinator::replay::load(store, &row).expect("a journal");
    replayed.run.targets().into_iter().map(|view| (view.id.to_string(), view.outcome.as_str())).collect()
}
