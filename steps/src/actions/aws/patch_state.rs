//! The patch states that our own operations report: awaited, and told from those of others.
//!
//! A report reaches the service some time after its command ended, and only the last one is kept, whoever's operation it
//! was (facts: Patch states). So a state is taken for ours only where operation, patch snapshot and time say
//! so.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use runbook_engine::{duration::Span, ids::TargetId, target::Home};

use super::{
    errand::{MOST, Road, clock, later},
    patience::{Stopping, needs_person},
};
use crate::{
    action::Failure,
    ports::{
        fault::{Fault, FaultKind},
        ssm::{PatchState, Ssm},
    },
};

/// A report may reach the service this much after its command.
pub(super) const UPLOAD: Duration = Duration::from_secs(300);

/// How far a machine's clock and the service's may be apart.
const SKEW: Duration = Duration::from_secs(120);

/// A state that is awaited.
#[derive(Clone, Debug)]
pub(super) struct Awaited {
    /// `Scan` or `Install`.
    pub operation: &'static str,
    /// Its patch snapshots: any of these.
    pub lists: Arc<[String]>,
    /// When the operation ended, or the earliest time at which it can have.
    pub ended_at: Option<Timestamp>,
}

impl Awaited {
    /// Whether a state is the one of this operation, not of an earlier one or of somebody else's.
    pub fn is_told_by(&self, state: &PatchState) -> bool {
        let earliest = self.ended_at.and_then(|at| at.checked_sub(SKEW).ok());
        let ours = state.snapshot_id.as_ref().is_some_and(|id| self.lists.contains(id));
        state.operation == self.operation
            && ours
            && earliest.is_none_or(|earliest| state.ended_at.is_some_and(|at| at >= earliest))
    }
}

/// What an operation of somebody else left behind, in words.
fn foreign(state: &PatchState) -> String {
    let at = state.ended_at.map_or_else(String::new, |at| format!(" that ended {}", clock(at)));
    let list = state.snapshot_id.as_deref().map_or_else(String::new, |id| format!(", patch snapshot {id}"));
    format!("the last patch operation is not ours: a {}{at}{list}", state.operation)
}

/// Patch states of these machines, fifty a call. What cannot be read is missing, and the last reason is told.
///
/// # Errors
/// That a person must renew credentials.
pub(super) async fn read_once(
    road: &Road,
    ssm: &Arc<dyn Ssm>,
    machines: &[TargetId],
) -> Result<(BTreeMap<TargetId, PatchState>, Option<Fault>), Failure> {
    let (mut states, mut unread) = (BTreeMap::new(), None);
    for some in machines.chunks(MOST) {
        let _permit = road.calls.acquire().await;
        match ssm.patch_states(some).await {
            Ok(read) => states.extend(read.into_iter().map(|state| (state.instance.clone(), state))),
            Err(fault) if fault.kind == FaultKind::Credentials => return Err(needs_person(&fault)),
            Err(fault) => {
                tracing::warn!(%fault, "patch states could not be read");
                unread = Some(fault);
            }
        }
    }
    Ok((states, unread))
}

/// Waits until the states of machines are those of their operations, and tells each; those that do not come in time are
/// told with the reason.
///
/// # Errors
/// [`Failure::Detached`], or that a person must renew credentials.
pub(super) async fn wait(
    road: &Road,
    home: &Home,
    mut awaited: BTreeMap<TargetId, Awaited>,
    mut tell: impl FnMut(TargetId, Result<PatchState, String>) + Send,
) -> Result<(), Failure> {
    let ssm = road.ssm(home)?;
    let until = later(road.ctx.now(), UPLOAD);
    let mut stopping = Stopping::default();
    let mut pause = Duration::from_secs(5);
    loop {
        stopping.pause(&road.ctx, pause).await?;
        pause = Duration::from_secs(15);
        let ids: Vec<_> = awaited.keys().cloned().collect();
        let (mut states, unread) = read_once(road, &ssm, &ids).await?;
        awaited.retain(|machine, awaited| {
            let ours = states.get(machine).is_some_and(|state| awaited.is_told_by(state));
            if ours && let Some(state) = states.remove(machine) {
                tell(machine.clone(), Ok(state));
            }
            !ours
        });
        if awaited.is_empty() {
            return Ok(());
        }
        if road.ctx.now() >= until {
            for machine in awaited.into_keys() {
                let why = match (states.get(&machine), &unread) {
                    (Some(state), _) => foreign(state),
                    (None, Some(fault)) => fault.to_string(),
                    (None, None) => "Systems Manager has none of this machine".to_owned(),
                };
                let within = Span::from_secs(UPLOAD.as_secs());
                tell(machine, Err(format!("the patch state did not arrive within {within}: {why}")));
            }
            return Ok(());
        }
    }
}
