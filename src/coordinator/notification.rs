//! Sends notifications: at least once each, with the same `Idempotency-Key` whenever it is sent again.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use runbook_engine::{ids::TaskName, outcome::Effect, run::RenderError};
use runbook_steps::{
    action::{Action, Failure, Inputs, Work},
    catalog::Actions,
    context::{Context, Memory, StopReason},
};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{execution::Surroundings, ledger::NoLedger, live::Live, message::Message, secrets::Secrets};

/// The action behind `notify:`.
const ACTION: &str = "notify/webhook";

/// How often a notification is sent at most.
const ATTEMPTS: u32 = 3;

/// How long one attempt may take.
const DEADLINE: Duration = Duration::from_mins(1);

/// The pause before the second attempt; doubled before the third.
const PAUSE: Duration = Duration::from_secs(10);

/// One notification, as the core commands it.
pub(super) struct Notice {
    pub number: u64,
    pub rule: usize,
    pub event: &'static str,
    pub subject: String,
}

/// Begins to send. The answer comes through the queue.
pub(super) fn begin(live: &Live, notice: Notice, actions: &Actions, around: &Surroundings) {
    let (run, number) = (live.id().clone(), notice.number);
    let queue = around.queue.clone();
    let action = actions.get(ACTION).ok_or_else(|| format!("there is no action `{ACTION}` in this binary"));
    let prepared = action.and_then(|action| {
        let inputs =
            inputs(live, &notice, &around.secrets).map_err(|error| format!("{error}: {}", error.source))?;
        Ok((action, inputs))
    });
    let ctx = context(live, &notice, around);
    tokio::spawn(async move {
        let failure = match prepared {
            Ok((action, inputs)) => send(&ctx, action.as_ref(), inputs).await.err(),
            Err(cause) => Some(cause),
        };
        // A coordinator that is gone sends it again in its next life.
        let _ = queue.send(Message::Notified { run, number, failure });
    });
}

async fn send(ctx: &Context, action: &dyn Action, inputs: Arc<Inputs>) -> Result<(), String> {
    let mut pause = PAUSE;
    let mut attempt = 1;
    loop {
        let now = ctx.now();
        let deadline = now.checked_add(SignedDuration::try_from(DEADLINE).unwrap_or_default());
        let mut ctx = ctx.clone();
        ctx.deadline = deadline.unwrap_or(Timestamp::MAX);
        let work = Work { targets: Vec::new(), inputs: Arc::clone(&inputs) };
        let cause = tokio::select! {
            biased;
            result = action.execute(&ctx, work) => match result {
                Ok(_) => return Ok(()),
                Err(Failure::Failed { cause, .. }) => cause,
                Err(Failure::NeedsPerson { cause }) => cause,
                Err(Failure::Detached) => "it was given up".to_owned(),
            },
            () = ctx.ports.clock.sleep(DEADLINE) => "no answer within 1m".to_owned(),
        };
        if attempt == ATTEMPTS {
            return Err(cause);
        }
        ctx.ports.clock.sleep(pause).await;
        pause *= 2;
        attempt += 1;
    }
}

fn context(live: &Live, notice: &Notice, around: &Surroundings) -> Context {
    let name = TaskName::from(format!("notify/{}", notice.number));
    Context {
        run: live.id().clone(),
        ports: around.outside.ports_for(&name, 1),
        task: name,
        // The same in every attempt: its token is what tells the receiver that it has it already.
        attempt: 1,
        resumed: false,
        stage: "notify".to_owned(),
        effect: Effect::Reads,
        stage_began: live.last_at,
        store: Arc::clone(&around.store),
        deadline: Timestamp::MAX,
        settings: Arc::clone(&around.settings),
        memory: Arc::new(Memory::default()),
        ledger: Arc::new(NoLedger),
        stop: watch::Sender::new(StopReason::None).subscribe(),
    }
}

fn inputs(live: &Live, notice: &Notice, secrets: &Secrets) -> Result<Arc<Inputs>, RenderError> {
    let mut values = live.run().notification_inputs(notice.rule, Some(secrets))?;
    if values.get("body").is_none_or(Value::is_null) {
        values.insert("body".into(), about(live, notice));
    }
    Ok(Arc::new(Inputs { values, ..Inputs::default() }))
}

/// What is sent where the rule has no body of its own.
fn about(live: &Live, notice: &Notice) -> Value {
    let run = live.run();
    json!({
        "event": notice.event,
        "subject": notice.subject,
        "run": live.id(),
        "id": live.id(),
        "runbook": live.plan().runbook,
        "plan": live.row.plan,
        "status": run.status().as_str(),
        "cause": run.cause(),
    })
}
