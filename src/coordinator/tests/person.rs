//! An attempt that only a person can help pauses its run, and is taken up again.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use runbook_engine::catalog::{ActionDoc, Catalog};
use runbook_state::MemoryStore;
use runbook_steps::{
    action::{Action, Failure, Work},
    catalog::Actions,
    context::Context,
    world::World,
};
use serde_json::Value;

use super::rig::{self, Shown};
use crate::coordinator::{Coordinator, Start};

const FLEET: &str = include_str!("../../../runbooks/fleets/happy.yaml");

const RUNBOOK: &str =
    "runbook: steps\nsteps:\n  one: { uses: local/command, effect: reads, with: { script: 'true' } }\n";

/// In place of `local/command`: its credentials have expired.
struct Expired {
    doc: ActionDoc,
    lives: Arc<AtomicUsize>,
}

#[async_trait]
impl Action for Expired {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    async fn execute(&self, _ctx: &Context, _work: Work) -> Result<Value, Failure> {
        self.lives.fetch_add(1, Ordering::Relaxed);
        Err(Failure::NeedsPerson { cause: "the credentials have expired; aws sso login".into() })
    }
}

#[test]
fn credentials_that_expired_pause_the_run() {
    let world = World::in_memory(FLEET, 1).expect("a world");
    let plan = rig::plan(RUNBOOK, &world);
    let standard = Actions::standard();
    let doc = standard.action("local/command").expect("its documentation").clone();
    let lives = Arc::new(AtomicUsize::new(0));
    let mut parts = rig::parts(MemoryStore::new(), &world);
    parts.actions = standard.with(Expired { doc, lives: Arc::clone(&lives) });
    let mut shown = Shown::default();
    let reports = runbook_steps::world::runtime().expect("a runtime").block_on(async {
        let mut coordinator = Coordinator::new(parts, &mut shown);
        let start = Start { plan: plan.into(), expect_plan: None, not_before: None, no_wait: false };
        coordinator.start(start, "tester").expect("it starts");
        coordinator.drive().await.expect("it runs")
    });
    assert_eq!((reports[0].code, reports[0].status.as_str()), (12, "paused"));
    assert_eq!(reports[0].cause.as_deref(), Some("runbook: the credentials have expired; aws sso login"));
    assert!(reports[0].next.as_deref().is_some_and(|next| next.starts_with("runbook resume")));
    assert_eq!(lives.load(Ordering::Relaxed), 1, "nobody asks again before a person did something");
}
