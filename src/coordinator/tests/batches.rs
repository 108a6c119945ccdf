//! How many durable batches work costs.

use std::fmt::Write;

use async_trait::async_trait;
use runbook_engine::catalog::{ActionDoc, Catalog};
use runbook_state::MemoryStore;
use runbook_steps::{
    action::{Action, Failure, Work},
    catalog::Actions,
    context::{Context, Intent},
    world::World,
};
use serde_json::Value;

use super::rig::{self, Shown};
use crate::coordinator::{Coordinator, Start};

const FLEET: &str = include_str!("../../../runbooks/fleets/happy.yaml");

/// In place of `local/command`: it does nothing, or records an intent and a checkpoint around it.
struct Nothing {
    doc: ActionDoc,
    calls_out: bool,
}

#[async_trait]
impl Action for Nothing {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    fn begins_with_intent(&self) -> bool {
        self.calls_out
    }

    async fn execute(&self, ctx: &Context, _work: Work) -> Result<Value, Failure> {
        if self.calls_out {
            let token = ctx.token("", "nothing").to_string();
            ctx.ledger
                .intent(Intent {
                    key: String::new(),
                    call: "nothing",
                    token,
                    targets: Vec::new(),
                    makes: None,
                })
                .await?;
        }
        Ok(Value::Null)
    }
}

/// Batches that a run of so many steps costs; `chain`: one after the other, else side by side.
fn batches(steps: usize, chain: bool, calls_out: bool) -> u64 {
    let mut runbook = "runbook: steps\nsteps:\n".to_owned();
    for step in 0..steps {
        let needs = if chain && step > 0 { format!("needs: [s{}], ", step - 1) } else { String::new() };
        writeln!(
            runbook,
            "  s{step}: {{ {needs}uses: local/command, effect: reads, with: {{ script: 'true' }} }}"
        )
        .expect("text");
    }
    let world = World::in_memory(FLEET, 1).expect("a world");
    let plan = rig::plan(&runbook, &world);
    let standard = Actions::standard();
    let doc = standard.action("local/command").expect("its documentation").clone();
    let mut parts = rig::parts(MemoryStore::new(), &world);
    parts.actions = standard.with(Nothing { doc, calls_out });
    let mut shown = Shown::default();
    runbook_steps::world::runtime().expect("a runtime").block_on(async {
        let mut coordinator = Coordinator::new(parts, &mut shown);
        let start = Start { plan: plan.into(), expect_plan: None, not_before: None, no_wait: false };
        coordinator.start(start, "tester").expect("it starts");
        assert_eq!(coordinator.drive().await.expect("it runs")[0].code, 0);
        coordinator.batches()
    })
}

#[test]
fn the_end_of_a_step_and_the_start_of_the_next_share_a_batch() {
    let batches = batches(100, true, false);
    assert!(batches <= 102, "{batches} batches");
}

#[test]
fn the_first_intent_shares_the_batch_of_the_start() {
    let batches = batches(100, true, true);
    assert!(batches <= 102, "{batches} batches");
}

#[test]
fn steps_side_by_side_share_batches() {
    let batches = batches(1_000, false, false);
    assert!(batches <= 40, "{batches} batches");
}
