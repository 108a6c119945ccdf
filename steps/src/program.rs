//! A program of an action: what it finds in its environment, and how it is waited for.

use std::{collections::BTreeMap, time::Duration};

use runbook_engine::target::{Home, Target};

use crate::{
    action::Failure,
    context::{Context, StopReason},
    ports::process::{Ended, Progress},
};

/// The shortest and the longest time between two questions. In between a tenth of what has passed already is waited, so
/// that the answer comes at most that share too late.
const ASK_EVERY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(10));

/// The port reads files of this machine: when that fails three times in a row, it will not get better.
const ERRORS: u32 = 3;

/// How waiting for a program came out.
#[derive(Debug)]
pub(crate) enum End {
    /// It ended.
    Ended(Ended),
    /// It was killed, because its time was over.
    Killed(Option<Ended>),
    /// It was started, and nobody will ever know how it ended.
    Lost,
}

/// What a program finds in its environment: what it is for, and what its author adds.
pub(crate) fn environment(
    ctx: &Context,
    target: Option<&Target>,
    own: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([
        ("RUNBOOK_RUN".to_owned(), ctx.run.to_string()),
        ("RUNBOOK_TASK".to_owned(), ctx.task.to_string()),
    ]);
    if let Some(target) = target {
        env.insert("RUNBOOK_TARGET_ID".to_owned(), target.id.to_string());
        env.insert("RUNBOOK_TARGET_NAME".to_owned(), target.name.clone());
        let address = match &target.home {
            Home::Host { address, .. } => Some(address),
            Home::Aws { .. } => None,
        };
        if let Some(ip) = target.private_ip.as_ref().or(address) {
            env.insert("RUNBOOK_TARGET_IP".to_owned(), ip.clone());
        }
    }
    env.extend(own);
    env
}

/// What this machine keeps of a program cannot be read. The program goes on, and so does its attempt, when a person has seen
/// to that: nothing is known of the machines that it is for.
pub(crate) fn unseen(what: &str, why: &str) -> Failure {
    Failure::NeedsPerson { cause: format!("nobody can say how {what} stands: {why}") }
}

/// Waits until a started program ended. `patience` is how long it may run at most; the attempt's own deadline holds
/// too. When the run is cancelled it goes on: a change ends by itself.
///
/// # Errors
/// [`Failure::Detached`]: the process stops, the program runs on. [`Failure::NeedsPerson`]: nobody can say how it stands.
pub(crate) async fn wait(ctx: &Context, token: &str, patience: Option<Duration>) -> Result<End, Failure> {
    let process = &ctx.ports.process;
    let began = ctx.now();
    let mut errors = 0;
    let mut killed = false;
    let mut heard = StopReason::None;
    loop {
        match process.progress(token).await {
            Ok(Progress::Ended(ended)) if killed => return Ok(End::Killed(Some(ended))),
            Ok(Progress::Ended(ended)) => return Ok(End::Ended(ended)),
            Ok(Progress::Lost | Progress::Absent) if killed => return Ok(End::Killed(None)),
            Ok(Progress::Lost) => return Ok(End::Lost),
            // It was started, so its traces have been deleted from outside.
            Ok(Progress::Absent) => return Ok(End::Lost),
            Ok(Progress::Running) => errors = 0,
            Err(why) => {
                errors += 1;
                if errors >= ERRORS {
                    return Err(unseen("the program", &why));
                }
            }
        }
        let passed = Duration::try_from(ctx.now().duration_since(began)).unwrap_or_default();
        let over = patience.is_some_and(|patience| passed >= patience);
        if !killed && (heard == StopReason::TimedOut || over) {
            killed = true;
            if let Err(why) = process.kill(token).await {
                tracing::warn!(token, why, "a program whose time is over could not be killed");
            }
            continue;
        }
        let mut pause = (passed / 10).clamp(ASK_EVERY.0, ASK_EVERY.1);
        if let Some(left) = patience.and_then(|patience| patience.checked_sub(passed)) {
            pause = pause.min(left.max(ASK_EVERY.0));
        }
        heard = rest(ctx, pause, heard).await;
        if heard == StopReason::Detach {
            return Err(Failure::Detached);
        }
    }
}

/// Sleeps, unless a reason to stop comes that was not heard yet; the reason that holds afterwards.
async fn rest(ctx: &Context, time: Duration, heard: StopReason) -> StopReason {
    let mut stop = ctx.stop.clone();
    tokio::select! {
        biased;
        () = ctx.ports.clock.sleep(time) => heard,
        news = stop.wait_for(|reason| *reason != StopReason::None && *reason != heard) => {
            news.map_or(StopReason::Detach, |reason| *reason)
        }
    }
}
