//! Looks at the machines of a wave before it starts.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use runbook_engine::{
    ids::{ScopeName, TargetId},
    target::Target,
};
use runbook_steps::ports::{
    Ports,
    fault::{Fault, FaultKind},
};

use super::{execution::Surroundings, live::Live, message::Message};

/// How long a wave waits for an inventory that does not answer. Long enough for a throttled account or a network that
/// comes back; after that no machine of the wave may be touched, because nobody knows what it is.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// The first and the longest pause between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Begins to look. The answer comes through the queue.
pub(super) fn begin(live: &Live, scope: ScopeName, around: &Surroundings) {
    let run = live.id().clone();
    let targets: Vec<Target> = live
        .run()
        .wave_targets(&scope)
        .iter()
        .filter_map(|id| Some(live.target(id)?.as_ref().clone()))
        .collect();
    let (ports, queue) = (around.outside.ports(), around.queue.clone());
    tokio::spawn(async move {
        let seen = inspect(&ports, &targets).await;
        // A coordinator that is gone looks again in its next life.
        let _ = queue.send(Message::Inspected { run, scope, seen });
    });
}

/// What came of looking.
#[derive(Debug)]
pub(crate) enum Inspection {
    /// The machines that must not be touched, with the cause.
    Refused(BTreeMap<TargetId, String>),
    /// Only a person can help: nobody was looked at.
    NeedsPerson(String),
}

async fn inspect(ports: &Ports, targets: &[Target]) -> Inspection {
    let begun = ports.clock.now();
    let mut pause = PAUSES.0;
    loop {
        match ports.inventory.inspect(targets).await {
            Ok(refused) => return Inspection::Refused(refused),
            Err(fault) if fault.kind == FaultKind::Credentials => {
                return Inspection::NeedsPerson(fault.to_string());
            }
            Err(fault) if over(begun, ports.clock.now()) => {
                return Inspection::Refused(all_refused(targets, &fault));
            }
            Err(_) => {
                ports.clock.sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }
}

fn over(begun: Timestamp, now: Timestamp) -> bool {
    now.duration_since(begun) >= PATIENCE
}

fn all_refused(targets: &[Target], fault: &Fault) -> BTreeMap<TargetId, String> {
    let cause = format!("it could not be looked at before its wave: {fault}");
    targets.iter().map(|target| (target.id.clone(), cause.clone())).collect()
}
