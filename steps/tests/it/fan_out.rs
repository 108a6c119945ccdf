//! The fan-out: bounded, grouped, and honest about what it did not reach.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use runbook_engine::{
    catalog::{ActionDoc, TimeoutDoc},
    duration::Span,
    outcome::ErrorClass,
};
use runbook_steps::{
    action::{Action, Failure, Work},
    context::Context,
    fanout::{Done, fan_out},
};
use serde_json::{Value, json};

use crate::contract::{
    attempt::{Attempt, Life, host},
    nowhere::ports,
    time::Jumping,
};

/// Takes a second for each machine; those whose name says so fail or are stopped.
struct Second {
    doc: ActionDoc,
    working: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Second {
    fn new() -> Self {
        let doc = ActionDoc::new("test/second", "Takes a second.", TimeoutDoc::Fixed(Span::from_mins(1)));
        Self { doc, working: Arc::default(), most: Arc::default() }
    }
}

#[async_trait]
impl Action for Second {
    fn doc(&self) -> &ActionDoc {
        &self.doc
    }

    async fn execute(&self, ctx: &Context, work: Work) -> Result<Value, Failure> {
        let bound = ctx.settings.concurrency;
        fan_out(ctx, work.targets, bound, |target, _| {
            let (ctx, working, most) = (ctx.clone(), Arc::clone(&self.working), Arc::clone(&self.most));
            async move {
                most.fetch_max(working.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                ctx.sleep(Duration::from_secs(1)).await;
                working.fetch_sub(1, Ordering::Relaxed);
                match target.name.as_str() {
                    "busy" => Err(Failure::of(ErrorClass::Busy, "it is busy")),
                    "stopped" => Err(Failure::Detached),
                    name => Ok(Done { outputs: Some(json!(name)), ..Done::succeeded() }),
                }
            }
        })
        .await
        .map(|()| Value::Null)
    }
}

fn attempt(concurrency: usize, names: impl IntoIterator<Item = String>) -> Attempt {
    let mut attempt = Attempt::new(ports(Jumping::new()), json!({}));
    attempt.settings.concurrency = concurrency;
    attempt.on(names.into_iter().map(|name| host(&name)))
}

#[tokio::test(start_paused = true)]
async fn no_more_machines_than_allowed_at_a_time_and_one_entry_for_those_that_come_out_together() {
    let action = Second::new();
    let attempt = attempt(4, (0..10).map(|number| format!("web-{number}")));
    attempt.live_to_the_end(&action).await.expect("all are reported");
    assert_eq!(action.most.load(Ordering::Relaxed), 4);
    let recorded = attempt.journal.recorded();
    assert_eq!((recorded.outputs.len(), recorded.entries), (10, 6), "outputs and reports, three times");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_reported_for_its_machine_alone() {
    let attempt = attempt(4, ["web-1", "busy", "web-2"].map(str::to_owned));
    attempt.live_to_the_end(&Second::new()).await.expect("all are reported");
    let reports = attempt.reports();
    assert_eq!((reports["busy"].as_str(), reports["web-2"].as_str()), ("failed: it is busy", "succeeded"));
    assert_eq!(attempt.journal.recorded().reports["busy"].class, Some(ErrorClass::Busy));
}

#[tokio::test(start_paused = true)]
async fn what_was_done_when_the_process_stops_is_reported_and_nothing_new_is_begun() {
    let attempt = attempt(2, ["web-1", "stopped", "web-2"].map(str::to_owned));
    let life = attempt.live(&Second::new(), None).await;
    assert!(matches!(life, Life::Ended(Err(Failure::Detached))));
    assert_eq!(attempt.reports().into_keys().collect::<Vec<_>>(), ["web-1"]);
}
